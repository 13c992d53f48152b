"""Several homes at once, and several commands in one home: no error, and equal results.

HARD_HOMES sets the number of homes, 10 by default.
"""

from pathlib import Path

import psutil
import pytest

from tests.hard.chain import results, stages
from tests.hard.commands import Home, Outcome, open_home
from tests.hard.tables import setting, show

_MEMORY = 700 << 20  # bytes of one home: its local BigQuery (320 MB), a command (250 MB) and its tables
_BUSY = ("is in use by another process", "is at work in")


def _at_once(*commands: tuple[Home, tuple[str, ...]]) -> list[Outcome]:
    return [one.wait() for one in [home.start(*command) for home, command in commands]]


@pytest.mark.hard
@pytest.mark.timeout(3600)
def test_ten_homes_at_once_load_and_read_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    number = setting("HOMES", 10)
    if psutil.virtual_memory().available < number * _MEMORY:
        pytest.skip(f"{number} homes need {number * _MEMORY >> 20} MB of free memory")
    homes = [Home(tmp_path / f"home-{one}", TUNING_BIGQUERY_PORT="9050") for one in range(number)]
    rows: list[tuple[object, ...]] = [("command", "seconds of the first", "of the last", "memory of the servers, MB")]
    try:
        for command in (("sample", "--rows", "20"), ("explore.tables",), ("explore.peek", "posts_questions")):
            outcomes = _at_once(*((home, command) for home in homes))
            assert [str(one) for one in outcomes if one.status] == []
            assert len({_without_ports(one.out) for one in outcomes}) == 1
            seconds = sorted(one.seconds for one in outcomes)
            memory = sum(server.memory_info().rss for home in homes if (server := home.server())) >> 20
            rows.append((" ".join(command), f"{seconds[0]:.0f}", f"{seconds[-1]:.0f}", memory))
        ports = {server.net_connections()[0].laddr.port for home in homes if (server := home.server())}
        assert len(ports) == number
    finally:
        for home in homes:
            home.close()
    show(capsys, "homes", rows)


@pytest.mark.hard
@pytest.mark.timeout(3600)
def test_two_homes_run_the_whole_chain_at_once_with_equal_results(generated: Path, tmp_path: Path) -> None:
    with open_home(tmp_path / "one") as one, open_home(tmp_path / "two") as two:
        for command in stages(generated).values():
            outcomes = _at_once((one, command), (two, command))
            assert [str(outcome) for outcome in outcomes if outcome.status] == []
        assert results(one) == results(two)
        assert results(one)


@pytest.mark.hard
@pytest.mark.timeout(3600)
def test_each_command_twice_at_once_in_one_home_gives_what_one_gives(generated: Path, tmp_path: Path) -> None:
    with open_home(tmp_path / "alone") as alone, open_home(tmp_path / "shared") as shared:
        for command in stages(generated).values():
            alone.must(*command)
            outcomes = _at_once((shared, command), (shared, command))
            # A command that does not wait says in one line who is at work, and one of the two finishes.
            assert [
                str(one)
                for one in outcomes
                if one.status and not (one.is_clean and any(said in one.err for said in _BUSY))
            ] == []
            assert any(one.status == 0 for one in outcomes)
        assert results(shared) == results(alone)


def test_two_homes_on_one_port_load_the_sample_at_once(tmp_path: Path) -> None:
    with open_home(tmp_path / "one") as one, open_home(tmp_path / "two") as two:
        two.environment["TUNING_BIGQUERY_PORT"] = one.environment["TUNING_BIGQUERY_PORT"]
        command = ("sample", "--rows", "5")
        outcomes = _at_once((one, command), (two, command), (one, command))
        assert [str(outcome) for outcome in outcomes if outcome.status] == []
        assert len({_without_ports(outcome.out) for outcome in outcomes}) == 1


def _without_ports(text: str) -> str:
    """The output without the lines on the server's address, which differs."""
    about_ports = ("port ", "to run dbt directly", "waiting")
    return "\n".join(line for line in text.splitlines() if not line.startswith(about_ports))
