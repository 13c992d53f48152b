"""Stop statements that run too long or take too much memory, and let the server live on."""

import contextlib
import resource
import sys
import threading
import time
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

_POLL_SECONDS = 0.05
_SLACK = 256 << 20  # what a statement may take beyond its limit until the watch sees it, in bytes
_job: ContextVar["tuple[float, float] | None"] = ContextVar("start and timeout of a job", default=None)


class LimitError(Exception):
    """A statement was stopped because it reached a limit, which the message names."""


@dataclass
class _Running:
    """Describe a running statement. The times are in seconds on the monotonic clock, `before` is in bytes."""

    connection: Any
    deadline: float
    seconds: float
    before: int  # memory of the process when the statement began
    reason: str = ""  # why it is stopped


class Limits:
    """Watch running statements: the seconds of each, and the growth of the process's memory in bytes.

    A thread interrupts DuckDB when a limit is reached. One call of a function cannot be interrupted, so the operating
    system also limits the memory where it can (on Linux).
    """

    def __init__(self, seconds: float, memory: int) -> None:
        self.seconds = seconds
        self.memory = memory
        self._process = psutil.Process()
        self._running: dict[int, _Running] = {}  # by thread, because rows of tables are listed in threads
        self._system_limit: tuple[int, int] | None = None  # as it was before the first of the running statements
        self._changed = threading.Condition()
        threading.Thread(target=self._watch, name="statement limits", daemon=True).start()

    @contextlib.contextmanager
    def statement(self, connection: Any) -> Iterator[None]:
        """Watch the statement that `connection` runs inside. Raises LimitError if it is stopped.

        Inside a statement of the same thread, this does nothing.
        """
        thread = threading.get_ident()
        if thread in self._running:
            yield
            return
        now = time.monotonic()
        start, timeout = _job.get() or (now, 0)
        seconds = min(self.seconds, timeout or self.seconds)
        if now > start + seconds:  # a script of many short statements
            raise LimitError(_time_message(seconds))
        running = _Running(connection, start + seconds, seconds, self._process.memory_info().rss)
        with self._changed:
            if not self._running:
                self._limit_system()
            self._running[thread] = running
            self._changed.notify()
        try:
            yield
        except (MemoryError, Exception) as error:
            if "Out of Memory Error" in str(error) or isinstance(error, MemoryError):
                running.reason = running.reason or self._memory_message()
            if running.reason:
                raise LimitError(running.reason) from error
            raise
        finally:
            with self._changed:
                del self._running[thread]
                if not self._running:
                    self._lift_system_limit()

    def _watch(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._running)
                now, memory = time.monotonic(), self._process.memory_info().rss
                for one in self._running.values():
                    if now > one.deadline:
                        one.reason = one.reason or _time_message(one.seconds)
                    elif memory - one.before > self.memory:
                        one.reason = one.reason or self._memory_message()
                    if one.reason:
                        one.connection.interrupt()
            time.sleep(_POLL_SECONDS)

    def _memory_message(self) -> str:
        return f"the statement took more memory than its limit of {self.memory / 2**30:.1f} GiB. Read or keep less data"

    def _limit_system(self) -> None:
        if sys.platform == "linux":
            self._system_limit = resource.getrlimit(resource.RLIMIT_DATA)
            hard = self._system_limit[1]
            wanted = self._process.memory_info().data + self.memory + _SLACK
            resource.setrlimit(resource.RLIMIT_DATA, (wanted if hard < 0 else min(wanted, hard), hard))

    def _lift_system_limit(self) -> None:
        if self._system_limit is not None:
            resource.setrlimit(resource.RLIMIT_DATA, self._system_limit)


@contextlib.contextmanager
def job_limit(timeout: float) -> Iterator[None]:
    """Count all statements inside as one job. `timeout` is the job's own limit in seconds."""
    token = _job.set((time.monotonic(), timeout))
    try:
        yield
    finally:
        _job.reset(token)


def machine_memory() -> int:
    """Return the bytes of memory that this machine, or the container, has."""
    total = psutil.virtual_memory().total
    with contextlib.suppress(OSError, ValueError):
        total = min(total, int(Path("/sys/fs/cgroup/memory.max").read_text()))
    return int(total)


def _time_message(seconds: float) -> str:
    return f"the query ran longer than its limit of {seconds:g} seconds. Read less data, or set a longer job timeout"
