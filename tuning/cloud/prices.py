"""What Google charges, in US dollars: one dated table. Correct a number and `AS_OF` together.

Sources: https://cloud.google.com/vertex-ai/generative-ai/pricing (tuning), https://cloud.google.com/bigquery/pricing
(on demand, US), https://cloud.google.com/vertex-ai/pricing (pipelines), https://cloud.google.com/storage/pricing.
"""

from dataclasses import dataclass
from datetime import date

AS_OF = date(2025, 8, 1)
STALE_AFTER = 90  # days

BIGQUERY_TEBIBYTE = 6.25  # read by queries; an extract job costs nothing
PIPELINE_RUN = 0.03  # the fee of one run; the machines of its steps come on top
STORAGE_GIGABYTE_MONTH = 0.02
# Per million trained tokens: the dataset's tokens times the epochs.
TRAINING = {
    "gemini-2.0-flash-lite-001": 1.0,
    "gemini-2.0-flash-001": 3.0,
    "gemini-2.5-flash-lite": 1.5,
    "gemini-2.5-flash": 5.0,
    "gemini-2.5-pro": 25.0,
}


@dataclass(frozen=True)
class Price:
    """US dollars per million trained tokens, and what must be said of the figure."""

    dollars: float
    notes: tuple[str, ...]


def training_price(base_model: str, given: float, today: date) -> Price:
    """The price of a model: `given` (TUNING_TRAINING_PRICE) where it is set, else the table's. A model that the table
    does not know counts as the dearest in it, so that a budget holds."""
    if given:
        return Price(given, ())
    notes = staleness(today)
    if base_model in TRAINING:
        return Price(TRAINING[base_model], notes)
    dearest = max(TRAINING.values())
    unknown = (
        f"the table knows no price of {base_model}: the dearest, {dearest:g} dollars per million tokens, is taken; "
        "TUNING_TRAINING_PRICE sets the real one"
    )
    return Price(dearest, (unknown, *notes))


def staleness(today: date) -> tuple[str, ...]:
    """A warning where the table is old."""
    age = (today - AS_OF).days
    if age <= STALE_AFTER:
        return ()
    return (f"warning: the prices are of {AS_OF}, {age} days ago: compare them with Google's pricing page",)
