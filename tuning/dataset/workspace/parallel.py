"""The same function over many inputs on all cores, results in order, few of them in memory."""

import collections
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from types import TracebackType
from typing import Self, TypeVar

In = TypeVar("In")
Out = TypeVar("Out")


def available_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


# What workers run: imported once, in the process that they are forked from.
_IMPORTED = ["tuning.dataset.rows.prepare", "tuning.dataset.leaks.check"]


class Workers:
    """`count` processes, started when they are first needed; one is this process itself.

    They are forks of a process that was started afresh and has no threads, not of this one. So a script that uses them
    needs the usual ``if __name__ == "__main__"``.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self.ahead = count + 2
        self._pool: ProcessPoolExecutor | None = None

    def map(self, function: Callable[[In], Out], inputs: Iterable[In], is_long: bool = True) -> Iterator[Out]:
        """Yield ``function(input)`` in order; at most `ahead` inputs are taken before their result was yielded.

        Work that is not long is done here: it would be over before workers have started.
        """
        if self._count == 1 or not (is_long or self._pool):
            yield from map(function, inputs)
            return
        if self._pool is None:
            context = multiprocessing.get_context("forkserver")
            context.set_forkserver_preload(_IMPORTED)
            self._pool = ProcessPoolExecutor(self._count, mp_context=context, initializer=_begin)
        yield from _in_order(self._pool, function, inputs, self.ahead)

    def map_in_threads(self, function: Callable[[In], Out], inputs: Iterable[In]) -> Iterator[Out]:
        """`map` in threads of this process: they start at once and nothing is sent.

        For what reads, writes or computes in libraries that let other threads run meanwhile.
        """
        if self._count == 1:
            yield from map(function, inputs)
            return
        with ThreadPoolExecutor(self._count) as pool:
            yield from _in_order(pool, function, inputs, self._count + 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._pool:
            self._pool.shutdown(wait=True, cancel_futures=True)


def _in_order(pool: Executor, function: Callable[[In], Out], inputs: Iterable[In], ahead: int) -> Iterator[Out]:
    waiting: collections.deque[Future[Out]] = collections.deque()
    try:
        for item in inputs:
            waiting.append(pool.submit(function, item))
            if len(waiting) == ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()


def _begin() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent is interrupted too, and ends its workers
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A killed parent cannot tell its workers, which would wait for it for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)
