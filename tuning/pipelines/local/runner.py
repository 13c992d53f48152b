"""Run a compiled pipeline on this machine: kfp.local in a process of its own, its output in a log."""

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from tuning.pipelines.local.log import Events, Step
from tuning.pipelines.local.process import LocalRequest, LocalResult, Output
from tuning.settings import Settings
from tuning.storage import write_json


@dataclass(frozen=True)
class LocalRun:
    outputs: dict[str, Output]
    steps: list[Step]


def pipeline_root(settings: Settings) -> Path:
    """Where steps write. Outputs stay there as long as the cache may name them."""
    return settings.home / "pipeline"


def run_template(
    settings: Settings,
    template: Path,
    arguments: dict[str, str],
    folder: Path,
    show: Callable[[str], None],
    caching: bool = True,
) -> LocalRun:
    """Run `template`; logs go into `folder`. Raises TuningError with the failing step's own message.

    Without `caching` no step's files outlive the run, only the values that the pipeline returns.
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
    write_json(folder / "request.json", msgspec.to_builtins(request))
    events = Events(show)
    try:
        status = _run(folder, scratch, log, events)
        result = folder / "result.json"
        if status != 0 or not result.exists():
            raise events.error(str(log))
        return LocalRun(msgspec.json.decode(result.read_bytes(), type=LocalResult).outputs, events.steps)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _run(folder: Path, scratch: Path, log: Path, events: Events) -> int:
    environment = {
        **os.environ,
        "TMPDIR": str(scratch / "tmp"),  # kfp.local leaks a folder per step there
        "PATH": f"{scratch / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "PYTHONUNBUFFERED": "1",
        "PYTHONWARNINGS": "ignore::FutureWarning,ignore::DeprecationWarning",
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
    try:
        with process, log.open("w", encoding="utf-8") as file:
            for line in process.stdout or ():
                file.write(line)
                file.flush()
                events.feed(line)
        return process.returncode
    finally:
        process.kill()  # on an interrupt; its running step notices and ends too


def _write_interpreter(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n')
    path.chmod(0o755)
