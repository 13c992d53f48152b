"""Parse blocks in parallel. The results come in the order of the blocks, whatever the number of threads."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from tuning.sources.parse import Parsed, Parser
from tuning.sources.rows import BLOCK

# Bytes parsed at a time: some eight blocks. With fewer, Arrow's calls would take longer than their work.
_BATCH = 8 * BLOCK


class Parsers:
    """Parse blocks in threads, while the main thread reads and writes. Arrow and zstd release the GIL.

    Processes would take as long to start as it takes to load a dump of about 100 MB, and they would outlive a killed
    parent.
    """

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._pool = ThreadPoolExecutor(workers)

    def __enter__(self) -> "Parsers":
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def parse(self, function: Parser, blocks: Iterator[bytes]) -> Iterator[Parsed]:
        """Apply `function` to batches of blocks. Yield the results in order, and keep only a few in memory."""
        waiting: deque[Future[Parsed]] = deque()
        for batch in _batches(blocks):
            waiting.append(self._pool.submit(function, batch))
            if len(waiting) > self._workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _batches(blocks: Iterator[bytes]) -> Iterator[list[bytes]]:
    batch: list[bytes] = []
    size = 0
    for block in blocks:
        batch.append(block)
        size += len(block)
        if size >= _BATCH:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
