"""End a process when the one that wanted its work is gone: a killed run leaves no step behind."""

import os
import threading
import time

import psutil

_SECONDS = 0.5


def end_with_ancestors(depth: int) -> None:
    """End this process soon after any of its `depth` nearest ancestors has ended.

    Between a step and the runner stands a shell, which outlives the runner: hence more than the parent is watched.
    """
    watched = psutil.Process().parents()[:depth]
    threading.Thread(target=_watch, args=(watched,), name="ancestors", daemon=True).start()


def _watch(ancestors: list[psutil.Process]) -> None:
    while all(_alive(process) for process in ancestors):
        time.sleep(_SECONDS)
    os._exit(1)  # from a thread, sys.exit would end only the thread


def _alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
