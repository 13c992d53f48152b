"""Run our own programs as the harness runs those of an answer."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from tuning.answers import child, sandbox

PARALLEL = 2
SECONDS = 60


class Program(NamedTuple):
    """What one process runs, and a name to find it by."""

    name: str
    setup: str
    code: str
    check: str


def run(program: Program) -> dict[str, Any]:
    request = {"setup": program.setup, "code": program.code, "check": program.check}
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-I", str(Path(child.__file__))]
        done = subprocess.run(
            command, input=json.dumps(request), cwd=folder, capture_output=True, text=True, timeout=SECONDS, check=False
        )
    assert done.stdout.strip(), f"{program.name}: {done.stderr}"
    result: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return result


def run_all(programs: list[Program]) -> dict[str, dict[str, Any]]:
    """Run the programs in the sandbox, whose processes are forked and therefore start fast."""
    results = sandbox.run(
        [sandbox.Program(program.setup, program.code, program.check) for program in programs],
        protection=sandbox.protection(),
        workers=PARALLEL,
    )
    return {
        program.name: {"ran": result.ran, "passed": result.passed, "check": result.error, "output": result.output}
        for program, result in zip(programs, results, strict=True)
    }
