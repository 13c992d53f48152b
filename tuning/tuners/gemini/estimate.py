"""What a managed tuning will cost: tokens counted on a sample, times epochs, times the price."""

import heapq
import math
import statistics
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime

from tuning.dataset.dataset import Dataset
from tuning.dataset.formats.codec import parse_line
from tuning.dataset.formats.records import Example
from tuning.errors import TuningError
from tuning.gcs.access import backoff, google_errors
from tuning.settings import Settings
from tuning.tuners.gemini.check import characters
from tuning.tuners.gemini.client import connect
from tuning.tuners.gemini.models import SERVED_FROM, make_plan
from tuning.tuners.gemini.prices import TRAINING, staleness
from tuning.tuners.protocol import Estimate, TuneOptions

SAMPLE = 40  # examples whose tokens are counted by the service; counting costs nothing
LOCAL_CHARACTERS_PER_TOKEN, LOCAL_ERROR = 3.7, 0.25  # English with code; tokenizers differ by a quarter
TOKENS_PER_SECOND = 4_000.0  # a rule of thumb, not a promise: jobs also wait for machines
SECONDS_AROUND = 900.0


def estimate(settings: Settings, dataset: Dataset, options: TuneOptions) -> Estimate:
    """Dollars are those of the upper end of the token estimate: a budget holds although tokens were sampled.

    Raises TuningError, before anything is asked, where a budget is set and the model's price is not known.
    """
    rows = dataset.manifest.files["train.jsonl"].rows
    plan = make_plan(settings, options, dataset.manifest.format, rows)
    price, said = training_price(settings, plan.base_model)
    total, sample = _measure(dataset)
    if settings.target == "gcp":
        ratio, error = _counted(settings, plan.base_model, sample)
        how = (
            f"tokens: counted by the service on {len(sample)} examples, {ratio:.3f} a character +- {error / ratio:.1%}"
        )
    else:
        ratio, error = 1 / LOCAL_CHARACTERS_PER_TOKEN, LOCAL_ERROR / LOCAL_CHARACTERS_PER_TOKEN
        how = f"tokens: about one in {LOCAL_CHARACTERS_PER_TOKEN:g} characters, +- {LOCAL_ERROR:.0%} (not counted)"
    tokens = math.ceil(total * ratio) * plan.epochs
    most = math.ceil(total * (ratio + error)) * plan.epochs
    return Estimate(
        examples=rows * plan.epochs,
        tokens=tokens,
        seconds=round(SECONDS_AROUND + tokens / TOKENS_PER_SECOND),
        dollars=round(most / 1e6 * price, 4),
        notes=[
            how,
            f"{plan.epochs} epochs of {plan.base_model}, {said[0]}",
            f"time: at {TOKENS_PER_SECOND:,.0f} tokens a second, a rule of thumb",
            *said[1:],
        ],
    )


def training_price(settings: Settings, base_model: str) -> tuple[float, tuple[str, ...]]:
    """US dollars per million trained tokens, and what must be said of them; NaN where no price is known.

    TuningError where it is not known and a budget is set, which nothing could hold.
    """
    if settings.training_price:
        return settings.training_price, (f"{settings.training_price:g} dollars per million tokens as set",)
    if price := TRAINING.get(base_model):
        quoted = f"{price.dollars:g} dollars per {price.unit} ({price.page} on {price.quoted})"
        return price.dollars, (quoted, *staleness(price, datetime.now(UTC).date()))
    mend = "TUNING_TRAINING_PRICE sets it, in dollars per million tokens"
    if settings.budget:
        raise TuningError(
            f"no price known for {base_model}, so its tuning cannot be held to a budget", f"{mend}; or omit --budget"
        )
    return math.nan, (f"no price known for {base_model}: {mend}",)


def _measure(dataset: Dataset) -> tuple[int, list[Example]]:
    """All characters of the train file, and a sample of examples that depends on their text alone."""
    total = 0
    chosen: list[tuple[int, int, Example]] = []
    for number, (line, example) in enumerate(_examples(dataset)):
        total += characters(example)
        entry = (-zlib.crc32(line), -number, example)
        if len(chosen) < SAMPLE:
            heapq.heappush(chosen, entry)
        elif entry[:2] > chosen[0][:2]:
            heapq.heapreplace(chosen, entry)
    return total, [example for *_, example in sorted(chosen, key=lambda entry: -entry[1])]


def _examples(dataset: Dataset) -> Iterator[tuple[bytes, Example]]:
    with dataset.file("train").open("rb") as file:
        for line in file:
            yield line, parse_line(dataset.manifest.format, line)


def _counted(settings: Settings, base_model: str, sample: list[Example]) -> tuple[float, float]:
    """Tokens per character by the service's own count, and the half width of its 95% interval."""
    client = connect(settings, SERVED_FROM[settings.region])
    texts = ["".join((*(message.content for message in one.prompt), one.answer, one.rejected or "")) for one in sample]
    with google_errors(f"counting tokens with {base_model}"):
        counts = [backoff()(client.models.count_tokens)(model=base_model, contents=text).total_tokens for text in texts]
    # A ratio of sums, its error by the spread of what each example adds or lacks (a ratio estimator).
    letters = [len(text) for text in texts]
    ratio = sum(count or 0 for count in counts) / max(1, sum(letters))
    rest = [(count or 0) - ratio * length for count, length in zip(counts, letters, strict=True)]
    spread = statistics.stdev(rest) if len(rest) > 1 else 0.0
    return ratio, 1.96 * spread * math.sqrt(len(rest)) / max(1, sum(letters))
