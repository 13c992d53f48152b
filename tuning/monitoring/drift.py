"""Measure how much a dataset differs from another one, to decide whether a model must be tuned again.

Numbers are compared with the population stability index over the reference's deciles, and tags with the Jensen-Shannon
distance in base 2. The bounds of the index for "moved" (0.1) and "far" (0.25) are a convention of credit scoring
(Siddiqi, Credit Risk Scorecards, 2006). The same bounds are used for the distance.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from tuning.dataset.dataset import Dataset, Split
from tuning.dataset.formats.records import Example
from tuning.errors import TuningError
from tuning.monitoring.comparable import repeats_rows

Verdict = Literal["steady", "moved", "far"]
MOVED, FAR = 0.1, 0.25
_COMMON_TAGS = 50  # the most common tags of the reference are compared one by one, all others as one tag


@dataclass(frozen=True)
class Measure:
    """Represent the drift of one property of the examples."""

    name: str
    reference: float  # mean; for tags, the number of different tags
    current: float
    drift: float

    @property
    def verdict(self) -> Verdict:
        """Return "far", "moved" or "steady", by the bounds FAR and MOVED."""
        return "far" if self.drift >= FAR else "moved" if self.drift >= MOVED else "steady"


@dataclass(frozen=True)
class Drift:
    """Represent the differences between two datasets."""

    reference: str  # dataset IDs
    current: str
    rows: tuple[int, int]  # number of examples in the reference and in the current dataset
    added: int  # number of examples that only `current` has, by example_id
    removed: int  # number of examples that only `reference` has
    measures: list[Measure]
    repeats_rows: bool = False  # whether the weight of an own file repeats rows in one of them

    @property
    def note(self) -> str:
        """Return what the numbers count if rows are repeated, or ""."""
        if not self.repeats_rows:
            return ""
        return "The measures count a row as often as the weight of its file repeats it; the numbers of examples, once."


@dataclass
class _Profile:
    """Hold numbers per example, but no texts. This takes about 150 bytes per example."""

    ids: set[str]
    tags: Counter[str]
    numbers: dict[str, npt.NDArray[np.float64]]


def compare(reference: Dataset, current: Dataset) -> Drift:
    """Compare both splits of two datasets. Raises TuningError if a dataset has no examples."""
    old, new = _profile(reference), _profile(current)
    measures = [
        Measure(name, float(values.mean()), float(new.numbers[name].mean()), stability_index(values, new.numbers[name]))
        for name, values in old.numbers.items()
    ]
    measures.append(Measure("tags", len(old.tags), len(new.tags), tag_distance(old.tags, new.tags)))
    rows = (len(old.ids), len(new.ids))
    repeats = repeats_rows(reference) or repeats_rows(current)
    return Drift(reference.id, current.id, rows, len(new.ids - old.ids), len(old.ids - new.ids), measures, repeats)


def stability_index(reference: npt.NDArray[np.float64], current: npt.NDArray[np.float64]) -> float:
    """Return the population stability index over the reference's deciles.

    Half an example is added to each bin, so that no bin is empty: half an example of the smaller side, on both sides.
    So equal shares have the index 0, whatever the numbers of examples. Values that equal a decile get a separate bin,
    because in a yes-or-no measure such as "answers with code", most values equal a decile.
    """
    edges = np.unique(np.quantile(reference, np.linspace(0.1, 0.9, 9)))
    least = min(len(reference), len(current))
    shares = []
    for values in (reference, current):
        places = np.searchsorted(edges, values, side="left") + np.searchsorted(edges, values, side="right")
        counts = np.bincount(places, minlength=2 * len(edges) + 1) / len(values) * least + 0.5
        shares.append(counts / counts.sum())
    return float(((shares[1] - shares[0]) * np.log(shares[1] / shares[0])).sum())


def tag_distance(reference: Counter[str], current: Counter[str]) -> float:
    """Return the Jensen-Shannon distance (0 to 1) between the shares of the tags.

    The 50 most common tags of the reference are compared one by one, all others together as one. Where tags are
    equally common, those first in the alphabet count as more common.
    """
    common = [tag for tag, _ in sorted(reference.items(), key=lambda item: (-item[1], item[0]))[:_COMMON_TAGS]]
    shares = []
    for tags in (reference, current):
        counts = np.array(
            [tags[tag] for tag in common] + [tags.total() - sum(tags[tag] for tag in common)], dtype=float
        )
        shares.append(counts / max(counts.sum(), 1))
    middle = (shares[0] + shares[1]) / 2
    divergence = 0.0
    for share in shares:
        held = share > 0
        divergence += float((share[held] * np.log2(share[held] / middle[held])).sum()) / 2
    return float(np.sqrt(max(divergence, 0.0)))


def _profile(dataset: Dataset) -> _Profile:
    ids: set[str] = set()
    tags: Counter[str] = Counter()
    rows: list[tuple[float, float, float, float]] = []
    splits: tuple[Split, Split] = ("train", "eval")
    for split in splits:
        for attribution, example in dataset.pairs(split):
            ids.add(attribution.example_id)
            tags.update(attribution.tags)
            rows.append((*_numbers(example), float(attribution.answer_score)))
    if not rows:
        raise TuningError(f"dataset {dataset.id} has no examples", "Run `invoke dataset` to create another dataset")
    names = ("words in the prompt", "words in the answer", "answers with code", "answer score")
    return _Profile(ids, tags, dict(zip(names, np.array(rows).T, strict=True)))


def _numbers(example: Example) -> tuple[float, float, float]:
    words = sum(len(message.content.split()) for message in example.prompt)
    return words, len(example.answer.split()), float("```" in example.answer or "<pre" in example.answer)
