"""End without a message if the reader of the output has ended, as in ``invoke config | head -1``."""

import atexit
import contextlib
import os
import select
import sys
from types import TracebackType

STATUS = 141  # what shells report for a program that ends because its output is closed


def is_closed() -> bool:
    """Return whether the other end of stdout, a pipe, is closed."""
    poll = select.poll()
    poll.register(1, select.POLLOUT)
    return any(event & (select.POLLERR | select.POLLNVAL) for _, event in poll.poll(0))


def drop() -> None:
    """Send the rest of the output nowhere. Otherwise, Python reports an error when it flushes stdout at its end."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def end_quietly() -> None:
    """Make this process print no error of its own about a closed output, such as that of ``invoke --list``."""
    shown = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, BrokenPipeError) and is_closed():
            drop()
        else:
            shown(kind, error, trace)

    sys.excepthook = hook
    atexit.register(_flush)


def _flush() -> None:
    try:
        if sys.stdout:
            sys.stdout.flush()
    except BrokenPipeError:
        drop()
