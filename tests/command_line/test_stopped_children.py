"""What a command has started ends with it when it is stopped: a step of a pipeline, and dbt."""

import os
import shlex
import signal
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from tuning.command_line.stopped import StoppedError, stopped_by_signal
from tuning.pipelines.local import runner
from tuning.settings import Settings
from tuning.warehouse import dbt_process

# A step that works for ten minutes, below a runner and a shell, as kfp.local nests them. It prints its process id.
# It has not begun to watch the runner.
STEP = """
import os, time
print("INFO - Executing task 'tune'", flush=True)
print(f"note: {os.getpid()}", flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("stop", [StoppedError, KeyboardInterrupt])
def test_a_step_has_ended_when_the_command_that_runs_it_was_stopped(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: type[KeyboardInterrupt]
) -> None:
    program = tmp_path / "python"
    program.write_text(f'#!/bin/sh\nsh -c \'"$0" -c "$1"; true\' {shlex.quote(sys.executable)} {shlex.quote(STEP)}\n')
    program.chmod(0o755)
    monkeypatch.setattr(runner.sys, "executable", str(program))
    said: list[str] = []

    def show(line: str) -> None:
        said.append(line)
        raise stop

    folder = tmp_path / "run"
    started = time.monotonic()
    with pytest.raises(stop):
        runner.run_template(settings, tmp_path / "none.yaml", {}, folder, show)
    assert time.monotonic() - started < 60
    assert not psutil.pid_exists(int(said[0].split()[-1]))
    assert not (folder / "scratch").exists()


def test_dbt_is_told_to_end_when_its_command_is(tmp_path: Path) -> None:
    begun, ended = tmp_path / "begun", tmp_path / "ended"
    program = f"""
import time
from pathlib import Path
try:
    Path({str(begun)!r}).touch()
    time.sleep(600)
except KeyboardInterrupt:
    Path({str(ended)!r}).touch()
"""

    def stop() -> None:
        while not begun.exists():
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGTERM)

    started = time.monotonic()
    threading.Thread(target=stop).start()
    with stopped_by_signal(), pytest.raises(StoppedError):
        dbt_process._run([sys.executable, "-c", program], dict(os.environ), "build", None)
    assert time.monotonic() - started < 60
    assert ended.exists()
