"""A run that is killed leaves no step behind."""

import signal
import subprocess
import sys

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
