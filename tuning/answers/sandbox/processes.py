"""Find, count and end the processes of a program. On macOS, which has no /proc, no processes are found."""

import contextlib
import os
import signal
import time
from pathlib import Path
from typing import NamedTuple

_PAGE = os.sysconf("SC_PAGE_SIZE")
_PATIENCE = 10  # seconds for the kernel to end processes that were killed


class Process(NamedTuple):
    """Hold values from /proc/PID/stat."""

    parent: int
    threads: int
    memory: int  # resident bytes


def _stat(process: int) -> Process | None:
    try:
        fields = Path(f"/proc/{process}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return None  # the process has ended
    # The fields after the name, as proc_pid_stat(5) numbers them: 4 ppid, 20 num_threads, 24 rss in pages.
    return Process(int(fields[1]), int(fields[17]), int(fields[21]) * _PAGE)


def _all() -> list[int]:
    try:
        with os.scandir("/proc") as found:
            return [int(entry.name) for entry in found if entry.name.isdigit()]
    except OSError:
        return []


def descendants() -> dict[int, Process]:
    """Return all descendants of this process, by process ID."""
    found = {number: process for number in _all() if (process := _stat(number)) is not None}
    children: dict[int, list[int]] = {}
    for number, process in found.items():
        children.setdefault(process.parent, []).append(number)
    mine: list[int] = []
    waiting = [os.getpid()]
    while waiting:
        below = children.get(waiting.pop(), [])
        mine += below
        waiting += below
    return {number: found[number] for number in mine}


def tasks_of_user() -> int:
    """Return how many processes and threads the user of this process has, as far as /proc shows them."""
    user, count = os.getuid(), 0
    for number in _all():
        with contextlib.suppress(OSError):
            if Path(f"/proc/{number}").stat().st_uid == user:
                process = _stat(number)
                count += process.threads if process else 0
    return count


def end(group: int) -> None:
    """Kill the process group `group` and all descendants of this process, and wait until none is left.

    Raises TimeoutError if one is left after 10 seconds.
    """
    until = time.monotonic() + _PATIENCE
    while True:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)
        for number in descendants():
            with contextlib.suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        if time.monotonic() > until:
            raise TimeoutError("processes of the program do not end")
        time.sleep(0.001)
