"""One command at a time runs pipelines in a home, and a second one ends before it works."""

import multiprocessing
from collections.abc import Iterator
from multiprocessing.synchronize import Event
from pathlib import Path

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
        rf"Wait until it ends, end it with `kill {other.pid}`, or set TUNING_HOME to another folder$"
    )
    tuning = TuningOptions(base_model="tiny", run_answers="no")
    shown: list[str] = []
    with pytest.raises(TuningError, match=said):
        tune_all(settings, Given(tuning=tuning), shown.append)
    with pytest.raises(TuningError, match=said):
        run_refresh(settings, RefreshOptions(), tuning, show=shown.append)
    assert shown == []
    assert [path.name for path in settings.home.iterdir()] == ["pipeline"]


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
