"""Every near-duplicate pair across two sides, exactly, in bounded memory.

Of two sets with a Jaccard similarity of at least 0.8, in any one order of all shingles, the first fifth of the one and
the first fifth of the other have a shingle in common (a prefix filter: Chaudhuri, Ganti and Kaushik, "A Primitive
Operator for Similarity Joins", ICDE 2006). The order here is by hash, those that a sample shows to be common last,
since they would bring every text together with every other. The prefixes go to partition files by hash, each small
enough for memory; texts that meet in one are candidates, and whoever asks compares them.
"""

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tuning.dataset.shingles import Hashes, distinct, hash_shingles

_PARTITION = 32 << 20  # bytes, about
_PAIRS = 1 << 21  # candidate pairs expanded at a time
_ENTRY = np.dtype([("hash", "<u8"), ("text", "<u4"), ("size", "<u4")])
Entries = npt.NDArray[np.void]


def prefixes(texts: Sequence[str], first: int, common: Hashes) -> Entries:
    """The prefix of each text's set of shingles. Texts are numbered from `first`; `size` is that of the whole set."""
    hashes, offsets = hash_shingles(texts)
    ranks = (hashes >> np.uint64(1)) | (np.isin(hashes, common).astype(np.uint64) << np.uint64(63))
    sets = [distinct(ranks[begin:end]) for begin, end in itertools.pairwise(offsets)]
    sizes = np.array([len(one) for one in sets], dtype=np.int64)
    lengths = sizes - (4 * sizes + 4) // 5 + 1  # all but ceil(0.8 * size), and one
    lengths[sizes == 0] = 0
    entries = np.empty(int(lengths.sum()), dtype=_ENTRY)
    if len(entries):
        entries["hash"] = np.concatenate([one[:length] for one, length in zip(sets, lengths, strict=True)])
    entries["text"] = np.repeat(np.arange(first, first + len(texts)), lengths)
    entries["size"] = np.repeat(sizes, lengths)
    return entries


def common_shingles(texts: Sequence[str]) -> Hashes:
    """Sorted hashes of the shingles that more than one of the texts has."""
    hashes, offsets = hash_shingles(texts)
    sets = [distinct(hashes[begin:end]) for begin, end in itertools.pairwise(offsets)]
    ordered = np.sort(np.concatenate(sets)) if sets else hashes
    return distinct(ordered[1:][ordered[1:] == ordered[:-1]])


class Partitions:
    """Prefix entries on disk, divided by hash so that one partition fits in memory."""

    def __init__(self, folder: Path, expected_bytes: int) -> None:
        folder.mkdir(parents=True)
        self.paths = [folder / f"{number:04d}" for number in range(1 + expected_bytes // _PARTITION)]
        self._files = [path.open("wb") for path in self.paths]

    def add(self, entries: Entries) -> None:
        partition = entries["hash"] % np.uint64(len(self.paths))
        order = np.argsort(partition, kind="stable")
        borders = np.searchsorted(partition[order], np.arange(len(self.paths) + 1))
        for number, file in enumerate(self._files):
            file.write(entries[order[borders[number] : borders[number + 1]]].tobytes())

    def close(self) -> None:
        for file in self._files:
            file.close()


def candidates(path: Path, border: int, settled: npt.NDArray[np.int64]) -> npt.NDArray[np.uint64]:
    """Pairs of one partition, as ``other << 32 | one``: one text before `border`, the other after and not settled."""
    entries = np.fromfile(path, dtype=_ENTRY)
    left, right = entries[entries["text"] < border], entries[entries["text"] >= border]
    right = right[~np.isin(right["text"], settled)]
    left = left[np.argsort(left["hash"], kind="stable")]
    begin = np.searchsorted(left["hash"], right["hash"], "left")
    counts = np.searchsorted(left["hash"], right["hash"], "right") - begin
    pairs = [_expand(left, right, begin, counts, rows) for rows in _chunks(counts)]
    return np.unique(np.concatenate(pairs or [np.zeros(0, dtype=np.uint64)]))


def _expand(
    left: Entries, right: Entries, begin: npt.NDArray[np.int64], counts: npt.NDArray[np.int64], rows: slice
) -> npt.NDArray[np.uint64]:
    """The pairs of the right entries of `rows` whose sizes allow a similarity of 0.8."""
    repeats = counts[rows]
    ends = np.cumsum(repeats)
    within = np.arange(int(repeats.sum())) - np.repeat(ends - repeats, repeats)
    one = left[np.repeat(begin[rows], repeats) + within]
    other = np.repeat(right[rows], repeats)
    small = np.minimum(one["size"], other["size"]).astype(np.int64)
    fits = 5 * small >= 4 * np.maximum(one["size"], other["size"]).astype(np.int64)
    return np.unique((other["text"][fits].astype(np.uint64) << np.uint64(32)) | one["text"][fits])


def _chunks(counts: npt.NDArray[np.int64]) -> Iterator[slice]:
    """Slices of rows whose counts sum to about `_PAIRS` each."""
    if not len(counts):
        return
    block = np.cumsum(counts) // _PAIRS
    borders = [0, *(np.flatnonzero(np.diff(block)) + 1).tolist(), len(counts)]
    yield from (slice(begin, end) for begin, end in itertools.pairwise(borders))
