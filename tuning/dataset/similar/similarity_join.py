"""Every near-duplicate pair across two sides, exactly, while only hashes of the smaller side are held.

A set with a Jaccard similarity of at least 0.8 to a set A has at least ceil(0.8 * |A|) of A's shingles. So of any
|A| - ceil(0.8 * |A|) + 3 of them it has at least three (a prefix filter: Chaudhuri, Ganti and Kaushik, "A Primitive
Operator for Similarity Joins", ICDE 2006; with more than one in common: Wang, Li and Feng, "Can We Beat the Prefix
Filtering?", SIGMOD 2012). Those of the smaller side are kept, and every shingle of the other side is looked up among
them; pairs that meet often enough are candidates, and whoever asks compares them. Which shingles of A are kept goes by
hash, those that a sample shows to be common last, since they would bring every text together with every other.
"""

import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

from tuning.dataset.similar.shingles import Hashes, distinct, hash_shingles
from tuning.dataset.workspace.parts import Column
from tuning.dataset.workspace.store import Store

_PAIRS = 1 << 21  # meetings expanded at a time
_COMMON = np.uint64((1 << 22) - 1)  # the last bits of a hash
_MEETINGS = 3  # shingles of its prefix that a set has in common at least with one that is near
_ENTRY = np.dtype([("hash", "<u8"), ("text", "<u4"), ("needed", "u1")])
Entries = npt.NDArray[np.void]


def common_shingles(texts: Sequence[str]) -> npt.NDArray[np.bool_]:
    """By the last bits of a hash, whether more than one of the texts has such a shingle. Chance hits do no harm."""
    hashes, offsets = hash_shingles(texts)
    sets = [distinct(hashes[begin:end]) for begin, end in itertools.pairwise(offsets)]
    return np.bincount(np.concatenate([np.zeros(0, np.uint64), *sets]) & _COMMON, minlength=int(_COMMON) + 1) > 1


def prefixes(texts: Sequence[str], numbers: npt.NDArray[np.int64], common: npt.NDArray[np.bool_]) -> Entries:
    """The shingles of each text that are kept. `numbers` are the texts' own."""
    hashes, offsets = hash_shingles(texts)
    last = common[hashes & _COMMON].astype(np.uint64) << np.uint64(63)
    ranks = (hashes >> np.uint64(1)) | last
    sets = [distinct(ranks[begin:end]) for begin, end in itertools.pairwise(offsets)]
    sizes = np.array([len(one) for one in sets], dtype=np.int64)
    least_shared = (4 * sizes + 4) // 5  # ceil(0.8 * size)
    lengths = np.minimum(sizes, sizes - least_shared + _MEETINGS)
    entries = np.empty(int(lengths.sum()), dtype=_ENTRY)
    kept = [one[:length] for one, length in zip(sets, lengths, strict=True)]
    entries["hash"] = np.concatenate([np.zeros(0, np.uint64), *kept]) << np.uint64(1)  # without the mark
    entries["text"] = np.repeat(numbers, lengths)
    entries["needed"] = np.repeat(np.minimum(_MEETINGS, least_shared), lengths)
    return entries


class Prefixes(NamedTuple):
    """All prefixes of one side, in two files that any number of processes can read."""

    entries: Entries  # by hash
    is_there: npt.NDArray[np.bool_]  # by the first bits of a hash, whether an entry has them: most shingles have not

    @classmethod
    def write(cls, parts: Sequence[Entries], store: Store) -> None:
        entries = np.concatenate([np.empty(0, dtype=_ENTRY), *parts])
        entries = entries[np.argsort(entries["hash"], kind="stable")]
        bits = min(26, (16 * len(entries)).bit_length())
        is_there = np.zeros(1 << bits, dtype=np.bool_)
        is_there[entries["hash"] >> np.uint64(64 - bits)] = True
        store.save("entries.npy", entries)
        store.save("is_there.npy", is_there)

    @classmethod
    def open(cls, store: Store) -> Self:
        return cls(*(store.load(f"{name}.npy") for name in cls._fields))

    def candidates(self, texts: Sequence[str], first: int) -> Hashes:
        """Pairs as ``number << 32 | other``: a text of the prefixes, and one of `texts`, numbered from `first`."""
        hashes, offsets = hash_shingles(texts)
        hashes &= ~np.uint64(1)  # as the entries have them
        bits = (len(self.is_there) - 1).bit_length()
        places = np.flatnonzero(self.is_there[hashes >> np.uint64(64 - bits)])
        found = np.empty(len(places), dtype=[("text", "<u4"), ("hash", "<u8")])
        found["text"] = first + np.searchsorted(offsets, places, "right") - 1
        found["hash"] = hashes[places]
        found = np.unique(found)  # a text has each of its shingles once
        begin = np.searchsorted(self.entries["hash"], found["hash"], "left")
        counts = np.searchsorted(self.entries["hash"], found["hash"], "right") - begin
        pairs = [self._often(found["text"][rows], begin[rows], counts[rows]) for rows in _chunks(found["text"], counts)]
        return np.concatenate([np.zeros(0, np.uint64), *pairs])

    def _often(self, texts: Column, begin: Column, counts: Column) -> Hashes:
        """The pairs that meet often enough, of some texts with all of their meetings."""
        ends = np.cumsum(counts)
        within = np.arange(int(counts.sum())) - np.repeat(ends - counts, counts)
        entries = self.entries[np.repeat(begin, counts) + within]
        pairs = (entries["text"].astype(np.uint64) << np.uint64(32)) | np.repeat(texts, counts)
        pairs, first, times = np.unique(pairs, return_index=True, return_counts=True)
        often: Hashes = pairs[times >= entries["needed"][first]]
        return often


def _chunks(texts: Column, counts: Column) -> Iterator[slice]:
    """Slices of rows whose counts sum to about `_PAIRS` each; all rows of a text are in one."""
    if not len(counts):
        return
    block = np.cumsum(counts) // _PAIRS
    is_text = np.concatenate([[True], texts[1:] != texts[:-1]])
    starts = np.flatnonzero(is_text)
    borders = starts[np.concatenate([[True], block[starts][1:] != block[starts][:-1]])].tolist()
    yield from itertools.starmap(slice, itertools.pairwise([*borders, len(counts)]))
