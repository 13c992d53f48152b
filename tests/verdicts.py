"""Verdicts of the release gate made by hand."""

from tuning.evaluation.records import Verdict


def verdict(metric: str, reason: str, status: str = "better", champion: str | None = None) -> Verdict:
    return Verdict(
        status=status,
        reasons=[reason],
        primary_metric=metric,
        improvements={},
        slices=[],
        champion=champion,
        smoke_test=False,
        options={},
        inputs={},
    )
