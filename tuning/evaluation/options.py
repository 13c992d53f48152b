"""How much to evaluate and when a model passes. Every number is a trade between time and certainty."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from tuning.settings import Settings

Positive = Annotated[int, Meta(gt=0)]
Level = Annotated[float, Meta(gt=0, lt=1)]

# What `improvement` of each primary metric means: the unit, and whether smaller is better.
UNITS = {"loss": "nats per answer token", "chrf": "points of chrF (0-100)"}
SMOKE_TEST_BASE = "tiny"  # a base model that shows that the pipeline works, and nothing else
SMALLER_IS_BETTER = frozenset({"loss"})


class EvaluationOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What is scored. The default takes about 80 s for two models of 135 M parameters on two cores."""

    # Losses: about 0.3 s per example and model there. An interval narrows with the square root: 200 halve that of 48.
    examples: Positive = 48
    # Generated answers: about 2 s each and model. They illustrate; few prove nothing, and their intervals say so.
    answers: Annotated[int, Meta(ge=0)] = 8
    # Shorter answers are cut sooner (counted as truncated) and cost less time.
    max_new_tokens: Positive = 96
    # Tokens of prompt and answer that a loss reads; what is beyond is not scored.
    max_length: Positive = 384


class GateOptions(msgspec.Struct, frozen=True, kw_only=True):
    """When a model passes. Improvement is in the primary metric's unit, positive when the new model is better."""

    level: Level = 0.95  # of the two-sided interval
    resamples: Positive = 10_000  # the adjusted intervals of many slices rest on the outermost few
    seed: int = 42
    minimum_groups: Positive = 30  # a percentile bootstrap over fewer is too narrow: "undecided"
    slice_minimum: Positive = 100  # examples; a smaller slice is shown and never blocks
    # How much worse a slice may be before it blocks, in nats or chrF points: what nobody would notice in an answer.
    slice_margin_loss: Annotated[float, Meta(ge=0)] = 0.02
    slice_margin_chrf: Annotated[float, Meta(ge=0)] = 1.0
    # "non-inferiority" asks of a new model only that it is not worse than the champion by more than `margin`;
    # against the base it must always be better.
    mode: Literal["superiority", "non-inferiority"] = "superiority"
    margin: Annotated[float, Meta(ge=0)] = 0.0

    def slice_margin(self, metric: str) -> float:
        return self.slice_margin_loss if metric == "loss" else self.slice_margin_chrf


def evaluation_options(settings: Settings) -> EvaluationOptions:
    """What the settings ask to evaluate."""
    return EvaluationOptions(examples=settings.evaluation_examples, answers=settings.evaluation_answers)


def gate_options(settings: Settings) -> GateOptions:
    """What the settings ask of a new model."""
    return GateOptions(mode=settings.gate_mode, margin=settings.gate_margin)
