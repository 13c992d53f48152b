"""Intervals by a bootstrap that resamples whole groups, since examples of one group are alike."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

_CELLS = 20_000_000  # weights held at once: resamples x groups, 8 bytes each

Floats = NDArray[np.float64]


def bootstrap_means(values: ArrayLike, groups: ArrayLike, resamples: int, seed: int) -> Floats:
    """Means of each column of `values` in each resample of groups, drawn with replacement.

    `values`: (examples, columns); NaN where a column has no value for an example. `groups`: (examples,) labels.
    Returns (resamples, columns), NaN where a resample holds no value of a column. The columns of one call share their
    resamples.
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
    """The two-sided percentile interval of one column of draws."""
    tail = (1 - level) / 2
    low, high = np.nanquantile(draws, [tail, 1 - tail])
    return float(low), float(high)


def _weights(groups: int, resamples: int, seed: int) -> Iterator[Floats]:
    """How often each resample drew each group, some resamples at a time so that memory stays bounded."""
    random = np.random.default_rng(seed)
    step = max(1, _CELLS // groups)
    for start in range(0, resamples, step):
        rows = min(step, resamples - start)
        drawn = random.integers(0, groups, size=(rows, groups)) + np.arange(rows)[:, None] * groups
        counts = np.bincount(drawn.ravel(), minlength=rows * groups)
        yield counts.reshape(rows, groups).astype(np.float64)
