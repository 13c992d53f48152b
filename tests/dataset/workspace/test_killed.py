"""Test that a killed run leaves no incomplete dataset, and that the next run writes the same bytes."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.dataset.folders import fingerprint
from tests.marts import row, write_snapshot
from tuning.dataset import create
from tuning.dataset.create import create_dataset
from tuning.dataset.options import DatasetOptions
from tuning.dataset.rows import prepare
from tuning.dataset.split.selection import select
from tuning.settings import Settings
from tuning.storage import locked

RUNS = 20
PARTS = 8
prepare_part = prepare._prepare


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["", "seed"])
def test_twenty_runs_killed_anywhere_give_the_bytes_of_an_unbroken_one(preset: str, tmp_path: Path) -> None:
    snapshot = write_snapshot(tmp_path / "snapshot", [row(number) for number in range(400)], files=2)
    program = [
        sys.executable,
        "-m",
        "tests.dataset.workspace.killed_runs",
        str(snapshot.folder),
        str(tmp_path),
        str(RUNS),
        preset,
    ]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2_000:]
    result = json.loads(done.stdout)
    assert len(result["whole"]) == 7
    assert len(result["killed"]) == RUNS
    assert result["after"] == [result["whole"]] * RUNS


@pytest.mark.slow
def test_killing_the_main_process_ends_its_workers_and_the_next_run_goes_on_from_their_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = write_snapshot(tmp_path / "snapshot", [row(number) for number in range(PARTS * 1_024)])
    program = (
        "import sys; from pathlib import Path; from tuning.dataset.create import create_dataset;"
        "from tuning.dataset.options import DatasetOptions; from tuning.dataset.snapshot.snapshot import open_snapshot;"
        "from tuning.settings import PROJECT_ROOT, Settings;"
        "create_dataset(Settings(home=Path(sys.argv[2])), open_snapshot(Path(sys.argv[1])), DatasetOptions(), 2)"
    )
    home = tmp_path / "home"
    process = subprocess.Popen([sys.executable, "-c", program, str(snapshot.folder), str(home)])
    deadline = time.monotonic() + 120
    while not list(home.glob("datasets/.*.parts/*/*.keys")):
        assert time.monotonic() < deadline
        assert process.poll() is None
    workers = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGKILL)
    process.wait()
    gone, alive = psutil.wait_procs(workers, timeout=60)
    assert alive == []
    assert len(gone) >= 2
    finished = len(list(home.glob("datasets/.*.parts/*/*.keys")))
    made = []
    monkeypatch.setattr(prepare, "_prepare", lambda job, batch: made.append(job.number) or prepare_part(job, batch))
    resumed = create_dataset(Settings(home=home), snapshot, DatasetOptions(), 1)
    assert len(made) == PARTS - finished < PARTS
    whole = create_dataset(Settings(home=tmp_path / "whole"), snapshot, DatasetOptions(), 1)
    assert fingerprint(resumed.folder) == fingerprint(whole.folder)


def test_parts_of_other_files_or_with_other_bytes_are_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [row(number) for number in range(2_000)]
    snapshot = write_snapshot(tmp_path / "snapshot", rows)
    whole = create_dataset(Settings(home=tmp_path / "whole"), snapshot, DatasetOptions(), 1)
    home = tmp_path / "home"

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(create, "select", interrupted)
    with pytest.raises(KeyboardInterrupt):
        create_dataset(Settings(home=home), snapshot, DatasetOptions(), 1)
    data = sorted(home.glob("datasets/.*.parts/*/*.data"))
    assert len(data) == 2
    data[0].write_bytes(b"?" + data[0].read_bytes()[1:])
    made = []
    monkeypatch.setattr(prepare, "_prepare", lambda job, batch: made.append(job.number) or prepare_part(job, batch))
    with pytest.raises(KeyboardInterrupt):
        create_dataset(Settings(home=home), snapshot, DatasetOptions(), 1)
    assert made == [0]
    shuffled = write_snapshot(tmp_path / "snapshot", rows[::-1])
    made.clear()
    monkeypatch.setattr(create, "select", select)
    again = create_dataset(Settings(home=home), shuffled, DatasetOptions(), 1)
    assert made == [0, 1]
    assert fingerprint(again.folder) == fingerprint(whole.folder)


def test_what_killed_runs_prepared_is_removed_after_a_week_unless_somebody_goes_on_with_it(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home")
    folders = {name: settings.datasets_dir / f".{name}.parts" for name in ("forgotten", "recent", "resumed")}
    for name, folder in folders.items():
        (folder / "mark").mkdir(parents=True)
        week_ago = time.time() - 7 * 24 * 3600
        os.utime(folder, (week_ago, week_ago + (60 if name == "recent" else -60)))
    with locked(settings.datasets_dir / ".resumed.lock", "the dataset"):
        create_dataset(settings, write_snapshot(tmp_path / "snapshot", [row(number) for number in range(40)]),
                       DatasetOptions(), 1)  # fmt: skip
    assert [name for name, folder in folders.items() if folder.exists()] == ["recent", "resumed"]
