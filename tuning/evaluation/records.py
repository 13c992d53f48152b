"""Define the JSON records that the evaluation writes and later steps read."""

from typing import Literal

import msgspec

from tuning.tuners.protocol import Model


class Scored(msgspec.Struct, frozen=True, kw_only=True):
    """Hold the scores of one model on one example. `scores` has the measured metrics, such as ``loss`` or ``chrf``."""

    example_id: str
    question_id: int
    group: int
    slices: list[str]  # for example, "tag: pandas"
    scores: dict[str, float]
    tokens: int = 0  # number of answer tokens that the loss is averaged over
    question: str = ""  # these four fields are set only for examples with a generated answer
    reference: str = ""
    answer: str = ""
    finish_reason: str = ""


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """Hold the scores of one model on one dataset. `model` is None if there is no model, such as no champion yet."""

    role: str  # base, tuned or champion; or a version
    model: Model | None
    dataset_id: str
    dataset_sha256: str
    scored: list[Scored]

    @property
    def base(self) -> str:
        """Return the name of the base model, or "" if there is no model."""
        return self.model.base_model if self.model else ""


class Interval(msgspec.Struct, frozen=True):
    """Hold a mean, its interval from `low` to `high`, and the number of examples."""

    mean: float
    low: float
    high: float
    examples: int


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """Hold one metric: the mean of each model and the paired differences to the tuned model, with intervals."""

    metric: str
    models: dict[str, Interval]  # by role
    # By role: the mean of the tuned model minus the mean of that model, on the examples that both have.
    differences: dict[str, Interval]


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """Compare the tuned model with another on one example. `improvement` is positive if the tuned model is better."""

    example_id: str
    question_id: int
    group: int
    slices: list[str]
    improvement: float


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """Hold one question, its reference answer and the answer of each model."""

    example_id: str
    question: str
    reference: str
    answers: dict[str, str]  # by role: base, tuned or champion
    finish_reasons: dict[str, str]


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """Hold the comparison of the tuned model with the base and the champion."""

    primary_metric: str
    figures: list[Figure]
    perplexity: dict[str, Interval]  # by role: exp of the mean of the examples' losses
    token_loss: dict[str, Interval]  # by role: the mean over all answer tokens, as training frameworks report it
    pairs: dict[str, list[Pair]]  # by opponent: base, and champion if there is one
    sides: list[Side]
    incomparable: dict[str, str] = {}  # by opponent: why the primary metric cannot be compared
    inputs: dict[str, str]  # sha256 of what was compared


class SliceVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """Hold the result of one slice. `low` and `high` are Holm-adjusted if the slice is large enough to be `judged`."""

    name: str
    opponent: str
    examples: int
    mean: float
    low: float
    high: float
    judged: bool
    blocks: bool


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """Hold the verdict of the release gate and the reasons for it."""

    status: Literal["pass", "fail", "undecided"]
    reasons: list[str]  # sentences, the most important first
    primary_metric: str
    improvements: dict[str, Interval]  # by opponent
    slices: list[SliceVerdict]
    champion: str | None  # the version it was compared with
    smoke_test: bool  # the base is too small for the verdict to say anything about quality
    options: dict[str, object]
    inputs: dict[str, str]

    @property
    def passed(self) -> bool:
        """Return whether the model passed the gate."""
        return self.status == "pass"
