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
SMALLER_IS_BETTER = frozenset({"loss"})


class EvaluationOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Hold the number of examples and tokens to score.

    The defaults take about 80 s for two models of 135 M parameters on two cores.
    """

    # Number of losses, at about 0.3 s per example and model. An interval narrows with the square root of the number:
    # with 200 examples it is half as wide as with 48.
    examples: Positive = 48
    # Number of generated answers, at about 2 s per answer and model. A few answers are illustrations and prove nothing,
    # as their wide intervals show.
    answers: Annotated[int, Meta(ge=0)] = 8
    # A lower limit takes less time, but cuts more answers, which count as truncated.
    max_new_tokens: Positive = 96
    # Tokens of prompt and answer that are scored by the loss. Tokens after the limit are not scored.
    max_length: Positive = 384


class GateOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Hold the conditions of the release gate.

    Improvements are in the unit of the primary metric and positive for a better model.
    """

    level: Level = 0.95  # of the two-sided interval
    resamples: Positive = 10_000  # the adjusted intervals of many slices depend on only a few extreme resamples
    seed: int = 42
    minimum_groups: Positive = 30  # with fewer, a percentile bootstrap is too narrow, so the verdict is "undecided"
    slice_minimum: Positive = 100  # examples; a smaller slice is shown but never blocks
    # How much worse a slice may be before it blocks, in nats or chrF points. Readers do not notice such a difference.
    slice_margin_loss: Annotated[float, Meta(ge=0)] = 0.02
    slice_margin_chrf: Annotated[float, Meta(ge=0)] = 1.0
    # With "non-inferiority", a new model may be worse than the champion by up to `margin`. It must always be better
    # than the base.
    mode: Literal["superiority", "non-inferiority"] = "superiority"
    margin: Annotated[float, Meta(ge=0)] = 0.0

    def slice_margin(self, metric: str) -> float:
        """Return how much worse a slice may be before it blocks, in the unit of `metric`."""
        return self.slice_margin_loss if metric == "loss" else self.slice_margin_chrf


def evaluation_options(settings: Settings) -> EvaluationOptions:
    """Return the evaluation options in the settings."""
    return EvaluationOptions(examples=settings.evaluation_examples, answers=settings.evaluation_answers)


def gate_options(settings: Settings) -> GateOptions:
    """Return the gate options in the settings."""
    return GateOptions(mode=settings.gate_mode, margin=settings.gate_margin)
