"""Commands and the local BigQuery killed at random moments: the same command again finishes, with the same results.

``HARD_KILLS=12 pytest -m hard -n 0 tests/hard/test_kills.py`` makes 12 kills instead of 50. HARD_SEED changes the
moments.
"""

import random
from collections import Counter
from pathlib import Path

import pytest

from tests.hard.chain import results, stages
from tests.hard.commands import Home, open_home
from tests.hard.tables import setting, show

# `evaluate` and `promote` read no table.
_WITH_SERVER = ("ingest", "build", "export", "dataset", "tune")
_IN_A_ROUND = 14
_ATTEMPTS = 5  # a command that ends before its kill is started again


class Faults:
    """Kill commands, and count what became of them."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)  # noqa: S311
        self.counts: dict[tuple[str, str], Counter[str]] = {}
        self.lost: list[str] = []

    def command(self, home: Home, stage: str, command: tuple[str, ...], seconds: float) -> None:
        """Kill the command's process group at a moment of the `seconds` that it takes."""
        for _ in range(_ATTEMPTS):
            moment = self.chance.uniform(0, seconds)
            running = home.start(*command)
            if running.ends_within(moment):
                seconds = running.wait().seconds
                self._count(stage, "command", "missed")
                continue
            running.kill()
            orphans = home.orphans()
            self._count(stage, "command", "lost" if orphans else "survived")
            if orphans:
                self._lose(f"{stage} killed after {moment:.1f} s: still running 60 s later: {orphans}")
            return

    def server(self, home: Home, stage: str, command: tuple[str, ...], seconds: float) -> None:
        """Kill the local BigQuery at a moment. The command goes on, or ends with one line."""
        for _ in range(_ATTEMPTS):
            moment = self.chance.uniform(0, seconds)
            running = home.start(*command)
            if running.ends_within(moment) or not home.kill_server():
                seconds = running.wait().seconds
                self._count(stage, "server", "missed")
                continue
            outcome = running.wait()
            self._count(stage, "server", "survived" if outcome.is_clean else "lost")
            if not outcome.is_clean:
                self._lose(f"{stage} whose server was killed after {moment:.1f} s: {outcome}")
            return

    def finish(self, home: Home, stage: str, command: tuple[str, ...]) -> float:
        """Run the command to its end, and return its seconds."""
        outcome = home.run(*command)
        if outcome.status != 0:
            self._count(stage, "the run after them", "lost")
            self._lose(f"{stage} did not finish after the kills: {outcome}")
            outcome = home.must(*command)
        return outcome.seconds

    def compare(self, home: Home, expected: dict[str, str]) -> None:
        found = results(home)
        for name in sorted(found.keys() | expected.keys()):
            if found.get(name) != expected.get(name):
                self._lose(f"{home.folder.name}: {name} is {found.get(name)}, not {expected.get(name)}")

    def rows(self) -> list[tuple[object, ...]]:
        heading = ("stage", "fault", "tried", "survived", "lost", "missed")
        body = [
            (stage, fault, count.total(), count["survived"], count["lost"], count["missed"])
            for (stage, fault), count in self.counts.items()
        ]
        total = sum(self.counts.values(), Counter())
        return [
            heading,
            *body,
            ("all", "", total.total(), total["survived"], total["lost"], total["missed"]),
        ]

    def _count(self, stage: str, fault: str, what: str) -> None:
        self.counts.setdefault((stage, fault), Counter())[what] += 1

    def _lose(self, what: str) -> None:
        self.lost.append(what)
        print(what, flush=True)


@pytest.mark.hard
@pytest.mark.timeout(6 * 3600)
def test_killed_at_random_moments_the_chain_ends_as_an_unbroken_one(
    dump: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kills, faults = setting("KILLS", 50), Faults(setting("SEED", 1))
    commands = stages(dump)
    with open_home(tmp_path / "unbroken") as home:
        seconds = {stage: home.must(*command).seconds for stage, command in commands.items()}
        expected = results(home)
    assert len(expected) >= 7  # a dataset of three files, weights, a version, two lines of the journal
    done = 0
    while done < kills:
        planned = _plan(list(commands), faults.chance, min(kills - done, _IN_A_ROUND), done)
        with open_home(tmp_path / f"round-{done}") as home:
            for stage, command in commands.items():
                for fault in planned.get(stage, ()):
                    act = faults.server if fault == "server" else faults.command
                    act(home, stage, command, seconds[stage])
                faults.finish(home, stage, command)
            faults.compare(home, expected)
        done += sum(map(len, planned.values()))
        show(capsys, "kills", faults.rows())  # after each round, because the whole takes hours
    assert not faults.lost, "\n\n".join(faults.lost)


def test_an_ingest_that_is_killed_or_loses_its_server_ends_as_an_unbroken_one(generated: Path, tmp_path: Path) -> None:
    command, faults = stages(generated)["ingest"], Faults(3)
    with open_home(tmp_path / "home") as home:
        unbroken = home.must(*command)
        faults.command(home, "ingest", command, unbroken.seconds)
        faults.server(home, "ingest", command, unbroken.seconds)
        assert not faults.lost
        assert home.must(*command).out == unbroken.out


def _plan(names: list[str], chance: random.Random, kills: int, start: int) -> dict[str, list[str]]:
    """Spread the kills over the stages in turn. Each third kill is the server's where the stage has one."""
    planned: dict[str, list[str]] = {}
    for number in range(start, start + kills):
        stage = names[number % len(names)]
        is_server = stage in _WITH_SERVER and chance.random() < 1 / 3
        planned.setdefault(stage, []).append("server" if is_server else "command")
    return planned
