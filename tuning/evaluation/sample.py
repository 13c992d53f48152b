"""A fixed sample of evaluation examples: the same ids give the same sample, and a smaller one lies in a larger one."""

import hashlib
import heapq
from collections.abc import Iterable

from tuning.dataset.dataset import Attribution

_SALT = b"evaluation sample 1:"


def stable_sample(rows: Iterable[Attribution], limit: int) -> list[Attribution]:
    """The `limit` rows (0: all) whose salted hash of the example's id is smallest, in the order of their lines.

    Memory is bounded by `limit`, not by the rows.
    """
    chosen = list(rows) if limit <= 0 else heapq.nsmallest(limit, rows, key=_rank)
    return sorted(chosen, key=lambda row: row.line)


def _rank(row: Attribution) -> tuple[bytes, str]:
    return hashlib.blake2b(_SALT + row.example_id.encode(), digest_size=16).digest(), row.example_id
