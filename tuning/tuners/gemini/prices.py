"""What Google charges, in US dollars: one dated table. Correct a figure and its date together.

A model that is not in the table has no known price: nothing is guessed. The dates are those on which the figures were
last quoted from the pages named here; ask the pages before a large run.
"""

from dataclasses import dataclass
from datetime import date

STALE_AFTER = 90  # days

_TUNING = "https://cloud.google.com/vertex-ai/generative-ai/pricing"


@dataclass(frozen=True)
class Price:
    """US dollars for one `unit`, and the page that said so on the day `quoted`."""

    dollars: float
    unit: str
    quoted: date
    page: str


# On demand, in US; an extract job costs nothing.
BIGQUERY = Price(6.25, "TiB read by queries", date(2026, 6, 1), "https://cloud.google.com/bigquery/pricing")
# The fee alone: machines of the steps, storage and the answers that an evaluation asks for come on top.
PIPELINE_RUN = Price(0.03, "pipeline run", date(2026, 9, 20), "https://cloud.google.com/vertex-ai/pricing")
# The tokens that a tuning is billed for are the dataset's times the epochs.
TRAINING = {
    "gemini-3.1-flash-lite": Price(3.0, "million training tokens", date(2026, 9, 24), _TUNING),
    "gemini-3.5-flash": Price(10.0, "million training tokens", date(2026, 9, 24), _TUNING),
}


def staleness(price: Price, today: date) -> tuple[str, ...]:
    """A warning where the figure is old."""
    age = (today - price.quoted).days
    if age <= STALE_AFTER:
        return ()
    what = f"{price.dollars:g} dollars per {price.unit}"
    return (f"warning: {what} is of {price.quoted}, {age} days ago: compare {price.page}",)
