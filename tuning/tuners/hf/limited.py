"""Limit the time and memory of a chat template. A template is a program that comes with a model."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

from tuning.machine import limited_memory

SECONDS = 10.0
_MEMORY = 1 << 30  # bytes beyond those that the process has


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
        with limited_memory(_MEMORY):
            yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, *timer)


def _stop(_: int, __: FrameType | None) -> None:
    raise TimeoutError(f"it takes more than {SECONDS:.0f} seconds")
