"""End a command that is told to end (SIGTERM) as one that is interrupted (Ctrl-C): what it began is put in order."""

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType

STATUS = 128 + signal.SIGTERM  # as shells report it


class StoppedError(KeyboardInterrupt):
    """Say that this process was told to end by SIGTERM."""


@contextlib.contextmanager
def stopped_by_signal() -> Iterator[None]:
    """Raise StoppedError in the block when SIGTERM comes. In another thread than the main one, change nothing."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    owner = os.getpid()

    def stop(number: int, _: FrameType | None) -> None:
        if os.getpid() != owner:  # a process that was forked in the block ends as it would without it
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        signal.signal(number, signal.SIG_IGN)  # a second one does not disturb the end
        raise StoppedError

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
