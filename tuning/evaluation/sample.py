"""Choose the evaluation examples."""

from collections.abc import Iterable

from tuning.dataset.dataset import Attribution
from tuning.sampling import draw


def stable_sample(rows: Iterable[Attribution], limit: int) -> list[Attribution]:
    """Return `limit` of the rows (0: all) in the order of their lines.

    The same example IDs give the same sample, and a smaller sample is part of a larger one. If `limit` is not 0, at
    most `limit` rows are in memory.
    """
    chosen = list(rows) if limit <= 0 else draw("evaluation", rows, limit, lambda row: row.example_id)
    return sorted(chosen, key=lambda row: row.line)
