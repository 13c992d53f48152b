"""Limit the time and memory of a chat template. A template is a program that comes with a model."""

import contextlib
import resource
import signal
import threading
from collections.abc import Iterator
from types import FrameType

import psutil

SECONDS = 10.0
_MEMORY = 1 << 30  # bytes beyond those that the process has


@contextlib.contextmanager
def limited() -> Iterator[None]:
    """Raise TimeoutError after SECONDS, and let allocations of more than 1 GB fail with MemoryError.

    Signals reach the main thread only, so in other threads there is no limit. macOS does not limit memory.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    most = psutil.Process().memory_info().vms + _MEMORY
    handler = signal.signal(signal.SIGALRM, _stop)
    timer = signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        with contextlib.suppress(ValueError, OSError):  # macOS refuses some limits
            resource.setrlimit(resource.RLIMIT_AS, (most if soft == resource.RLIM_INFINITY else min(most, soft), hard))
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        signal.setitimer(signal.ITIMER_REAL, *timer)
        signal.signal(signal.SIGALRM, handler)


def _stop(_: int, __: FrameType | None) -> None:
    raise TimeoutError(f"it takes more than {SECONDS:.0f} seconds")
