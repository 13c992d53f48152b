"""How far one dataset has moved from another: is a model tuned on the old one still tuned for the new one?

Numbers are compared by the population stability index over the reference's deciles, tags by the Jensen-Shannon distance
in base 2. The index's bounds for "moved" (0.1) and "far" (0.25) are credit scoring's convention (Siddiqi, Credit Risk
Scorecards, 2006); the distance's are set to rank alike.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from tuning.dataset.dataset import Dataset
from tuning.dataset.formats.codec import parse_line
from tuning.errors import TuningError

Verdict = Literal["steady", "moved", "far"]
MOVED, FAR = 0.1, 0.25
_COMMON_TAGS = 50  # the reference's most common tags are compared one by one, the rest as one


@dataclass(frozen=True)
class Measure:
    name: str
    reference: float  # mean, or for tags the number of different ones
    current: float
    drift: float

    @property
    def verdict(self) -> Verdict:
        return "far" if self.drift >= FAR else "moved" if self.drift >= MOVED else "steady"


@dataclass(frozen=True)
class Drift:
    reference: str  # dataset IDs
    current: str
    rows: tuple[int, int]
    added: int  # examples by example_id
    removed: int
    measures: list[Measure]


@dataclass
class _Profile:
    """Numbers per example only, never texts: about 150 bytes an example."""

    ids: set[str]
    tags: Counter[str]
    numbers: dict[str, npt.NDArray[np.float64]]


def compare(reference: Dataset, current: Dataset) -> Drift:
    """Both splits of both datasets. Raises TuningError where a dataset has no example."""
    old, new = _profile(reference), _profile(current)
    measures = [
        Measure(name, float(values.mean()), float(new.numbers[name].mean()), stability_index(values, new.numbers[name]))
        for name, values in old.numbers.items()
    ]
    measures.append(Measure("tags", len(old.tags), len(new.tags), tag_distance(old.tags, new.tags)))
    rows = (len(old.ids), len(new.ids))
    return Drift(reference.id, current.id, rows, len(new.ids - old.ids), len(old.ids - new.ids), measures)


def stability_index(reference: npt.NDArray[np.float64], current: npt.NDArray[np.float64]) -> float:
    """Population stability index over the reference's deciles; half an example is added to each bin, so none is empty.

    A decile's own value is a bin of its own: in "has code: 0 or 1" many values lie on one.
    """
    edges = np.unique(np.quantile(reference, np.linspace(0.1, 0.9, 9)))
    shares = []
    for values in (reference, current):
        places = np.searchsorted(edges, values, side="left") + np.searchsorted(edges, values, side="right")
        counts = np.bincount(places, minlength=2 * len(edges) + 1) + 0.5
        shares.append(counts / counts.sum())
    return float(((shares[1] - shares[0]) * np.log(shares[1] / shares[0])).sum())


def tag_distance(reference: Counter[str], current: Counter[str]) -> float:
    """Jensen-Shannon distance (0 to 1) of the tags' shares; ties in the reference's order are broken by name."""
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
    for split in ("train", "eval"):
        for attribution, numbers in zip(dataset.attributions(split), _numbers(dataset, split), strict=True):
            ids.add(attribution.example_id)
            tags.update(attribution.tags)
            rows.append((*numbers, float(attribution.answer_score)))
    if not rows:
        raise TuningError(f"dataset {dataset.id} has no example", "`invoke dataset` makes one")
    names = ("words in the prompt", "words in the answer", "answers with code", "answer score")
    return _Profile(ids, tags, dict(zip(names, np.array(rows).T, strict=True)))


def _numbers(dataset: Dataset, split: Literal["train", "eval"]) -> Iterator[tuple[float, float, float]]:
    with dataset.file(split).open("rb") as file:
        for line in file:
            example = parse_line(dataset.manifest.format, line)
            words = sum(len(message.content.split()) for message in example.prompt)
            yield words, len(example.answer.split()), float("```" in example.answer or "<pre" in example.answer)
