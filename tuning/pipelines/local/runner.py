"""Run a compiled pipeline on this machine, with kfp.local in a separate process, and log its output."""

import contextlib
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from tuning.pipelines.local.log import UNKNOWN, Events, Stages
from tuning.pipelines.local.process import AGAIN, LocalRequest, LocalResult
from tuning.pipelines.outcome import Output, Step
from tuning.pipelines.steps.watchdog import GRACE_SECONDS
from tuning.progress import RELAYED, is_relayed, is_shown
from tuning.records import read_record, write_record
from tuning.settings import Settings


@dataclass(frozen=True)
class LocalRun:
    """Hold the outputs and the steps of a run on this machine."""

    outputs: dict[str, Output]
    steps: list[Step]


def pipeline_root(settings: Settings) -> Path:
    """Return the folder that steps write to. Outputs stay there while the cache may refer to them."""
    return settings.home / "pipeline"


def run_template(
    settings: Settings,
    template: Path,
    arguments: dict[str, str],
    folder: Path,
    show: Callable[[str], None],
    caching: bool = True,
    stages: Stages = UNKNOWN,
) -> LocalRun:
    """Run a compiled pipeline and return its outputs. Logs go into `folder`.

    Without `caching`, the files of the steps are deleted after the run, and only the values that the pipeline returns
    remain. `stages` are those of `Events`. Raises TuningError with the step's own message if a step fails.
    """
    scratch = folder / "scratch"
    log = folder / "pipeline.log"
    (scratch / "tmp").mkdir(parents=True)
    _write_interpreter(scratch / "bin" / "python3")
    request = LocalRequest(
        template=str(template),
        arguments=arguments,
        root=str(pipeline_root(settings) if caching else scratch / "outputs"),
        scratch=str(scratch),
        caching=caching,
    )
    write_record(folder / "request.json", request)
    events = Events(show, stages=stages)
    try:
        status = _run(folder, scratch, log, events)
        result = folder / "result.json"
        if status != 0 or not result.exists():
            raise events.error(str(log))
        return LocalRun(read_record(result, LocalResult, AGAIN).outputs, events.steps)
    finally:
        events.close()
        shutil.rmtree(scratch, ignore_errors=True)


def _run(folder: Path, scratch: Path, log: Path, events: Events) -> int:
    environment = {
        **os.environ,
        "TMPDIR": str(scratch / "tmp"),  # kfp.local leaves a folder per step there
        "PATH": f"{scratch / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "PYTHONUNBUFFERED": "1",
        "PYTHONWARNINGS": "ignore::FutureWarning,ignore::DeprecationWarning",
        **({RELAYED: "1"} if is_shown() else {}),
    }
    command = [sys.executable, "-m", "tuning.pipelines.local.process", str(folder / "request.json")]
    process = subprocess.Popen(
        [*command, str(folder / "result.json")],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=environment,
    )
    with process, log.open("w", encoding="utf-8") as file:
        try:
            for line in process.stdout or ():
                if not is_relayed(line.strip()):
                    file.write(line)
                    file.flush()
                events.feed(line)
        except BaseException:
            _end(process)  # here, because the end of the block waits for it
            raise
    return process.returncode


def _end(process: "subprocess.Popen[str]") -> None:
    """Kill the runner, and tell the step that it runs to end, which may not have got so far as to watch the runner."""
    steps = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    process.kill()
    for one in steps:
        with contextlib.suppress(psutil.NoSuchProcess):
            one.terminate()
    _, still = psutil.wait_procs(steps, timeout=GRACE_SECONDS)
    for one in still:
        with contextlib.suppress(psutil.NoSuchProcess):
            one.kill()


def _write_interpreter(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n')
    path.chmod(0o755)
