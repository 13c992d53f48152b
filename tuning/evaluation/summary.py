"""Sum up a comparison in a few aligned lines for a terminal."""

from collections.abc import Iterator, Sequence

from tuning.evaluation.gate import change, which_is_better
from tuning.evaluation.records import Comparison, Judgement, Verdict
from tuning.evaluation.report import show
from tuning.numbers import number_of

Row = tuple[str, str]  # what, and its value


def summary_lines(verdict: Verdict, comparison: Comparison, more: Sequence[Row]) -> list[str]:
    """Return the verdict and its numbers against each opponent, then the rows `more`, as a table without a border."""
    rows: list[Row] = [("verdict", verdict.status)]
    for judgement in verdict.judgements:
        rows += _rows(judgement, verdict, comparison)
    rows += more
    width = max(len(name) for name, _ in rows)
    return ["summary", *(f"  {name:{width}}  {value}" for name, value in rows)]


def _rows(judgement: Judgement, verdict: Verdict, comparison: Comparison) -> Iterator[Row]:
    other = judgement.opponent
    suffix = "" if other == "base" else f" ({other})"
    if judgement.executed:
        asked = judgement.executed.examples
        solved = ", ".join(f"{role} {judgement.solved.get(role, 0)}" for role in (other, "tuned"))
        changed = f"{len(judgement.gained)} gained, {len(judgement.lost)} lost"
        yield f"solved{suffix}", f"{solved} of {asked}: {show(judgement.executed, 'executed', True)} points; {changed}"
    elif comparison.suite.reason and not suffix:  # it is the same for every opponent
        yield "solved", comparison.suite.reason
    metric = verdict.primary_metric
    figure = next((one for one in comparison.figures if one.metric == metric), None)
    if figure and (better := verdict.improvements.get(other)):
        roles = [role for role in (other, "tuned") if role in figure.models]
        means = ", ".join(f"{role} {number_of(metric, figure.models[role].mean)}" for role in roles)
        changed = show(change(better, metric), metric, True)
        yield f"{metric}{suffix}", f"{means}: {changed}; {which_is_better(metric)}"
    if judgement.guardrails:
        worse = [one.metric for one in judgement.guardrails if one.is_worse]
        names = ", ".join(one.metric for one in judgement.guardrails)
        yield f"guardrails{suffix}", f"worse: {', '.join(worse)}; of {names}" if worse else f"none is worse: {names}"
