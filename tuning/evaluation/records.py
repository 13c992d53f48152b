"""What evaluation writes and later steps read: JSON files with these shapes."""

from typing import Literal

import msgspec

from tuning.tuners.protocol import Model


class Scored(msgspec.Struct, frozen=True, kw_only=True):
    """One example as one model did on it. `scores` holds only what was measured: ``loss``, ``chrf`` and so on."""

    example_id: str
    question_id: int
    group: int
    slices: list[str]  # such as "tag: pandas"
    scores: dict[str, float]
    tokens: int = 0  # of the answer, that the loss is a mean over
    question: str = ""  # these four for examples with a generated answer only
    reference: str = ""
    answer: str = ""
    finish_reason: str = ""


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """One model on the examples of one dataset. `model` is None where there was no model (no champion yet)."""

    role: str  # base, tuned or champion; or a version
    model: Model | None
    dataset_id: str
    dataset_sha256: str
    scored: list[Scored]

    @property
    def base(self) -> str:
        return self.model.base_model if self.model else ""


class Interval(msgspec.Struct, frozen=True):
    mean: float
    low: float
    high: float
    examples: int


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One metric: each model's mean and the tuned model's paired difference to each other, with intervals."""

    metric: str
    models: dict[str, Interval]  # by role
    differences: dict[str, Interval]  # tuned minus that role, over examples that both have


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """The tuned model against another on one example; `improvement` is positive where the tuned one is better."""

    example_id: str
    question_id: int
    group: int
    slices: list[str]
    improvement: float


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """The answers to one question beside each other."""

    example_id: str
    question: str
    reference: str
    answers: dict[str, str]  # by role
    finish_reasons: dict[str, str]


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    primary_metric: str
    figures: list[Figure]
    perplexity: dict[str, Interval]  # by role: exp of the mean of the examples' losses
    token_loss: dict[str, Interval]  # by role: the mean over all answer tokens, as training frameworks report it
    pairs: dict[str, list[Pair]]  # by opponent: base, and champion where there is one
    sides: list[Side]
    incomparable: dict[str, str] = {}  # by opponent: why the primary metric does not compare
    inputs: dict[str, str]  # sha256 of what was compared


class SliceVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """`low` and `high` are Holm-adjusted where the slice was judged, plain where it was only shown."""

    name: str
    opponent: str
    examples: int
    mean: float
    low: float
    high: float
    judged: bool
    blocks: bool


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What the release gate says and why."""

    status: Literal["pass", "fail", "undecided"]
    reasons: list[str]  # in words, the first says most
    primary_metric: str
    improvements: dict[str, Interval]  # by opponent
    slices: list[SliceVerdict]
    champion: str | None  # the version it was compared with
    smoke_test: bool  # the base is too small for the verdict to say anything about quality
    options: dict[str, object]
    inputs: dict[str, str]

    @property
    def passed(self) -> bool:
        return self.status == "pass"
