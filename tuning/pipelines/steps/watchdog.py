"""End a process when one of its ancestors has ended, so that no step outlives a killed run."""

import os
import signal
import threading
import time

import psutil

_SECONDS = 0.5  # between two checks of the ancestors
GRACE_SECONDS = 10.0  # for a handler of SIGTERM


def end_with_ancestors(depth: int) -> None:
    """End this process soon after any of its `depth` nearest ancestors has ended, as a signal (SIGTERM) would.

    A step's parent is a shell, which outlives the runner. Therefore, watching only the parent is not enough.
    """
    watched = psutil.Process().parents()[:depth]
    threading.Thread(target=_watch, args=(watched,), name="ancestors", daemon=True).start()


def _watch(ancestors: list[psutil.Process]) -> None:
    while all(_alive(process) for process in ancestors):
        time.sleep(_SECONDS)
    if signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:  # something must be done before
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(GRACE_SECONDS)
    os._exit(1)  # sys.exit would end only this thread


def _alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
