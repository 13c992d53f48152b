"""Find near-duplicate texts: MinHash bands give candidate pairs, and the similarity of all shingles decides."""

import functools
import struct
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from rensa import RMinHash

from tuning.dataset.similar.groups import Groups
from tuning.dataset.similar.shingles import THRESHOLD, hash_shingles, similarity
from tuning.dataset.similar.words import exact_part

BANDS = 32  # with 4 hashes each. At similarity 0.8, 32 bands find nearly every pair; 16 bands of 8 would miss 1 in 20
PAIRS = 500  # number of candidate pairs whose texts are read together
_HASHES = 128
_ROW = struct.Struct(f"{_HASHES}I")
_TEXTS = 64  # number of texts whose hashes are Python integers together, so that their memory is used again
_SEED = 42  # of the MinHash permutations
Array = npt.NDArray[np.uint64]


def band_hashes(texts: Sequence[str]) -> Array:
    """Return the hash of each MinHash band of each text, with shape (texts, 32).

    Two texts with a similarity of 0.8 have at least one band in common, except for about 1 in 20 million pairs. The row
    of a text without words is all zeros, and `near_pairs` ignores it.
    """
    if not texts:
        return np.zeros((0, BANDS), dtype=np.uint64)
    hashes, offsets = hash_shingles(texts)
    rows = []
    for at in range(0, len(texts), _TEXTS):
        some = offsets[at : at + _TEXTS + 1].astype(np.uint64)
        tokens = hashes[some[0] : some[-1]]
        matrix = RMinHash.digest_matrix_from_flat_token_hashes(tokens, some - some[0], _HASHES, _SEED)
        rows += [_ROW.pack(*row) for row in matrix.to_rows()]
    halves = np.frombuffer(b"".join(rows), dtype=np.uint64).reshape(len(texts), BANDS, 2)
    bands = halves[..., 0] * np.uint64(0x9E3779B97F4A7C15) + halves[..., 1]
    bands ^= bands >> np.uint64(29)
    bands[np.diff(offsets) == 0] = 0
    return bands


def near_pairs(
    bands: Array, text_of: Callable[[int], str], expect: Callable[[list[int]], None] = lambda _: None
) -> list[tuple[int, int]]:
    """Return all pairs (smaller, larger) of rows of `bands` whose texts are near duplicates, sorted.

    Before texts are requested, `expect` is called with their row numbers, so that it can read them together.
    """
    candidates = _candidates(bands)
    connected = Groups()
    for one, other in candidates:
        connected.join(one, other)
    # Compare the pairs group by group, so that few texts are read again for the next pairs.
    candidates.sort(key=lambda pair: (connected.of(pair[0]), pair))
    near = []
    for at in range(0, len(candidates), PAIRS):
        some = candidates[at : at + PAIRS]
        rows = sorted({row for pair in some for row in pair})
        expect(rows)
        hashes, offsets = hash_shingles([text_of(row) for row in rows])
        sets = {row: set(hashes[offsets[i] : offsets[i + 1]].tolist()) for i, row in enumerate(rows)}
        near += [(one, other) for one, other in some if similarity(sets[one], sets[other]) >= THRESHOLD]
    return sorted(near)


def same_code(
    pairs: Sequence[tuple[int, int]], text_of: Callable[[int], str], expect: Callable[[list[int]], None]
) -> list[tuple[int, int]]:
    """Return the pairs whose texts have the same code and signs. `expect` is called as by `near_pairs`."""
    exact = functools.lru_cache(2 * PAIRS)(lambda row: exact_part(text_of(row)))
    same = []
    for at in range(0, len(pairs), PAIRS):
        some = pairs[at : at + PAIRS]
        expect(sorted({row for pair in some for row in pair}))
        same += [(one, other) for one, other in some if exact(one) == exact(other)]
    return same


def _candidates(bands: Array) -> list[tuple[int, int]]:
    """Return the pairs of rows that have a band in common."""
    parts = [np.zeros(0, dtype=np.uint64)]
    for band in range(bands.shape[1]):
        column = bands[:, band]
        order = np.argsort(column)
        ordered = column[order]
        borders = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1], [True]]))
        for run in np.flatnonzero(np.diff(borders) > 1):
            begin, end = borders[run], borders[run + 1]
            if ordered[begin] != 0:
                members = np.sort(order[begin:end]).astype(np.uint64)
                one, other = _every_two(len(members))
                parts.append((members[one] << np.uint64(32)) | members[other])
    pairs = np.unique(np.concatenate(parts))
    return [(pair >> 32, pair & 0xFFFFFFFF) for pair in pairs.tolist()]


@functools.lru_cache(maxsize=4)  # most sets of texts with a common band have two or three members
def _every_two(count: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    return np.triu_indices(count, 1)
