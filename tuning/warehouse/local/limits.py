"""Stop a statement that runs too long or takes too much memory, and let the server live on."""

import contextlib
import resource
import sys
import threading
import time
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import psutil

_POLL_SECONDS = 0.05
_SLACK = 256 << 20  # what a statement may take beyond its limit until the watch sees it, in bytes
_job: ContextVar["tuple[float, float] | None"] = ContextVar("start and timeout of a job", default=None)


class Limits:
    """Watch one statement at a time: its seconds, and the growth of the process's memory in bytes.

    A thread interrupts DuckDB when a limit is reached. One call of a function cannot be interrupted, so the operating
    system also limits the memory where it can (on Linux).
    """

    def __init__(self, seconds: float, memory: int) -> None:
        self.seconds = seconds
        self.memory = memory
        self.reason = ""  # why the last statement was stopped; '' if it was not
        self._process = psutil.Process()
        self._guarded: tuple[Any, float, int, float] | None = None
        self._changed = threading.Condition()
        threading.Thread(target=self._watch, name="statement limits", daemon=True).start()

    @contextlib.contextmanager
    def statement(self, connection: Any) -> Iterator[None]:
        """Watch the statement that `connection` runs inside. `reason` says afterwards why it was stopped."""
        if self._guarded is not None:
            yield
            return
        now = time.monotonic()
        start, timeout = _job.get() or (now, 0)
        seconds = min(self.seconds, timeout or self.seconds)
        if now > start + seconds:  # a script of many short statements
            self.reason = _time_message(seconds)
            raise TimeoutError(self.reason)
        with self._changed:
            self.reason = ""
            self._guarded = (connection, start + seconds, self._process.memory_info().rss, seconds)
            self._changed.notify()
        try:
            with self._limited_by_system():
                yield
        except (MemoryError, Exception) as error:
            if "Out of Memory Error" in str(error) or isinstance(error, MemoryError):
                self.reason = self.reason or self._memory_message()
            raise
        finally:
            with self._changed:
                self._guarded = None

    def _watch(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._guarded is not None)
                assert self._guarded is not None  # noqa: S101
                connection, deadline, before, seconds = self._guarded
                if time.monotonic() > deadline:
                    self.reason = self.reason or _time_message(seconds)
                elif self._process.memory_info().rss - before > self.memory:
                    self.reason = self.reason or self._memory_message()
                if self.reason:
                    connection.interrupt()
            time.sleep(_POLL_SECONDS)

    def _memory_message(self) -> str:
        return f"the statement took more memory than its limit of {self.memory / 2**30:.1f} GiB. Read or keep less data"

    @contextlib.contextmanager
    def _limited_by_system(self) -> Iterator[None]:
        if sys.platform != "linux":
            yield
            return
        soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
        wanted = self._process.memory_info().data + self.memory + _SLACK
        resource.setrlimit(resource.RLIMIT_DATA, (wanted if hard < 0 else min(wanted, hard), hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


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
