"""Run one function over many inputs on several cores, with results in order and few inputs in memory at a time.

`Workers` uses processes of this machine. `on_ray.RayWorkers` uses a Ray cluster in their place.
"""

import collections
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self, TypeVar

import pyarrow as pa

from tuning.dataset.workspace.store import Store

In = TypeVar("In")
Out = TypeVar("Out")
Result = TypeVar("Result", covariant=True)


# Modules that workers need. They are imported once, in the server process that the workers are forked from.
_IMPORTED = ["tuning.dataset.rows.prepare", "tuning.dataset.leaks.check"]


class Pending(Protocol[Result]):
    """Represent work that was handed over, such as a future."""

    def result(self) -> Result:
        """Wait for the work and return its result. Raises what the work has raised."""

    def cancel(self) -> object:
        """Give up the result. The work ends early if that is possible."""


class Workers:
    """Run functions in `count` worker processes, which start when they are first needed.

    With a count of 1, the functions run in this process. Workers are forked from a new process without threads, not
    from this one. So a script that uses them needs ``if __name__ == "__main__"``.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self.ahead = count + 2
        self._pool: ProcessPoolExecutor | None = None

    def map(self, function: Callable[[In], Out], inputs: Iterable[In], is_long: bool = True) -> Iterator[Out]:
        """Yield ``function(input)`` in order, with at most `ahead` inputs whose result has not been yielded.

        If `is_long` is False and no workers run yet, the function runs in this process. Short work would be done before
        the workers have started.
        """
        if self._count == 1 or not (is_long or self._pool):
            yield from map(function, inputs)
            return
        if self._pool is None:
            context = multiprocessing.get_context("forkserver")
            context.set_forkserver_preload(_IMPORTED)
            self._pool = ProcessPoolExecutor(self._count, mp_context=context, initializer=_begin)
        pool = self._pool
        yield from in_order(lambda item: pool.submit(function, item), inputs, self.ahead)

    def map_in_threads(self, function: Callable[[In], Out], inputs: Iterable[In]) -> Iterator[Out]:
        """Do the same as `map` in threads of this process, which start quickly and need no transfer of data.

        Use it for functions that mostly read, write, or compute in libraries that release the interpreter's lock.
        """
        if self._count == 1:
            yield from map(function, inputs)
            return
        with ThreadPoolExecutor(self._count) as pool:
            yield from in_order(lambda item: pool.submit(function, item), inputs, self._count + 1)

    def lend(self, store: Store, number: int, rows: pa.RecordBatch) -> Path | bytes:
        """Prepare the rows of input `number` for a worker, as `Store.lend` does."""
        return store.lend(number % self.ahead, rows)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._pool:
            self._pool.shutdown(wait=True, cancel_futures=True)


def in_order(submit: Callable[[In], Pending[Out]], inputs: Iterable[In], ahead: int) -> Iterator[Out]:
    """Submit the inputs and yield the results in order, with at most `ahead` inputs that wait for theirs."""
    waiting: collections.deque[Pending[Out]] = collections.deque()
    try:
        for item in inputs:
            waiting.append(submit(item))
            if len(waiting) == ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for pending in waiting:
            pending.cancel()


def _begin() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # ignored: on Ctrl+C, the parent stops its workers
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Exit when the parent process ends. Otherwise the workers of a killed parent would wait forever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)
