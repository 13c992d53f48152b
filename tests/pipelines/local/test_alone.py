"""One command at a time runs pipelines in a home, and a second one ends before it works."""

import json
import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from multiprocessing.synchronize import Event
from pathlib import Path

import psutil
import pytest

from tuning.command_line.options import TuningOptions
from tuning.errors import TuningError
from tuning.pipelines.end_to_end import Given, tune_all
from tuning.pipelines.local import alone as lock
from tuning.pipelines.local.alone import alone
from tuning.pipelines.refresh.request import RefreshOptions
from tuning.pipelines.refresh.run import run_refresh
from tuning.settings import Settings
from tuning.storage import locked

Process = multiprocessing.context.SpawnProcess


def _hold(home: Path, held: Event) -> None:
    with alone(Settings(home=home), "invoke tune"):
        held.set()
        multiprocessing.Event().wait()


@pytest.fixture
def other(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Process]:
    """Another process that holds the lock."""
    monkeypatch.setattr(lock, "_SECONDS", 0)
    context = multiprocessing.get_context("spawn")
    held = context.Event()
    process = context.Process(target=_hold, args=(settings.home, held))
    process.start()
    try:
        assert held.wait(30)
        yield process
    finally:
        process.kill()
        process.join()


def test_a_second_command_ends_before_any_work_and_names_the_first(settings: Settings, other: Process) -> None:
    said = (
        rf"^`invoke tune` is at work in {settings.home} since \d\d:\d\d UTC \(process {other.pid}\)\. "
        rf"Wait until it ends, or set TUNING_HOME to another folder\. `kill {other.pid}` ends it$"
    )
    tuning = TuningOptions(base_model="tiny", run_answers="no")
    shown: list[str] = []
    with pytest.raises(TuningError, match=said):
        tune_all(settings, Given(tuning=tuning), shown.append)
    with pytest.raises(TuningError, match=said):
        run_refresh(settings, RefreshOptions(), tuning, show=shown.append)
    assert shown == []
    assert [path.name for path in settings.home.iterdir()] == ["pipeline"]


def test_a_command_that_is_stopped_is_said_to_be_so(settings: Settings, other: Process) -> None:
    assert other.pid
    os.kill(other.pid, signal.SIGSTOP)
    deadline = time.monotonic() + 30
    while psutil.Process(other.pid).status() != psutil.STATUS_STOPPED:  # the signal takes a moment
        assert time.monotonic() < deadline
        time.sleep(0.01)
    said = rf"UTC and is stopped \(process {other.pid}\)\. Let it go on with `kill -CONT {other.pid}`, or end it with"
    with pytest.raises(TuningError, match=said), alone(settings, "invoke tune"):
        pass


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"host": "another"},
            r"UTC on another\. Wait until it ends, or set TUNING_HOME to another folder$",
        ),
        ({"started_at": "today"}, "another command is at work in "),
        ({"pid": "x"}, "another command is at work in "),
        ({"format_version": 99}, "another command is at work in "),
    ],
)
def test_a_command_of_another_host_or_with_a_damaged_record_is_not_to_be_killed(
    settings: Settings, other: Process, change: dict[str, object], said: str
) -> None:
    path = settings.home / "pipeline" / "holder.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(TuningError, match=said) as error, alone(settings, "invoke tune"):
        pass
    assert "kill" not in str(error.value)


def test_a_killed_command_frees_the_lock_and_is_not_named_any_more(settings: Settings, other: Process) -> None:
    other.kill()
    other.join()
    with (
        locked(settings.home / "pipeline" / ".lock", "the local pipeline"),
        pytest.raises(TuningError, match=r"another command is at work in .*, such as `invoke clean`\. Wait until"),
        alone(settings, "invoke tune"),
    ):
        pass
    with alone(settings, "invoke tune"):
        pass
    assert [path.name for path in (settings.home / "pipeline").iterdir()] == [".lock"]
