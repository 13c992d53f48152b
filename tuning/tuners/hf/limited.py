"""Limit the time and memory of a chat template. A template is a program that comes with a model."""

import contextlib
import resource
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

SECONDS = 10.0
_MEMORY = 1 << 30  # bytes beyond those that the process has
_USED = Path("/proc/self/statm")  # its first number is the process's virtual memory in pages


@contextlib.contextmanager
def limited() -> Iterator[None]:
    """Raise TimeoutError after SECONDS. On Linux, let allocations of more than 1 GB fail with MemoryError.

    Signals reach the main thread only, so in other threads there is no limit.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.signal(signal.SIGALRM, _stop)
    # It repeats, because Python ignores an exception that is raised while an object is deleted.
    timer = signal.setitimer(signal.ITIMER_REAL, SECONDS, 1)
    try:
        with _limited_memory() if sys.platform == "linux" else contextlib.nullcontext():
            yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, *timer)


@contextlib.contextmanager
def _limited_memory() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    most = int(_USED.read_text().split()[0]) * resource.getpagesize() + _MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (most if soft == resource.RLIM_INFINITY else min(most, soft), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _stop(_: int, __: FrameType | None) -> None:
    raise TimeoutError(f"it takes more than {SECONDS:.0f} seconds")
