"""Replace the semaphores of multiprocessing, whose files are in /dev/shm, by pipes.

If a program may write only in its folder, creating these files fails. Then multiprocessing's locks, queues, process
pools and thread pools fail as well.
"""

import contextlib
import fcntl
import importlib
import multiprocessing.heap
import os
import select
import struct
import termios
import threading
import time

_RECURSIVE_LOCK = 0  # multiprocessing.synchronize.RECURSIVE_MUTEX


class SemLock:
    """Behave as ``_multiprocessing.SemLock`` does. The semaphore's value is the number of bytes in a pipe."""

    SEM_VALUE_MAX = 32_767  # half of the bytes that a pipe can hold

    def __init__(self, kind: int, value: int, maxvalue: int, name: str, unlink: bool) -> None:  # noqa: ARG002
        self.kind, self.maxvalue, self.name = kind, maxvalue, name
        self.handle, self._write = os.pipe()
        os.set_blocking(self.handle, False)
        os.write(self._write, bytes(value))
        self._held = 0
        self._holder = 0

    def __del__(self) -> None:
        """Close the pipe."""
        with contextlib.suppress(OSError, AttributeError):
            os.close(self.handle)
            os.close(self._write)

    def acquire(self, block: bool = True, timeout: float | None = None) -> bool:
        """Decrement the value, and return whether it could be decremented.

        If the value is 0, wait at most `timeout` seconds (None: no limit), or not at all unless `block` is true. The
        owner of a recursive lock acquires it again at once.
        """
        if self.kind == _RECURSIVE_LOCK and self._is_mine():
            self._held += 1
            return True
        until = None if timeout is None else time.monotonic() + max(0.0, timeout)
        while True:
            with contextlib.suppress(BlockingIOError):
                os.read(self.handle, 1)
                break
            left = None if until is None else until - time.monotonic()
            if not block or (left is not None and left <= 0):
                return False
            waiting = select.poll()
            waiting.register(self.handle, select.POLLIN)
            waiting.poll(None if left is None else left * 1000)
        self._held += 1
        self._holder = threading.get_ident()
        return True

    def release(self) -> None:
        """Increment the value. Raises AssertionError or ValueError in the same cases as the original."""
        if self.kind == _RECURSIVE_LOCK:
            if not self._is_mine():
                raise AssertionError("attempt to release recursive lock not owned by thread")
            if self._held > 1:
                self._held -= 1
                return
        elif self._get_value() >= self.maxvalue:
            raise ValueError("semaphore or lock released too many times")
        self._held -= 1
        os.write(self._write, b"\0")

    def __enter__(self) -> bool:
        """Acquire."""
        return self.acquire()

    def __exit__(self, *raised: object) -> None:
        """Release."""
        self.release()

    def _count(self) -> int:
        return self._held

    def _is_mine(self) -> bool:
        return self._held > 0 and self._holder == threading.get_ident()

    def _get_value(self) -> int:
        value: int = struct.unpack("i", fcntl.ioctl(self.handle, termios.FIONREAD, bytes(4)))[0]
        return value

    def _is_zero(self) -> bool:
        return self._get_value() == 0

    def _after_fork(self) -> None:
        self._held = 0


def replace() -> None:
    """Replace the semaphores, and store shared values in the temporary folder instead of /dev/shm."""
    vars(importlib.import_module("_multiprocessing"))["SemLock"] = SemLock
    multiprocessing.heap.Arena._dir_candidates = []  # type: ignore[attr-defined]
