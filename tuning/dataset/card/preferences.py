"""Compare the better and the worse answers of preference pairs: their lengths, their ages, and how similar they are.

A model that is tuned on pairs learns whatever sets the better answers apart, for example that they are longer.
"""

from dataclasses import dataclass

import numpy as np

from tuning.dataset.dataset import Split
from tuning.dataset.split.selection import Selection
from tuning.dataset.workspace.index import Index
from tuning.dataset.workspace.parts import Column

SIMILARITY_BINS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)  # upper bounds; pairs of 0.8 and more are dropped
_DAY = 24 * 3600 * 1_000_000  # microseconds


@dataclass(frozen=True)
class PairFacts:
    """Hold what the card says of the pairs of both splits."""

    table: list[tuple[str, str, str]]  # what is compared, and its value for the better and the worse answers
    similarity: str  # median, 95th percentile and maximum of the similarity of the two answers
    histograms: dict[Split, list[int]]  # pairs in each bin of SIMILARITY_BINS, and in one more


def pair_facts(index: Index, selection: Selection) -> PairFacts:
    """Return the facts of the written pairs, which need the columns of a preference format in the index."""
    rows = np.concatenate(list(selection.sides.values()))
    lengths = index["answer_length"][rows], index["rejected_length"][rows]
    asked = index["asked_at"][rows]
    days = (index["answered_at"][rows] - asked) / _DAY, (index["rejected_at"][rows] - asked) / _DAY
    similarity = index["similarity"][rows]
    median, most = np.quantile(similarity, [0.5, 0.95])
    return PairFacts(
        table=[
            ("characters, median", *_quantiles(lengths, 0.5, 0)),
            ("characters, 95th percentile", *_quantiles(lengths, 0.95, 0)),
            ("days after the question, median", *_quantiles(days, 0.5, 1)),
            ("is the longer of the two", *_larger(*lengths)),
            ("is the older of the two", *_larger(-days[0], -days[1])),
        ],
        similarity=f"median {median:.2f}, 95th percentile {most:.2f}, maximum {similarity.max():.2f}",
        histograms={split: _histogram(index["similarity"][some]) for split, some in selection.sides.items()},
    )


def _quantiles(sides: tuple[Column, Column], share: float, decimals: int) -> tuple[str, str]:
    better, worse = (f"{np.quantile(side, share):,.{decimals}f}" for side in sides)
    return better, worse


def _larger(one: Column, other: Column) -> tuple[str, str]:
    """Return how often the first value of a pair is larger, and how often the second is."""
    return f"{np.mean(one > other):.0%}", f"{np.mean(other > one):.0%}"


def _histogram(similarity: Column) -> list[int]:
    bins = np.searchsorted(np.array(SIMILARITY_BINS, np.float32), similarity, "right")
    counts: list[int] = np.bincount(bins, minlength=len(SIMILARITY_BINS) + 1).tolist()
    return counts
