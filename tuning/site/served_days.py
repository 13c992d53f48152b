"""Sum up the log of served answers by day, for the page of drift and serving."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC

import numpy as np

from tuning.settings import Settings
from tuning.site.charts import Chart, by_day
from tuning.sources.served.answers import ServedAnswer, read_log

_DAYS = 90  # with answers, the newest; the log keeps 30 days without --log-days
_SHARES = {"refused": "is_refusal", "loops": "is_loop", "empty": "is_empty", "cut": "is_truncated"}


@dataclass(frozen=True, kw_only=True)
class Day:
    """Hold the answers of a day (UTC). Shares are in per cent; `parses` is None without an answer with Python code."""

    date: str
    versions: list[str]
    answers: int
    shares: dict[str, float]  # of answers, by the names in _SHARES
    parses: float | None  # mean share of the fenced Python blocks that parse
    median: float  # seconds from the request to the end of the answer
    slowest: float  # 95% of the answers took at most this number of seconds


@dataclass(frozen=True)
class Served:
    """Hold the days with answers, the oldest first, and the number of damaged lines, which are left out."""

    days: list[Day]
    damaged: int

    @property
    def charts(self) -> list[Chart]:
        """Return the charts, or none for less than two days."""
        if len(self.days) < 2:
            return []
        dates = [day.date for day in self.days]
        shares: dict[str, Sequence[float | None]] = {name: [day.shares[name] for day in self.days] for name in _SHARES}
        parses = {"code that parses": [day.parses for day in self.days]}
        times = {"median": [day.median for day in self.days], "95th percentile": [day.slowest for day in self.days]}
        return [
            by_day("Served answers", "answers", dates, {"answers": [float(day.answers) for day in self.days]}),
            by_day("Shares of the served answers", "share, %", dates, {**shares, **parses}),
            by_day("Time of a served answer", "seconds", dates, times),
        ]


def served_days(settings: Settings) -> Served:
    """Return the newest days of this home's log. Raises TuningError as `read_log` does."""
    log = read_log(settings)
    answers = sorted(log.answers, key=lambda one: one.answered_at)
    days = [_day(date, list(some)) for date, some in itertools.groupby(answers, _date)]
    return Served(days[-_DAYS:], log.damaged)


def _date(answer: ServedAnswer) -> str:
    return answer.answered_at.astimezone(UTC).date().isoformat()


def _day(date: str, answers: Sequence[ServedAnswer]) -> Day:
    parsing = [one.parsing_share for one in answers if one.parsing_share is not None]
    seconds = [one.milliseconds / 1000 for one in answers]
    return Day(
        date=date,
        versions=sorted({one.model_version for one in answers}),
        answers=len(answers),
        shares={
            name: 100 * sum(getattr(one, field) for one in answers) / len(answers) for name, field in _SHARES.items()
        },
        parses=sum(parsing) / len(parsing) if parsing else None,
        median=float(np.median(seconds)),
        slowest=float(np.percentile(seconds, 95)),
    )
