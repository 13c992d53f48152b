"""Return the package's version and git commit, the usable cores and the status of a run. Limit a block's memory."""

import contextlib
import functools
import os
import platform
import resource
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

import psutil

from tuning.settings import PROJECT_ROOT

_USED = Path("/proc/self/statm")  # its first number is the process's virtual memory in pages


def package_version() -> str:
    """Return the version of this package, as pyproject.toml states it."""
    return version("python-qa-tuning")


def usable_cores() -> int:
    """Return the number of cores that this process may use.

    On macOS, which has no ``os.sched_getaffinity``, this is the number of all cores.
    """
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextlib.contextmanager
def limited_memory(size: int) -> Iterator[None]:
    """Let the block fail with MemoryError if this process takes `size` bytes more than it has. On Linux only."""
    if sys.platform != "linux":
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    most = int(_USED.read_text().split()[0]) * resource.getpagesize() + size
    resource.setrlimit(resource.RLIMIT_AS, (most if soft == resource.RLIM_INFINITY else min(most, soft), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def run_status(status: str, host: str, pid: int, started_at: str) -> str:
    """Return the status of a run from its record: "interrupted" for a running one whose process has ended.

    The process `pid` wrote the record at `started_at` (ISO 8601). Processes of other hosts count as running.
    """
    if status != "running" or host != platform.node() or not pid or _still_runs(pid, started_at):
        return status
    return "interrupted"


def _still_runs(pid: int, started_at: str) -> bool:
    """Return whether the process runs. The system gives the number of an ended one to a new one, which is younger."""
    try:
        return psutil.Process(pid).create_time() <= datetime.fromisoformat(started_at).timestamp() + 1
    except psutil.Error:
        return False


@functools.cache
def git_commit() -> str:
    """Return the full commit hash of the code, with the suffix ``-dirty`` if tracked files differ from the commit.

    Returns '' outside a git checkout, such as in an installed package.
    """
    command = ["git", "-C", str(PROJECT_ROOT), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""
