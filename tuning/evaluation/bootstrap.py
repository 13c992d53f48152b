"""Compute bootstrap intervals. Whole groups are resampled, because the examples of a group are similar."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

_CELLS = 20_000_000  # maximum weights in memory: resamples x groups, 8 bytes each

Floats = NDArray[np.float64]


def bootstrap_means(values: ArrayLike, groups: ArrayLike, resamples: int, seed: int) -> Floats:
    """Return the mean of each column of `values` in each resample of groups, drawn with replacement.

    `values` has the shape (examples, columns), with NaN for missing values. `groups` has the shape (examples,). The
    result has the shape (resamples, columns), with NaN if a resample has no value in a column. All columns of a call
    use the same resamples.
    """
    table = np.asarray(values, dtype=np.float64)
    _, member = np.unique(np.asarray(groups), return_inverse=True)
    count = int(member.max()) + 1
    known = ~np.isnan(table)
    sums = np.zeros((count, table.shape[1]))
    sizes = np.zeros((count, table.shape[1]))
    np.add.at(sums, member, np.where(known, table, 0.0))
    np.add.at(sizes, member, known.astype(np.float64))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.concatenate([(weights @ sums) / (weights @ sizes) for weights in _weights(count, resamples, seed)])


def interval(draws: Floats, level: float) -> tuple[float, float]:
    """Return the two-sided percentile interval of one column of draws."""
    tail = (1 - level) / 2
    low, high = np.nanquantile(draws, [tail, 1 - tail])
    return float(low), float(high)


def _weights(groups: int, resamples: int, seed: int) -> Iterator[Floats]:
    """Yield how often each resample drew each group. Blocks of resamples keep the memory bounded."""
    random = np.random.default_rng(seed)
    step = max(1, _CELLS // groups)
    for start in range(0, resamples, step):
        rows = min(step, resamples - start)
        drawn = random.integers(0, groups, size=(rows, groups)) + np.arange(rows)[:, None] * groups
        counts = np.bincount(drawn.ravel(), minlength=rows * groups)
        yield counts.reshape(rows, groups).astype(np.float64)
