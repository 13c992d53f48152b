"""A run that is killed leaves no step behind."""

import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

# A runner, a shell and a step, as kfp.local nests them; the step prints its process id.
STEP = """
import os, time
from tuning.pipelines.steps.watchdog import end_with_ancestors
end_with_ancestors(2)
print(os.getpid(), flush=True)
time.sleep(600)
"""
RUNNER = f"""
import subprocess, sys
subprocess.run(["sh", "-c", '"$0" -c "$1"; true', sys.executable, {STEP!r}])
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_step_ends_when_its_runner_is_killed(how):
    with subprocess.Popen([sys.executable, "-c", RUNNER], stdout=subprocess.PIPE, text=True) as runner:
        step = psutil.Process(int(runner.stdout.readline()))
        assert step.is_running()
        runner.send_signal(how)
        runner.wait()
        gone, alive = psutil.wait_procs([step], timeout=60)
    assert (gone, alive) == ([step], [])


def test_a_step_with_something_to_do_at_its_end_is_told_before(tmp_path: Path) -> None:
    done = tmp_path / "done"
    step = f"""
import signal, sys, time
from pathlib import Path
from tuning.pipelines.steps.watchdog import end_with_ancestors
def end(*_):
    Path({str(done)!r}).touch()
    sys.exit(1)
signal.signal(signal.SIGTERM, end)
end_with_ancestors(1)
print("started", flush=True)
time.sleep(60)
"""
    runner = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {step!r}])"
    with subprocess.Popen([sys.executable, "-c", runner], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        process.kill()
        process.stdout.read()  # until the step has ended
    assert done.exists()
