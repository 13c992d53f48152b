"""Find candidate pairs of near duplicates between two sides, such as the eval and the train split.

The method is a prefix filter. A set with a Jaccard similarity of at least 0.8 to a set A contains at least
ceil(0.8 * |A|) of A's shingles. So it contains at least three of any |A| - ceil(0.8 * |A|) + 3 of them. Such a
selection of A's shingles is called a prefix of A. References: Chaudhuri, Ganti and Kaushik, "A Primitive Operator for
Similarity Joins", ICDE 2006. For more than one common shingle: Wang, Li and Feng, "Can We Beat the Prefix Filtering?",
SIGMOD 2012.

Only the prefixes of the smaller side are stored, and every shingle of the other side is looked up in them. Pairs with
enough common shingles are candidates. The filter misses no near-duplicate pair, and the caller compares the candidates
exactly. The prefix of A has the shingles with the smallest hashes. Shingles that are common in a sample sort last, so
that few prefixes contain them, because each would pair very many texts.
"""

import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

from tuning.dataset.similar.shingles import Hashes, distinct, hash_shingles
from tuning.dataset.workspace.parts import Column
from tuning.dataset.workspace.store import Store

_PAIRS = 1 << 21  # number of shingle matches to process at a time, which limits the memory
_COMMON = np.uint64((1 << 22) - 1)  # mask for the last 22 bits of a hash
_MEETINGS = 3  # least number of A's prefix shingles that a near duplicate of A contains
_ENTRY = np.dtype([("hash", "<u8"), ("text", "<u4"), ("needed", "u1")])
Entries = npt.NDArray[np.void]


def common_shingles(texts: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Return an array indexed by the last 22 bits of a shingle's hash: True if several texts have such a shingle.

    Collisions only change the order of the shingles, so they cause no wrong results.
    """
    hashes, offsets = hash_shingles(texts)
    sets = [distinct(hashes[begin:end]) for begin, end in itertools.pairwise(offsets)]
    return np.bincount(np.concatenate([np.zeros(0, np.uint64), *sets]) & _COMMON, minlength=int(_COMMON) + 1) > 1


def prefixes(texts: Sequence[str], numbers: npt.NDArray[np.int64], common: npt.NDArray[np.bool_]) -> Entries:
    """Return the prefixes of the texts as entries. `numbers` contains the number of each text."""
    hashes, offsets = hash_shingles(texts)
    last = common[hashes & _COMMON].astype(np.uint64) << np.uint64(63)
    ranks = (hashes >> np.uint64(1)) | last
    sets = [distinct(ranks[begin:end]) for begin, end in itertools.pairwise(offsets)]
    sizes = np.array([len(one) for one in sets], dtype=np.int64)
    least_shared = (4 * sizes + 4) // 5  # ceil(0.8 * size)
    lengths = np.minimum(sizes, sizes - least_shared + _MEETINGS)
    entries = np.empty(int(lengths.sum()), dtype=_ENTRY)
    kept = [one[:length] for one, length in zip(sets, lengths, strict=True)]
    # Shift out the highest bit, which marks common shingles.
    entries["hash"] = np.concatenate([np.zeros(0, np.uint64), *kept]) << np.uint64(1)
    entries["text"] = np.repeat(numbers, lengths)
    entries["needed"] = np.repeat(np.minimum(_MEETINGS, least_shared), lengths)
    return entries


class Prefixes(NamedTuple):
    """Hold the prefixes of all texts of one side, in two files that several processes can read."""

    entries: Entries  # sorted by hash
    is_there: npt.NDArray[np.bool_]  # by the first bits of a hash: False if no entry has them, as for most shingles

    @classmethod
    def write(cls, parts: Sequence[Entries], store: Store) -> None:
        """Merge the entries and write them. Raises TuningError if a request to Cloud Storage fails."""
        entries = np.concatenate([np.empty(0, dtype=_ENTRY), *parts])
        entries = entries[np.argsort(entries["hash"], kind="stable")]
        bits = min(26, (16 * len(entries)).bit_length())
        is_there = np.zeros(1 << bits, dtype=np.bool_)
        is_there[entries["hash"] >> np.uint64(64 - bits)] = True
        store.save("entries.npy", entries)
        store.save("is_there.npy", is_there)

    @classmethod
    def open(cls, store: Store) -> Self:
        """Open what `write` wrote. Raises TuningError if a request to Cloud Storage fails."""
        return cls(*(store.load(f"{name}.npy") for name in cls._fields))

    def candidates(self, texts: Sequence[str], first: int) -> Hashes:
        """Return candidate pairs as ``number << 32 | other``.

        `number` identifies a text of the prefixes. `other` identifies one of `texts`, which are numbered from `first`.
        """
        hashes, offsets = hash_shingles(texts)
        hashes &= ~np.uint64(1)  # in the hashes of the entries, the lowest bit is 0
        bits = (len(self.is_there) - 1).bit_length()
        places = np.flatnonzero(self.is_there[hashes >> np.uint64(64 - bits)])
        found = np.empty(len(places), dtype=[("text", "<u4"), ("hash", "<u8")])
        found["text"] = first + np.searchsorted(offsets, places, "right") - 1
        found["hash"] = hashes[places]
        found = np.unique(found)  # count a repeated shingle of a text once
        begin = np.searchsorted(self.entries["hash"], found["hash"], "left")
        counts = np.searchsorted(self.entries["hash"], found["hash"], "right") - begin
        pairs = [self._often(found["text"][rows], begin[rows], counts[rows]) for rows in _chunks(found["text"], counts)]
        return np.concatenate([np.zeros(0, np.uint64), *pairs])

    def _often(self, texts: Column, begin: Column, counts: Column) -> Hashes:
        """Return the pairs with enough common shingles.

        Each row of the arguments is one shingle of a text: the text's number, the index of the first entry with this
        shingle, and the number of such entries. All rows of a text must be in the same call.
        """
        ends = np.cumsum(counts)
        within = np.arange(int(counts.sum())) - np.repeat(ends - counts, counts)
        entries = self.entries[np.repeat(begin, counts) + within]
        pairs = (entries["text"].astype(np.uint64) << np.uint64(32)) | np.repeat(texts, counts)
        pairs, first, times = np.unique(pairs, return_index=True, return_counts=True)
        often: Hashes = pairs[times >= entries["needed"][first]]
        return often


def _chunks(texts: Column, counts: Column) -> Iterator[slice]:
    """Yield slices of rows whose counts sum to about `_PAIRS` each. All rows of a text are in one slice."""
    if not len(counts):
        return
    block = np.cumsum(counts) // _PAIRS
    is_text = np.concatenate([[True], texts[1:] != texts[:-1]])
    starts = np.flatnonzero(is_text)
    borders = starts[np.concatenate([[True], block[starts][1:] != block[starts][:-1]])].tolist()
    yield from itertools.starmap(slice, itertools.pairwise([*borders, len(counts)]))
