"""Estimate the cost of a managed tuning: tokens, extrapolated from a sample, times epochs, times the price."""

import math
import statistics
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from tuning.dataset.dataset import Dataset
from tuning.dataset.formats.codec import parse_line
from tuning.dataset.formats.records import Example
from tuning.dataset.tokens import BYTES_PER_TOKEN
from tuning.errors import TuningError
from tuning.gcs.access import backoff, google_errors
from tuning.sampling import draw
from tuning.settings import Settings
from tuning.target import find_target
from tuning.tuners.gemini.check import characters
from tuning.tuners.gemini.client import connect
from tuning.tuners.gemini.models import SERVED_FROM, make_plan
from tuning.tuners.gemini.prices import TRAINING, staleness
from tuning.tuners.protocol import Estimate, TuneOptions

SAMPLE = 40  # number of examples whose tokens the service counts, which is free
LOCAL_ERROR = 0.25  # relative: the counts of tokenizers differ by about a quarter
TOKENS_PER_SECOND = 4_000.0  # a rule of thumb; jobs also wait for machines
SECONDS_AROUND = 900.0  # added to every estimate, whatever the number of tokens


def estimate(settings: Settings, dataset: Dataset, options: TuneOptions) -> Estimate:
    """Estimate tokens, seconds and dollars of a tuning job.

    The dollars are for the upper end of the token estimate, because only a sample was counted and the real costs should
    not exceed a budget. Raises TuningError before any request if Vertex AI would refuse the options, or if a budget is
    set and the price of the model is not known. Also raises TuningError if the service fails to count the tokens.
    """
    rows = dataset.manifest.files["train.jsonl"].rows
    plan = make_plan(settings, options, dataset.manifest.format, rows)
    price, price_notes = training_price(settings, plan.base_model)
    total, sample = _measure(dataset)
    if find_target(settings).uses_google:
        ratio, error = _counted(settings, plan.base_model, sample)
        how = (
            f"tokens: counted by the service on {len(sample)} examples, {ratio:.3f} per character "
            f"+- {error / ratio:.1%}"
        )
    else:
        ratio, error = 1 / BYTES_PER_TOKEN, LOCAL_ERROR / BYTES_PER_TOKEN
        how = f"tokens: estimated, one per {BYTES_PER_TOKEN:g} characters, +- {LOCAL_ERROR:.0%} (not counted)"
    tokens = math.ceil(total * ratio) * plan.epochs
    most = math.ceil(total * (ratio + error)) * plan.epochs
    return Estimate(
        examples=rows * plan.epochs,
        tokens=tokens,
        seconds=round(SECONDS_AROUND + tokens / TOKENS_PER_SECOND),
        dollars=round(most / 1e6 * price, 4),
        notes=[
            how,
            f"{plan.epochs} epochs of {plan.base_model}, {price_notes[0]}",
            f"time: assumes {TOKENS_PER_SECOND:,.0f} tokens per second, a rule of thumb",
            *price_notes[1:],
        ],
    )


def training_price(settings: Settings, base_model: str) -> tuple[float, tuple[str, ...]]:
    """Return the price in US dollars per million training tokens, and notes about it. An unknown price is NaN.

    Raises TuningError if the price is not known and a budget is set, because the budget could not be enforced.
    """
    if settings.training_price:
        return settings.training_price, (
            f"{settings.training_price:g} dollars per million tokens (TUNING_TRAINING_PRICE)",
        )
    if price := TRAINING.get(base_model):
        quoted = f"{price.dollars:g} dollars per {price.unit} ({price.page}, as of {price.quoted})"
        return price.dollars, (quoted, *staleness(price, datetime.now(UTC).date()))
    hint = "Set TUNING_TRAINING_PRICE, in dollars per million tokens"
    if settings.budget:
        raise TuningError(
            f"no price known for {base_model}, so its tuning cannot be held to a budget", f"{hint}, or omit --budget"
        )
    return math.nan, (f"no price known for {base_model}. {hint}",)


def _measure(dataset: Dataset) -> tuple[int, list[Example]]:
    """Return the number of characters in the train file and a sample of examples, which depends only on their text."""
    total = 0

    def measured(lines: Iterable[bytes]) -> Iterator[tuple[str, Example]]:
        nonlocal total
        for line in lines:
            example = parse_line(dataset.manifest.format, line)
            total += characters(example)
            yield line.decode(), example

    with dataset.file("train").open("rb") as file:
        sample = draw("tokens", measured(file), SAMPLE, lambda one: one[0])
    return total, [example for _, example in sample]


def _counted(settings: Settings, base_model: str, sample: list[Example]) -> tuple[float, float]:
    """Return the tokens per character that the service counts, and half the width of the 95% interval."""
    client = connect(settings, SERVED_FROM[settings.region])
    texts = ["".join((*(message.content for message in one.prompt), one.answer, one.rejected or "")) for one in sample]
    with google_errors(f"counting tokens with {base_model}"):
        counts = [backoff()(client.models.count_tokens)(model=base_model, contents=text).total_tokens for text in texts]
    # Ratio estimator: the ratio of the sums. Its error follows from the spread of the residuals.
    letters = [len(text) for text in texts]
    ratio = sum(count or 0 for count in counts) / max(1, sum(letters))
    residuals = [(count or 0) - ratio * length for count, length in zip(counts, letters, strict=True)]
    spread = statistics.stdev(residuals) if len(residuals) > 1 else 0.0
    return ratio, 1.96 * spread * math.sqrt(len(residuals)) / max(1, sum(letters))
