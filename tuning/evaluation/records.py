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
    question: str = ""  # these five fields are set only for examples with a generated answer
    reference: str = ""
    answer: str = ""
    finish_reason: str = ""
    notes: list[str] = []


class AskedQuestion(msgspec.Struct, frozen=True, kw_only=True):
    """Hold one question of the suite, a model's answer to it, and what the answer's code did."""

    topic: str  # unique in a suite
    question: str  # title and body
    reference: str
    check: str = ""  # the code that decides whether the answer's code did what was asked
    answer: str
    finish_reason: str
    notes: list[str] = []
    scores: dict[str, float]  # such as ``executed``; see DESCRIPTIONS
    printed: str = ""  # the start of what the code printed
    error: str = ""  # why the code ended early or the check failed


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """Hold a model's answers to a suite. `reason` says why the answers' code was not run, and is empty if it was."""

    suite: str = ""  # name, number of questions and hash; empty if no suite was asked
    protection: str = ""  # of the sandbox that ran the code
    questions: list[AskedQuestion] = []
    reason: str = ""


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """Hold the scores of one model on one dataset. `model` is None if there is none, for example no champion yet."""

    role: str  # base, tuned or champion; or a version
    model: Model | None
    dataset_id: str
    dataset_sha256: str
    scored: list[Scored]
    asked: Asked = Asked()

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
    """Hold one metric: the mean of each model and the paired differences from the tuned model, with intervals."""

    metric: str
    models: dict[str, Interval]  # by role
    # By role: the mean of the tuned model minus the mean of that model, on the examples for which both have a score.
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
    scores: dict[str, dict[str, float]] = {}
    notes: dict[str, list[str]] = {}


class SuiteSide(msgspec.Struct, frozen=True, kw_only=True):
    """Hold one question of the suite with the answers of all models. Each dictionary is by role."""

    topic: str
    question: str
    reference: str
    check: str = ""
    answers: dict[str, str]
    finish_reasons: dict[str, str]
    scores: dict[str, dict[str, float]]
    printed: dict[str, str]
    errors: dict[str, str]
    notes: dict[str, list[str]] = {}


class SuiteComparison(msgspec.Struct, frozen=True, kw_only=True):
    """Hold the comparison on the suite. `reason` says why the answers' code was not run, and is empty if it was."""

    suite: str = ""
    protection: str = ""
    reason: str = ""
    figures: list[Figure] = []
    sides: list[SuiteSide] = []


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
    suite: SuiteComparison = SuiteComparison()


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


Status = Literal["better", "not worse", "worse", "undecided"]


class Guardrail(msgspec.Struct, frozen=True, kw_only=True):
    """Hold one guardrail: the paired change in percentage points, positive if the tuned model is better.

    The interval is adjusted for the number of guardrails.
    """

    metric: str
    change: Interval
    is_worse: bool


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """Hold the verdict against one opponent. A figure is None if it could not be computed."""

    opponent: str  # base or champion
    status: Status
    reasons: list[str]
    executed: Interval | None = None  # paired change of the executed share, in percentage points
    complete: Interval | None = None  # the same without questions where an answer was cut or empty
    gained: list[str] = []  # topics that only the tuned model solves
    lost: list[str] = []  # topics that only the opponent solves
    solved: dict[str, int] = {}  # by role: how many questions the tuned model and the opponent solve
    guardrails: list[Guardrail] = []


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """Hold the verdict of the release gate and the reasons for it.

    Verdicts of releases before 0.3 are "pass" or "fail". They judged the loss only, so they allow no release.
    """

    status: Literal["better", "not worse", "worse", "undecided", "pass", "fail"]
    reasons: list[str]  # sentences, the most important first
    primary_metric: str
    improvements: dict[str, Interval]  # in the primary metric, by opponent
    slices: list[SliceVerdict]
    judgements: list[Judgement] = []
    champion: str | None  # the version that the model was compared with
    smoke_test: bool  # the base is too small for the verdict to say anything about quality
    options: dict[str, object]
    inputs: dict[str, str]

    @property
    def passed(self) -> bool:
        """Return whether the model may be released."""
        return self.status in ("better", "not worse")
