"""Invoke's own program in this process, which saves its start.

What a process of its own adds (the installed command, its status, a pipe that breaks) is tested in test_command_line.py
and in the tests "as typed" of the cloud.
"""

import io
import os
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from unittest import mock

import pytest
from invoke.main import program

from tuning.settings import PROJECT_ROOT


@dataclass(frozen=True)
class Result:
    returncode: int
    stdout: str
    stderr: str


def invoke_here(*arguments: str, **environ: str) -> Result:
    """Run ``invoke`` with these arguments in the project's folder, with these further environment variables."""
    stdout, stderr = io.StringIO(), io.StringIO()
    code: object = 0
    with (
        mock.patch.dict(os.environ),  # a command hides secrets from its own environment
        pytest.MonkeyPatch.context() as patch,
        redirect_stdout(stdout),
        redirect_stderr(stderr),
    ):
        for name, value in environ.items():
            patch.setenv(name, value)
        patch.chdir(PROJECT_ROOT)
        patch.setattr(sys, "argv", ["invoke", *arguments])
        try:
            program.run(["invoke", *arguments])
        except SystemExit as ended:
            code = ended.code
    return Result(int(str(code or 0)), stdout.getvalue(), stderr.getvalue())
