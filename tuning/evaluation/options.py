"""Define how much to evaluate and when a model passes. Each number is a trade-off between time and certainty."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from tuning.settings import Settings

Positive = Annotated[int, Meta(gt=0)]
Level = Annotated[float, Meta(gt=0, lt=1)]

# The unit of an improvement, by primary metric.
UNITS = {"loss": "nats per answer token", "chrf": "points of chrF (0-100)"}
SMOKE_TEST_BASE = "tiny"  # a base model that shows only that the pipeline works
SMALLER_IS_BETTER = frozenset({"loss", "loop", "empty"})
# Metrics in which a model must not become worse. All are shares of the suite's questions, in per cent.
GUARDRAILS = ("executed", "runs", "apis", "code", "loop", "empty")


class EvaluationOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Hold which examples are scored and which questions are asked."""

    # Number of examples whose loss is computed, which takes about 0.3 s per example and model. The width of an interval
    # falls with the square root of this number: with 144 examples, it is half as wide as with 36.
    examples: Positive = 36
    # Number of examples with a generated answer. They are illustrations: a few answers prove nothing.
    answers: Annotated[int, Meta(ge=0)] = 5
    # Maximum tokens of a generated answer. With 96, nearly all answers of smollm2 are cut; with 512, one in fifteen is.
    max_new_tokens: Positive = 512
    # For the loss, prompt and answer together are cut to this many tokens. Only the tokens of the answer are scored.
    max_length: Positive = 384
    suite: str = "judging"  # the how-to questions whose answers are run; empty: none
    benchmark: str = ""  # asked instead of the suite: "humaneval" or a file
    # "unprotected" runs the code in answers even if its access to the network and to files cannot be blocked.
    run_answers: Literal["sandboxed", "unprotected", "no"] = "sandboxed"


class GateOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Hold the conditions of the release gate.

    Improvements are in the unit of the primary metric and positive for a better model. With 96 questions and these
    numbers, `python -m tests.evaluation.simulate_gate` prints how often a model that is worse is released.
    """

    level: Level = 0.95  # of the two-sided interval
    resamples: Positive = 10_000  # many, because an interval adjusted for many slices depends on few extreme resamples
    seed: int = 42
    minimum_groups: Positive = 30  # with fewer, a percentile bootstrap is too narrow, so the verdict is "undecided"
    # How many points of the executed share a model may lose and still be "not worse". With 96 questions, a smaller
    # margin would leave most models that are as good as the base undecided.
    margin: Annotated[float, Meta(gt=0)] = 15.0
    slice_minimum: Positive = 100  # examples; a smaller slice is shown but never blocks
    # How much worse a slice may be before it blocks, in nats or chrF points. Readers do not notice such a difference.
    slice_margin_loss: Annotated[float, Meta(ge=0)] = 0.02
    slice_margin_chrf: Annotated[float, Meta(ge=0)] = 1.0

    def slice_margin(self, metric: str) -> float:
        """Return how much worse a slice may be before it blocks, in the unit of `metric`."""
        return self.slice_margin_loss if metric == "loss" else self.slice_margin_chrf


def evaluation_options(settings: Settings, base_model: str) -> EvaluationOptions:
    """Return the evaluation options in the settings. The suite is not used with a base model for smoke tests."""
    return EvaluationOptions(
        suite="" if base_model == SMOKE_TEST_BASE else EvaluationOptions().suite,
        examples=settings.evaluation_examples,
        answers=settings.evaluation_answers,
        run_answers=settings.run_answers,
    )
