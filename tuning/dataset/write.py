"""Pass two: the kept lines in their order, and their attribution beside them, copied from the parts by all workers."""

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from tuning.dataset.dataset import ATTRIBUTION, FileFacts, Split
from tuning.dataset.index import Index
from tuning.dataset.outputs import Outputs
from tuning.dataset.parallel import Workers
from tuning.dataset.parts import Column, Parts
from tuning.dataset.selection import Selection
from tuning.dataset.store import Store

_ROWS = 8192  # of one job: in the seed's order its lines come from every part
_VECTOR = 1024  # pieces that one call may write (IOV_MAX of Linux and macOS)
_WORTH_WORKERS = 8192  # rows: fewer are copied before workers have started


def write_splits(
    outputs: Outputs, parts: Parts, index: Index, selection: Selection, workers: Workers
) -> dict[str, FileFacts]:
    """Write ``train.jsonl``, ``eval.jsonl`` and ``attribution.jsonl``."""
    facts = {}
    with outputs.open(ATTRIBUTION) as attribution:
        for split, rows in selection.sides.items():
            name = f"{split}.jsonl"
            with outputs.open(name) as lines:
                given, known = itertools.tee(_jobs(lines.path, split, parts, index, selection.groups, rows))
                for copied in workers.map(copy_lines, given, is_long=len(rows) > _WORTH_WORKERS):
                    job = next(known)
                    lines.take(copied.lines, int(job.line_sizes.sum()), len(job.line_sizes))
                    attribution.append(copied.attribution, len(job.line_sizes))
            facts[name] = lines.facts.as_facts()
    facts[ATTRIBUTION] = attribution.facts.as_facts()
    return facts


class Job(msgspec.Struct, frozen=True):
    """Some lines in a row of one file, and where they come from; one value per line."""

    store: Store  # of the parts
    path: Path | None  # of the file; None: the lines are handed back
    offset: int  # in the file
    split: Split
    first: int  # number of the first line
    groups: Column
    parts: Column
    offsets: Column
    sizes: Column  # of line and attribution together
    line_sizes: Column


class Copied(msgspec.Struct, frozen=True):
    """The attribution of some lines, and the lines where they are not in their file already."""

    lines: bytes
    attribution: bytes


def copy_lines(job: Job) -> Copied:
    """Put the lines into their place in the file, if there is one."""
    blobs = Parts(job.store).read_many(job.parts, job.offsets, job.sizes)
    sizes = job.line_sizes.tolist()
    lines = [blob[:size] for blob, size in zip(blobs, sizes, strict=True)]
    if job.path:
        _write(job.path, lines, job.offset)
    split = job.split.encode()
    rows = enumerate(zip(blobs, sizes, job.groups.tolist(), strict=True), job.first)
    attribution = b"".join(
        [
            b'{"split":"%b","line":%d,"group":%d,%b\n' % (split, line, group, bytes(blob[size:]))
            for line, (blob, size, group) in rows
        ]
    )
    return Copied(b"" if job.path else b"".join(lines), attribution)


def _write(path: Path, lines: list[memoryview], offset: int) -> None:
    end = offset + sum(map(len, lines))
    with path.open("r+b", buffering=0) as file:
        for at in range(0, len(lines), _VECTOR):
            offset += os.pwritev(file.fileno(), lines[at : at + _VECTOR], offset)
    if offset != end:
        raise OSError(f"{path} could not be written")


def _jobs(path: Path | None, split: Split, parts: Parts, index: Index, groups: Column, rows: Column) -> Iterator[Job]:
    offset = 0
    for first in range(0, len(rows), _ROWS):
        some = rows[first : first + _ROWS]
        job = Job(
            store=parts.store,
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
