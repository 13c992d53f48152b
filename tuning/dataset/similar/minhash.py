"""Which texts are near duplicates: MinHash bands propose, the exact similarity decides."""

import functools
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from rensa import RMinHash

from tuning.dataset.similar.groups import Groups
from tuning.dataset.similar.shingles import comparer, hash_shingles

BANDS = 32  # of 4 hashes: finds about every pair at 0.8, where 16 bands of 8 miss one in twenty
PAIRS = 500  # whose texts are read together
_HASHES = 128
_SEED = 42  # of the MinHash permutations
Array = npt.NDArray[np.uint64]


def band_hashes(texts: Sequence[str]) -> Array:
    """One row of 32 numbers for each text. Two texts at the threshold share one of them but for one in 20 million.

    A text without words gets zeros, which match nothing.
    """
    if not texts:
        return np.zeros((0, BANDS), dtype=np.uint64)
    hashes, offsets = hash_shingles(texts)
    matrix = RMinHash.digest_matrix_from_flat_token_hashes(hashes, offsets.astype(np.uint64), _HASHES, _SEED)
    halves = np.array(matrix.to_rows(), dtype=np.uint32).view(np.uint64).reshape(len(texts), BANDS, 2)
    bands = halves[..., 0] * np.uint64(0x9E3779B97F4A7C15) + halves[..., 1]
    bands ^= bands >> np.uint64(29)
    bands[np.diff(offsets) == 0] = 0
    return bands


def near_pairs(
    bands: Array, text_of: Callable[[int], str], expect: Callable[[list[int]], None] = lambda _: None
) -> list[tuple[int, int]]:
    """Every pair (smaller, larger) of rows of `bands` whose texts are near duplicates, each once, in order.

    `expect` is told of the next rows whose texts will be wanted, so that they can be read together.
    """
    candidates = _candidates(bands)
    alike = Groups()
    for one, other in candidates:
        alike.join(one, other)
    # One group after the other, so that the sets of its texts are still remembered.
    candidates.sort(key=lambda pair: (alike.of(pair[0]), pair))
    is_near, near = comparer(text_of), []
    for at in range(0, len(candidates), PAIRS):
        some = candidates[at : at + PAIRS]
        expect(sorted({row for pair in some for row in pair}))
        near += [pair for pair in some if is_near(*pair)]
    return sorted(near)


def _candidates(bands: Array) -> list[tuple[int, int]]:
    """Pairs of rows that share a band."""
    found = [np.zeros(0, dtype=np.uint64)]
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
                found.append((members[one] << np.uint64(32)) | members[other])
    pairs = np.unique(np.concatenate(found))
    return [(pair >> 32, pair & 0xFFFFFFFF) for pair in pairs.tolist()]


@functools.lru_cache(maxsize=4)  # most runs are of two or three
def _every_two(count: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    return np.triu_indices(count, 1)
