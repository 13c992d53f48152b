"""Assign examples to the train or eval split."""

import datetime
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tuning.dataset.options import DatasetOptions
from tuning.sampling import salted

Rows = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


def evaluation_side(options: DatasetOptions, first_ids: Rows, answered_at: Rows, groups: Rows) -> Flags:
    """Return for each example whether it is in the eval split. `answered_at` is in microseconds since 1970, UTC.

    The value of `options.split` selects the method. `hash`: the result depends only on `first_ids` (the smallest
    question id in the example's group), the seed, and the fraction. So new posts change it only where they join groups:
    the joined group is in the split of its smallest id. `time`: examples answered on or after the date (UTC) are in the
    eval split. `random`: scikit-learn's GroupShuffleSplit. Only `time` can divide a group.
    """
    match options.split:
        case "hash":
            bound = int(options.eval_fraction * 2**64)
            ids = first_ids.tolist()
            return np.fromiter((salted("side", options.seed, one) < bound for one in ids), np.bool_, len(ids))
        case "time":
            date = datetime.date.fromisoformat(options.split_date)
            begin = datetime.datetime.combine(date, datetime.time(), datetime.UTC)
            return answered_at >= int(begin.timestamp()) * 1_000_000
        case "random":
            return _random_groups(options, groups)
        case "given" | "evaluation":
            raise ValueError("the user's files say which side a row is on")


def seed_order(options: DatasetOptions, rows: int) -> tuple[Rows, Rows]:
    """Return the train and eval rows in the order of scikit-learn's ``train_test_split``.

    That order is one random permutation, with the eval rows first. This function computes it with numpy, because
    importing scikit-learn would take longer than writing 100,000 rows and would use more memory than everything else.
    A test compares the two orders.
    """
    order = np.random.RandomState(options.seed).permutation(rows)
    evaluation = math.ceil(options.eval_fraction * rows)
    return order[evaluation:], order[:evaluation]


def straddling(side: Flags, groups: Rows) -> Flags:
    """Return for each example whether it is in the train split although its group has a member in the eval split."""
    return ~side & np.isin(groups, groups[side])


def _random_groups(options: DatasetOptions, groups: Sequence[int] | Rows) -> Flags:
    from sklearn.model_selection import GroupShuffleSplit

    splitter = GroupShuffleSplit(n_splits=1, test_size=options.eval_fraction, random_state=options.seed)
    side = np.zeros(len(groups), dtype=np.bool_)
    number = len(np.unique(groups))
    if number > 1 and math.ceil(options.eval_fraction * number) == number:  # scikit-learn raises ValueError for it
        side[:] = True
    elif number > 1:  # a single group cannot be divided, so it is all in the train split
        _, evaluation = next(splitter.split(np.zeros(len(groups)), groups=groups))
        side[evaluation] = True
    return side
