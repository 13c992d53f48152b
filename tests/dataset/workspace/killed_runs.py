"""Kill runs at random moments, and complete each with a second run. This is the program of test_killed.py.

Arguments: snapshot folder, work folder, number of runs, preset (can be empty). The program forks for each run, which is
faster than starting Python.
"""

import json
import os
import random
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import jinja2  # noqa: F401 - lazily imported by a run: import it once, before the forks
import markdown_it  # noqa: F401
import polars  # noqa: F401
import yaml  # noqa: F401

from tests.dataset.folders import fingerprint
from tuning.dataset.create import create_dataset
from tuning.dataset.options import resolve_options
from tuning.dataset.rows import pass_one
from tuning.dataset.snapshot.snapshot import open_snapshot
from tuning.dataset.split import pass_two
from tuning.dataset.workspace import store
from tuning.settings import Settings

_FILE_EVENTS = ("open", "os.", "shutil.", "tempfile.")


def main(snapshot: Path, folder: Path, runs: int, preset: str) -> None:
    """Print as JSON the hashes of an uninterrupted run, those after each killed run, and the event of each kill."""
    whole = folder / "whole"
    events = in_child(lambda: run(snapshot, whole, preset, kill_at=None), folder / "events")
    killed = sorted(random.Random(11).sample(range(events), runs))  # noqa: S311 - test data
    after = []
    for moment in killed:
        home = folder / f"killed{moment}"
        in_child(lambda home=home, moment=moment: run(snapshot, home, preset, kill_at=moment), folder / "none")
        assert finished(home) in ({}, finished(whole)), f"the run killed at event {moment} left an incomplete dataset"
        in_child(lambda home=home: run(snapshot, home, preset, kill_at=None), folder / "none")
        after.append(finished(home))
        left_over = sorted(path.name for path in home.glob("datasets/.*") if path.suffix != ".lock")
        assert left_over == [], f"the run killed at event {moment} left {left_over}"
    print(json.dumps({"whole": finished(whole), "after": after, "killed": killed, "events": events}))


def run(snapshot: Path, home: Path, preset: str, kill_at: int | None) -> int:
    """Create the dataset and return the number of file events. Send SIGKILL to this process before event `kill_at`."""
    count = 0

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal count
        if event.startswith(_FILE_EVENTS):
            count += 1  # before the kill, which is an event too
            if count - 1 == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)

    pass_one._ROWS_PER_PART_SEED, pass_two._ROWS, store._CUT = 100, 50, 1  # several of each, and every truncation
    sys.addaudithook(hook)
    create_dataset(Settings(home=home), open_snapshot(snapshot), resolve_options(preset), 1)
    return count


def in_child(function: Callable[[], int], result: Path) -> int:
    """Run the function in a separate process and return its result, or 0 if the process was killed."""
    if pid := os.fork():
        _, status = os.waitpid(pid, 0)
        assert os.WIFSIGNALED(status) or os.waitstatus_to_exitcode(status) == 0
        return int(result.read_text()) if result.exists() else 0
    value = function()
    if result.name != "none":
        result.write_text(str(value))
    os._exit(0)


def finished(home: Path) -> dict[str, str]:
    folders = list((home / "datasets").glob("[!.]*/"))
    return fingerprint(folders[0]) if folders else {}


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
