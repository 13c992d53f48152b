"""Which side an example is on: training or evaluation."""

import datetime
import hashlib
import heapq
import math
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from tuning.dataset.options import DatasetOptions

Rows = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


def evaluation_side(options: DatasetOptions, question_ids: Rows, answered_at: Rows, groups: Rows) -> Flags:
    """For each example whether it is on the evaluation side. `answered_at` is in microseconds since 1970, UTC.

    `hash`: a function of the question's own id and the seed, so that no other post can ever move it. `time`: answered
    on or after the date. `random`: scikit-learn's GroupShuffleSplit, which never divides a group.
    """
    match options.split:
        case "hash":
            bound = int(options.eval_fraction * 2**64)
            ids = question_ids.tolist()
            return np.fromiter((salted("side", options.seed, one) < bound for one in ids), np.bool_, len(ids))
        case "time":
            date = datetime.date.fromisoformat(options.split_date)
            begin = datetime.datetime.combine(date, datetime.time(), datetime.UTC)
            return answered_at >= int(begin.timestamp()) * 1_000_000
        case "random":
            return _random_groups(options, groups)


def seed_order(options: DatasetOptions, rows: int) -> tuple[Rows, Rows]:
    """Training and evaluation rows in the order of scikit-learn's ``train_test_split``.

    That is one permutation, the evaluation rows first (a test compares the two). Importing scikit-learn for it would
    take longer than to write 100,000 rows, and more memory than all the rest.
    """
    order = np.random.RandomState(options.seed).permutation(rows)
    evaluation = math.ceil(options.eval_fraction * rows)
    return order[evaluation:], order[:evaluation]


def first_by_salt(purpose: str, question_ids: Iterable[int], seed: int, limit: int) -> list[int]:
    """The `limit` ids that come first by a salted hash: a smaller limit takes some of those of a larger one."""
    return heapq.nsmallest(limit, question_ids, key=lambda one: (salted(purpose, seed, one), one))


def salted(purpose: str, seed: int, question_id: int) -> int:
    """A number from 0 to 2^64 - 1. Each purpose has its own, or a limit would take one side of the split first."""
    text = f"{purpose}:{seed}:{question_id}"
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def straddling(side: Flags, groups: Rows) -> Flags:
    """Training examples of groups that have a member on the evaluation side."""
    return ~side & np.isin(groups, groups[side])


def _random_groups(options: DatasetOptions, groups: Sequence[int] | Rows) -> Flags:
    from sklearn.model_selection import GroupShuffleSplit

    splitter = GroupShuffleSplit(n_splits=1, test_size=options.eval_fraction, random_state=options.seed)
    side = np.zeros(len(groups), dtype=np.bool_)
    if len(np.unique(groups)) > 1:  # one group alone cannot be divided
        _, evaluation = next(splitter.split(np.zeros(len(groups)), groups=groups))
        side[evaluation] = True
    return side
