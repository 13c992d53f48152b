"""Pass two: the kept lines in their order, and their attribution beside them, copied from the parts by all workers."""

import hashlib
import itertools
import os
from collections.abc import Iterator
from io import FileIO
from pathlib import Path

import msgspec

from tuning.dataset.dataset import ATTRIBUTION, FileFacts, Split
from tuning.dataset.index import Index
from tuning.dataset.parallel import Workers
from tuning.dataset.parts import Column, Parts
from tuning.dataset.selection import Selection

_ROWS = 8192  # of one job: in the seed's order its lines come from every part
_BUFFER = 1 << 18  # bytes: stays in the processor's cache
_VECTOR = 1024  # pieces that one call may write (IOV_MAX of Linux and macOS)
_WORTH_WORKERS = 8192  # rows: fewer are copied before workers have started


def write_splits(
    folder: Path, parts: Parts, index: Index, selection: Selection, workers: Workers
) -> dict[str, FileFacts]:
    """Write ``train.jsonl``, ``eval.jsonl`` and ``attribution.jsonl``."""
    facts = {}
    with (folder / ATTRIBUTION).open("wb") as attribution_file:
        attribution = _Facts()
        for split, rows in selection.sides.items():
            path = folder / f"{split}.jsonl"
            path.touch()
            given, known = itertools.tee(_jobs(path, split, parts, index, selection.groups, rows))
            lines = _Facts()
            with path.open("rb", buffering=0) as file:
                for attributed in workers.map(copy_lines, given, is_long=len(rows) > _WORTH_WORKERS):
                    job = next(known)
                    lines.add_from(file, int(job.line_sizes.sum()), len(job.line_sizes))
                    attribution.add(attributed, len(job.line_sizes))
                    attribution_file.write(attributed)
            facts[path.name] = lines.as_facts()
        facts[ATTRIBUTION] = attribution.as_facts()
    return facts


class Job(msgspec.Struct, frozen=True):
    """Some lines in a row of one file, and where they come from; one value per line."""

    folder: Path  # of the parts
    path: Path
    offset: int  # in the file
    split: Split
    first: int  # number of the first line
    groups: Column
    parts: Column
    offsets: Column
    sizes: Column  # of line and attribution together
    line_sizes: Column


def copy_lines(job: Job) -> bytes:
    """Put the lines into their place in the file, and return their attribution."""
    blobs = Parts(job.folder).read_many(job.parts, job.offsets, job.sizes)
    sizes = job.line_sizes.tolist()
    lines = [blob[:size] for blob, size in zip(blobs, sizes, strict=True)]
    with job.path.open("r+b", buffering=0) as file:
        offset = job.offset
        for at in range(0, len(lines), _VECTOR):
            offset += os.pwritev(file.fileno(), lines[at : at + _VECTOR], offset)
    if offset != job.offset + sum(sizes):
        raise OSError(f"{job.path} could not be written")
    split = job.split.encode()
    rows = enumerate(zip(blobs, sizes, job.groups.tolist(), strict=True), job.first)
    return b"".join(
        [
            b'{"split":"%b","line":%d,"group":%d,%b\n' % (split, line, group, bytes(blob[size:]))
            for line, (blob, size, group) in rows
        ]
    )


def _jobs(path: Path, split: Split, parts: Parts, index: Index, groups: Column, rows: Column) -> Iterator[Job]:
    offset = 0
    for first in range(0, len(rows), _ROWS):
        some = rows[first : first + _ROWS]
        job = Job(
            folder=parts.folder,
            path=path,
            offset=offset,
            split=split,
            first=first,
            groups=groups[some],
            parts=index["part"][some],
            offsets=index["offset"][some],
            sizes=index["line_size"][some] + index["tail_size"][some],
            line_sizes=index["line_size"][some],
        )
        offset += int(job.line_sizes.sum())
        yield job


class _Facts:
    """Of a file, as its content goes by."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._rows = self._bytes = 0
        self._buffer = memoryview(bytearray(_BUFFER))

    def add(self, content: bytes | memoryview, rows: int) -> None:
        self._hash.update(content)
        self._rows += rows
        self._bytes += len(content)

    def add_from(self, file: FileIO, size: int, rows: int) -> None:
        """The next `size` bytes of the file: what a worker has just written there."""
        while size:
            read = file.readinto(self._buffer[: min(size, len(self._buffer))])
            if not read:
                raise OSError(f"{file.name} ends before what was written to it")
            self.add(self._buffer[:read], 0)
            size -= read
        self._rows += rows

    def as_facts(self) -> FileFacts:
        return FileFacts(self._rows, self._bytes, self._hash.hexdigest())
