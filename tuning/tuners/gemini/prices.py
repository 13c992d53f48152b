"""List Google's prices in US dollars. Each price has the page that it comes from and the date when it was read.

If you change a price, change its date as well. A model that is not in the table has no known price, and none is
guessed. Check the pages before a large run.
"""

from dataclasses import dataclass
from datetime import date

STALE_AFTER = 90  # days

_TUNING = "https://cloud.google.com/vertex-ai/generative-ai/pricing"


@dataclass(frozen=True)
class Price:
    """Hold a price in US dollars per `unit`, which `page` showed on the day `quoted`."""

    dollars: float
    unit: str
    quoted: date
    page: str


# On-demand queries in the location US. Extract jobs are free.
BIGQUERY = Price(6.25, "TiB read by queries", date(2026, 6, 1), "https://cloud.google.com/bigquery/pricing")
# The fee only. The machines of the steps, storage, and the answers for the evaluation cost extra.
PIPELINE_RUN = Price(0.03, "pipeline run", date(2026, 9, 20), "https://cloud.google.com/vertex-ai/pricing")
# A tuning is billed for the tokens of the dataset, multiplied by the number of epochs.
TRAINING = {
    "gemini-3.1-flash-lite": Price(3.0, "million training tokens", date(2026, 9, 24), _TUNING),
    "gemini-3.5-flash": Price(10.0, "million training tokens", date(2026, 9, 24), _TUNING),
}
# A machine of an endpoint, with its GPU, in us-central1; other regions differ. These are computed and not read: the
# prices of Compute Engine (g2: 0.024988 per vCPU, 0.002927 per GiB and 0.56004 per NVIDIA L4; a2-highgpu-1g: 3.673385),
# and the 15% that Vertex AI adds for predictions.
MACHINES = {
    name: Price(dollars, "hour", date(2026, 11, 30), "https://cloud.google.com/vertex-ai/pricing")
    for name, dollars in {
        "g2-standard-4": 0.8129,
        "g2-standard-8": 0.9817,
        "g2-standard-12": 1.1505,
        "g2-standard-16": 1.3193,
        "a2-highgpu-1g": 4.2244,
    }.items()
}


def staleness(price: Price, today: date) -> tuple[str, ...]:
    """Return a warning if the price was quoted more than STALE_AFTER days before `today`, else an empty tuple."""
    age = (today - price.quoted).days
    if age <= STALE_AFTER:
        return ()
    figure = f"{price.dollars:g} dollars per {price.unit}"
    return (f"warning: the price of {figure} was read on {price.quoted}, {age} days ago. Check {price.page}",)
