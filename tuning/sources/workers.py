"""Parsing blocks on all cores, in order: what comes out does not depend on how many there are."""

import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor

from tuning.sources.parse import Parsed, Parser

_AHEAD = 3  # blocks in work or waiting, for each worker
_PAYS_FROM = 48 << 20  # bytes: below that, starting a process costs more than it saves


class Parsers:
    """Processes that parse blocks while this one reads and writes; one worker means this process alone."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._pool = None
        if workers > 1:
            # Not by fork: a copy of a process with threads may hold a lock for ever.
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(workers, context, initializer=_end_with_parent)

    def __enter__(self) -> "Parsers":
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def parse(self, function: Parser, blocks: Iterator[bytes]) -> Iterator[Parsed]:
        """`function` of each block, in the order of the blocks, with few blocks in memory at a time."""
        if self._pool is None:
            yield from map(function, blocks)
            return
        waiting: deque[Future[Parsed]] = deque()
        for block in blocks:
            waiting.append(self._pool.submit(function, block))
            if len(waiting) > _AHEAD * self._workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def worker_count(size: int) -> int:
    """As many as this process may use cores, or none beside it for a dump of few bytes."""
    return 1 if size < _PAYS_FROM else len(os.sched_getaffinity(0))


def _end_with_parent() -> None:
    """A worker whose parent was killed would wait for work for ever."""

    def wait() -> None:
        parent = multiprocessing.parent_process()
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
