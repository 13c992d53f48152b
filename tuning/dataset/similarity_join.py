"""Every near-duplicate pair across two sides, exactly, in bounded memory.

Of two sets with a Jaccard similarity of at least 0.8, in any one order of all shingles, the first fifth of the one and
two more, and of the other alike, have three shingles in common (a prefix filter: Chaudhuri, Ganti and Kaushik, "A
Primitive Operator for Similarity Joins", ICDE 2006; with more than one in common: Wang, Li and Feng, "Can We Beat the
Prefix Filtering?", SIGMOD 2012). The order here is by hash, those that a sample shows to be common last, since they
would bring every text together with every other. The prefixes go to partition files by hash, each small enough for
memory; pairs that meet often enough are candidates, and whoever asks compares them.
"""

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tuning.dataset.shingles import distinct, hash_shingles

_PARTITION = 32 << 20  # bytes, about
_PAIRS = 1 << 21  # candidate pairs expanded at a time
_TABLE = np.uint64((1 << 22) - 1)  # the last bits of a hash
_MEETINGS = 3  # shingles that a pair's prefixes have in common at least
_ENTRY = np.dtype([("hash", "<u8"), ("text", "<u4"), ("size", "<u4")])
Entries = npt.NDArray[np.void]
_MET = np.dtype([("pair", "<u8"), ("times", "<i4"), ("needed", "<i4")])
Met = npt.NDArray[np.void]


def prefixes(texts: Sequence[str], first: int, common: npt.NDArray[np.bool_]) -> Entries:
    """The prefix of each text's set of shingles. Texts are numbered from `first`; `size` is that of the whole set."""
    hashes, offsets = hash_shingles(texts)
    ranks = (hashes >> np.uint64(1)) | (common[hashes & _TABLE].astype(np.uint64) << np.uint64(63))
    sets = [distinct(ranks[begin:end]) for begin, end in itertools.pairwise(offsets)]
    sizes = np.array([len(one) for one in sets], dtype=np.int64)
    lengths = np.minimum(sizes, sizes - _least_shared(sizes) + _MEETINGS)
    entries = np.empty(int(lengths.sum()), dtype=_ENTRY)
    if len(entries):
        entries["hash"] = np.concatenate([one[:length] for one, length in zip(sets, lengths, strict=True)])
    entries["text"] = np.repeat(np.arange(first, first + len(texts)), lengths)
    entries["size"] = np.repeat(sizes, lengths)
    return entries


def common_shingles(texts: Sequence[str]) -> npt.NDArray[np.bool_]:
    """By the last bits of a hash, whether more than one of the texts has such a shingle. Chance hits do no harm."""
    hashes, offsets = hash_shingles(texts)
    sets = [distinct(hashes[begin:end]) for begin, end in itertools.pairwise(offsets)]
    counts = (
        np.bincount(np.concatenate(sets) & _TABLE, minlength=int(_TABLE) + 1) if sets else np.zeros(int(_TABLE) + 1)
    )
    return counts > 1


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


def candidates(paths: Sequence[Path], border: int, settled: npt.NDArray[np.int64]) -> npt.NDArray[np.uint64]:
    """Pairs as ``other << 32 | one``, sorted: one text before `border`, the other after it and not among `settled`."""
    met = _grouped([_meetings(path, border, settled) for path in paths])
    return met["pair"][met["times"] >= met["needed"]]


def _meetings(path: Path, border: int, settled: npt.NDArray[np.int64]) -> Met:
    """How often the pairs meet in one partition."""
    entries = np.fromfile(path, dtype=_ENTRY)
    left, right = entries[entries["text"] < border], entries[entries["text"] >= border]
    right = right[~np.isin(right["text"], settled)]
    left = left[np.argsort(left["hash"], kind="stable")]
    begin = np.searchsorted(left["hash"], right["hash"], "left")
    counts = np.searchsorted(left["hash"], right["hash"], "right") - begin
    return _grouped([_grouped([_expand(left, right, begin, counts, rows)]) for rows in _chunks(counts)])


def _expand(
    left: Entries, right: Entries, begin: npt.NDArray[np.int64], counts: npt.NDArray[np.int64], rows: slice
) -> Met:
    """Each meeting of the right entries of `rows` with a left one whose size allows a similarity of 0.8."""
    repeats = counts[rows]
    ends = np.cumsum(repeats)
    within = np.arange(int(repeats.sum())) - np.repeat(ends - repeats, repeats)
    one = left[np.repeat(begin[rows], repeats) + within]
    other = np.repeat(right[rows], repeats)
    larger = np.maximum(one["size"], other["size"]).astype(np.int64)
    fits = np.minimum(one["size"], other["size"]) >= _least_shared(larger)
    met = np.empty(int(fits.sum()), dtype=_MET)
    met["pair"] = (other["text"][fits].astype(np.uint64) << np.uint64(32)) | one["text"][fits]
    met["times"] = 1
    met["needed"] = np.minimum(_MEETINGS, _least_shared(larger[fits]))
    return met


def _grouped(parts: Sequence[Met]) -> Met:
    """Each pair once, its times added."""
    met = np.concatenate([np.empty(0, dtype=_MET), *parts])
    met = met[np.argsort(met["pair"], kind="stable")]
    if not len(met):
        return met
    first = np.flatnonzero(np.concatenate([[True], met["pair"][1:] != met["pair"][:-1]]))
    grouped = met[first]
    grouped["times"] = np.add.reduceat(met["times"], first)
    return grouped


def _least_shared(sizes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Shingles that a set of this size has in common with any near one that is not larger: ceil(0.8 * size)."""
    return (4 * sizes + 4) // 5


def _chunks(counts: npt.NDArray[np.int64]) -> Iterator[slice]:
    """Slices of rows whose counts sum to about `_PAIRS` each."""
    if not len(counts):
        return
    block = np.cumsum(counts) // _PAIRS
    borders = [0, *(np.flatnonzero(np.diff(block)) + 1).tolist(), len(counts)]
    yield from (slice(begin, end) for begin, end in itertools.pairwise(borders))
