"""Limit the age of the outputs that a job takes from Vertex AI's cache, which keeps its entries for ever.

The bucket's rule deletes outputs after STAGING_DAYS. Each step has the first day of the current period as an argument,
so that a step never takes an output of an earlier period, which the rule may have deleted.
"""

from datetime import UTC, date, datetime, timedelta

from tuning.cloud.required import CACHE_DAYS


def current_period() -> str:
    """Return the first day of the current period of CACHE_DAYS days, in UTC and ISO 8601."""
    today = datetime.now(UTC).toordinal()
    return date.fromordinal(today - today % CACHE_DAYS).isoformat()


def period_before(period: str) -> str:
    """Return the first day of the period before `period`."""
    return (date.fromisoformat(period) - timedelta(days=CACHE_DAYS)).isoformat()
