"""Parsing blocks on all cores, in order: what comes out does not depend on how many there are."""

import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from tuning.sources.parse import Parsed, Parser

_BATCH = 8  # blocks parsed at a time: fewer cost Arrow more than XML


class Parsers:
    """Threads that parse while another reads and writes: lxml, Arrow and zstd free the interpreter's lock.

    Not processes: those would take as long to start as a dump of some 100 MB takes, and outlive a killed parent.
    """

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._pool = ThreadPoolExecutor(workers)

    def __enter__(self) -> "Parsers":
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def parse(self, function: Parser, blocks: Iterator[bytes]) -> Iterator[Parsed]:
        """`function` of every few blocks, in their order, with few of them in memory at a time."""
        waiting: deque[Future[Parsed]] = deque()
        for batch in _batches(blocks):
            waiting.append(self._pool.submit(function, batch))
            if len(waiting) > self._workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def worker_count() -> int:
    """As many as this process may use cores."""
    return len(os.sched_getaffinity(0))


def _batches(blocks: Iterator[bytes]) -> Iterator[list[bytes]]:
    batch: list[bytes] = []
    for block in blocks:
        batch.append(block)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
