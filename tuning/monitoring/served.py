"""Compare the answers that a model gave to programs with its answers in the evaluation.

A share moved far if it differs by at least 10 points, and if a two-sample z-test calls the difference significant at
|z| >= 3 (0.3% of equal shares do). A length moved far if the mean is less than half or more than twice the other. With
fewer than 50 served or 20 evaluated answers, nothing is judged. The questions differ from those of the evaluation, so a
drift says that the model is used in another way than it was judged, or that it answers differently: a person looks.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from tuning.evaluation.records import Interval
from tuning.evaluation.text_metrics import DESCRIPTIONS
from tuning.registry import registry
from tuning.settings import Settings
from tuning.sources.served.answers import ServedAnswer, log_files, log_folder, read_log, today

FEWEST_SERVED, FEWEST_EVALUATED = 50, 20
POINTS, Z, RATIO = 10.0, 3.0, 2.0
_SHARES = {
    "code": "has_code",
    "refusal": "is_refusal",
    "empty": "is_empty",
    "loop": "is_loop",
    "truncated": "is_truncated",
}


@dataclass(frozen=True)
class Measure:
    """Represent one metric: its means and numbers of answers, and whether it moved far. None: too few answers."""

    name: str
    evaluated: Interval
    served: float
    answers: int
    is_far: bool | None

    @property
    def verdict(self) -> str:
        """Return the result in words."""
        return "too few answers" if self.is_far is None else "far" if self.is_far else "steady"


@dataclass(frozen=True)
class ServedDrift:
    """Hold the comparison of the version that answered last. `remark` says why there is none, if there is none."""

    version: str
    answers: int
    measures: list[Measure]
    remark: str = ""
    damaged: int = 0

    @property
    def is_far(self) -> bool:
        """Return whether a metric moved far."""
        return any(measure.is_far for measure in self.measures)


def has_log(settings: Settings) -> bool:
    """Return whether the home has a log of served answers."""
    return any(log_files(settings))


def served_drift(settings: Settings, days: int) -> ServedDrift:
    """Compare the answers of the last `days` days, of the version that answered last, with those of its evaluation.

    Raises TuningError if the log cannot be read.
    """
    log = read_log(settings, today() - timedelta(days=days - 1))
    if not log.answers:
        where = f"{log_folder(settings)} has none. `invoke serve --log` begins a log"
        return ServedDrift("any version", 0, [], where, log.damaged)
    name = max(log.answers, key=lambda one: one.answered_at).model_version
    answers = [one for one in log.answers if one.model_version == name]
    version = next((one for one in registry.versions(settings) if one.name == name), None)
    remark = ""
    if version is None:
        remark = f"{name} is not in the registry of this home"
    elif not version.answer_metrics:
        remark = f"{name} was registered without the scores of its evaluation's answers. Tune it again to have them"
    reference = version.answer_metrics if version else {}
    measures = [measure for metric in reference if (measure := _measure(metric, reference[metric], answers))]
    return ServedDrift(name, len(answers), measures, remark, log.damaged)


def served_lines(drift: ServedDrift, days: int) -> list[str]:
    """Return the comparison as lines for a terminal."""
    damaged = f"; {drift.damaged:,} damaged lines of the log are left out" if drift.damaged else ""
    lines = [f"{drift.answers:,} served answers of {drift.version} in the last {days} days{damaged}"]
    if drift.remark:
        return [*lines, f"nothing to compare with: {drift.remark}"]
    lines.append(f"{'answers':12} {'evaluation':>10} {'served':>10}  verdict")
    for one in drift.measures:
        meaning = DESCRIPTIONS[one.name]
        lines.append(f"{one.name:12} {one.evaluated.mean:10.1f} {one.served:10.1f}  {one.verdict:16} {meaning}")
    if drift.is_far:
        lines.append(
            "the served answers differ a lot from those of the evaluation: read some, and run `invoke refresh` or "
            "`invoke monitor --retune` after loading newer posts"
        )
    return lines


def _measure(metric: str, evaluated: Interval, answers: Sequence[ServedAnswer]) -> Measure | None:
    values = _values(metric, answers)
    if not values:
        return None
    mean = sum(values) / len(values)
    is_far = None
    if len(values) >= FEWEST_SERVED and evaluated.examples >= FEWEST_EVALUATED:
        is_far = (
            _is_another_length(mean, evaluated.mean)
            if metric == "characters"
            else _is_another_share(mean, len(values), evaluated.mean, evaluated.examples)
        )
    return Measure(metric, evaluated, mean, len(values), is_far)


def _values(metric: str, answers: Sequence[ServedAnswer]) -> list[float]:
    if metric == "characters":
        return [float(one.characters) for one in answers]
    if metric == "parses":
        return [one.parsing_share for one in answers if one.parsing_share is not None]
    return [100.0 * getattr(one, _SHARES[metric]) for one in answers]


def _is_another_length(one: float, other: float) -> bool:
    return max(one, other) > RATIO * min(one, other)


def _is_another_share(one: float, ones: int, other: float, others: int) -> bool:
    """Return whether two shares in per cent differ far. The variance is the largest that a share with this mean has."""
    pooled = (one * ones + other * others) / (ones + others) / 100
    deviation = 100 * math.sqrt(pooled * (1 - pooled) * (1 / ones + 1 / others))
    difference = abs(one - other)
    return difference >= POINTS and difference >= Z * deviation
