"""Decide whether the tuned model answers better than the base and the champion, beyond chance: the release gate.

The evidence is what the code in answers to the how-to questions of the suite does (``executed``), six guardrails on the
same answers, and the loss on held-out examples. Differences are paired: both models get the same questions. Intervals
are two-sided, from a bootstrap. Against each opponent, the verdict is the first of these that applies:

- *worse*: the interval of a guardrail is wholly on the wrong side, adjusted for the number of guardrails;
- *better*: the interval of the executed share is above 0;
- *not worse*: the interval of the executed share is above minus 15 points, and the loss (for managed models, chrF)
  improves beyond chance;
- *undecided*: anything else, and always if the code in the answers was not run.

A verdict for release also becomes *undecided* if it changes when questions are left out for which an answer was cut or
empty, or if a large slice of the held-out examples is certainly worse. The verdict on the model is the worst of those
against the base and against the champion.
"""

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from tuning.evaluation.bootstrap import Floats, bootstrap_means, interval
from tuning.evaluation.options import GUARDRAILS, SMALLER_IS_BETTER, UNITS, GateOptions
from tuning.evaluation.records import (
    Comparison,
    Guardrail,
    Interval,
    Judgement,
    Pair,
    SliceVerdict,
    Status,
    SuiteSide,
    Verdict,
)
from tuning.numbers import number_of

TUNED = "tuned"
# From the worst to the best.
_ORDER: tuple[Status, ...] = ("worse", "undecided", "not worse", "better")
LOSS_SAYS_LITTLE = "loss or text overlap alone does not show whether answers got better"


def judge(
    comparison: Comparison,
    options: GateOptions,
    *,
    champion: str | None = None,
    shared_with_champion: int = 0,
    smoke_test: bool = False,
    inputs: dict[str, str] | None = None,
) -> Verdict:
    """Return the verdict on `comparison`.

    `shared_with_champion` is the number of evaluation examples whose question or group is in the champion's training
    data. If it is not 0, the loss is not compared with the champion, because the champion has seen the answers.
    """
    metric = comparison.primary_metric
    improvements: dict[str, Interval] = {}
    slices: list[SliceVerdict] = []
    judgements = []
    for opponent in ("base", "champion") if champion else ("base",):
        pairs = comparison.pairs.get(opponent, [])
        doubt = _doubt_about_loss(comparison, opponent, pairs, options, shared_with_champion)
        if pairs:
            improvements[opponent] = improvement(pairs, options)
        if pairs and not doubt:
            slices += judge_slices(pairs, opponent, metric, options)
        loss = None if doubt else improvements.get(opponent)
        judgements.append(_judgement(comparison, opponent, loss, doubt, slices, options))
    worst = min(judgements, key=lambda judged: _ORDER.index(judged.status))
    return Verdict(
        status=worst.status,
        reasons=_reasons(worst, judgements),
        primary_metric=metric,
        improvements=improvements,
        slices=slices,
        judgements=judgements,
        champion=champion,
        smoke_test=smoke_test,
        options=msgspec.to_builtins(options),
        inputs=inputs or {},
    )


def _reasons(worst: Judgement, judgements: Sequence[Judgement]) -> list[str]:
    """Return the reasons of the worst verdict, then those of the other verdict, without duplicates."""
    ordered = [worst, *(judged for judged in judgements if judged is not worst)]
    return list(dict.fromkeys(reason for judged in ordered for reason in judged.reasons))


def _judgement(
    comparison: Comparison,
    opponent: str,
    loss: Interval | None,
    doubt: str,
    slices: Sequence[SliceVerdict],
    options: GateOptions,
) -> Judgement:
    """Return the verdict against one opponent. `loss` is None if it does not count, and `doubt` then says why."""
    suite, metric = comparison.suite, comparison.primary_metric
    asked = [side for side in suite.sides if opponent in side.answers]
    guardrails = judge_guardrails(asked, opponent, options)
    executed = _change(asked, opponent, "executed", options)
    complete = _change([side for side in asked if _is_complete(side, opponent)], opponent, "executed", options)
    if worse := [rail for rail in guardrails if rail.is_worse]:
        status: Status = "worse"
        why = [_guardrail_sentence(rail, opponent, len(guardrails)) for rail in worse]
    elif suite.reason or executed is None:
        status = "undecided"
        why = [suite.reason or f"no question of the suite was asked to both the tuned model and the {opponent}"]
        why += [doubt, LOSS_SAYS_LITTLE] if doubt else [LOSS_SAYS_LITTLE]
    else:
        blocking = [_slice_sentence(row, slices, metric) for row in slices if row.blocks and row.opponent == opponent]
        status, why = _decide(executed, complete, loss, options)
        if status == "undecided":
            why = [*([doubt] if doubt else []), *(why or _incomplete_sentence(asked, opponent))]
        elif blocking:
            status, why = "undecided", blocking
    reasons = [*why]
    solved = {role: sum(_score(side, role, "executed") > 0 for side in asked) for role in (TUNED, opponent)}
    reasons += [_executed_sentence(asked, solved, executed, opponent, options)] if executed else []
    reasons += [describe(metric, opponent, loss, options)] if loss else []
    return Judgement(
        opponent=opponent,
        status=status,
        reasons=reasons,
        executed=executed,
        complete=complete,
        gained=_topics(asked, TUNED, opponent),
        lost=_topics(asked, opponent, TUNED),
        solved=solved if executed else {},
        guardrails=guardrails,
    )


def _decide(
    executed: Interval, complete: Interval | None, loss: Interval | None, options: GateOptions
) -> tuple[Status, list[str]]:
    """Return the verdict from the executed share and the loss, and why it is undecided if it is.

    `complete` is the executed share on the questions where no answer was cut or empty. It must give the same verdict.
    """
    if executed.examples < options.minimum_groups:
        return "undecided", [
            f"only {executed.examples} questions were asked; {options.minimum_groups} are needed to decide"
        ]
    status = _status(executed, loss, options)
    if status == "undecided":
        return status, _why_undecided(executed, loss, options)
    left_out = executed.examples - (complete.examples if complete else 0)
    if complete is None or complete.examples < options.minimum_groups:
        return "undecided", [
            f"{left_out} of {executed.examples} questions have an answer that was cut or is empty, so too few are left "
            "to compare"
        ]
    without = _status(complete, loss, options)
    if without != status:
        return "undecided", [
            f"without the questions where an answer was cut or empty, it would be {without!r} instead of {status!r}: "
            f"{_points(complete, options)}"
        ]
    return status, []


def _status(executed: Interval, loss: Interval | None, options: GateOptions) -> Status:
    if executed.low > 0:
        return "better"
    return "not worse" if executed.low > -options.margin and loss and loss.low > 0 else "undecided"


def _why_undecided(executed: Interval, loss: Interval | None, options: GateOptions) -> list[str]:
    reasons = []
    if executed.low <= -options.margin:
        reasons.append(f"the tuned model may solve over {options.margin:g} points fewer how-to questions")
    if loss and loss.low <= 0:
        reasons.append("neither the executed share nor the result on held-out examples improves beyond chance")
    return reasons


def _doubt_about_loss(
    comparison: Comparison, opponent: str, pairs: Sequence[Pair], options: GateOptions, shared_with_champion: int
) -> str:
    groups = len({pair.group for pair in pairs})
    if opponent in comparison.incomparable:
        return comparison.incomparable[opponent]
    left_out = "" if comparison.primary_metric == "loss" else " (an answer that was cut or is empty does not count)"
    if not pairs:
        return f"no example has a {comparison.primary_metric} of both the tuned model and the {opponent}{left_out}"
    if groups < options.minimum_groups:
        return (
            f"only {groups} independent evaluation examples against the {opponent}, {options.minimum_groups} are needed"
            f"{left_out}"
        )
    if opponent == "champion" and shared_with_champion:
        return f"{shared_with_champion} evaluation examples are of questions that the champion was trained on"
    return ""


def judge_guardrails(sides: Sequence[SuiteSide], opponent: str, options: GateOptions) -> list[Guardrail]:
    """Return the paired change of each guardrail for which both models have enough scores.

    Holm's method keeps the probability that an equally good model is judged worse in any of them at ``1 - level`` or
    less.
    """
    table = {metric: _paired(sides, opponent, metric) for metric in GUARDRAILS}
    table = {metric: values for metric, values in table.items() if np.sum(~np.isnan(values)) >= options.minimum_groups}
    if not table:
        return []
    draws = bootstrap_means(np.column_stack(list(table.values())), range(len(sides)), options.resamples, options.seed)
    columns = {metric: draws[:, index] for index, metric in enumerate(table)}
    levels, worse = surely_below(columns, 0.0, options.level)
    return [
        Guardrail(
            metric=metric,
            change=Interval(
                float(np.nanmean(values)), *interval(columns[metric], levels[metric]), int(np.sum(~np.isnan(values)))
            ),
            is_worse=metric in worse,
        )
        for metric, values in table.items()
    ]


def _change(sides: Sequence[SuiteSide], opponent: str, metric: str, options: GateOptions) -> Interval | None:
    values = _paired(sides, opponent, metric)
    if not np.any(~np.isnan(values)):
        return None
    draws = bootstrap_means(values[:, None], range(len(values)), options.resamples, options.seed)
    return Interval(float(np.nanmean(values)), *interval(draws[:, 0], options.level), int(np.sum(~np.isnan(values))))


def _paired(sides: Sequence[SuiteSide], opponent: str, metric: str) -> Floats:
    sign = -1.0 if metric in SMALLER_IS_BETTER else 1.0
    return np.array([sign * (_score(side, TUNED, metric) - _score(side, opponent, metric)) for side in sides])


def _score(side: SuiteSide, role: str, metric: str) -> float:
    return side.scores[role].get(metric, np.nan)


def _is_complete(side: SuiteSide, opponent: str) -> bool:
    return all(
        not side.scores[role].get("truncated") and not side.scores[role].get("empty") for role in (TUNED, opponent)
    )


def _incomplete_sentence(sides: Sequence[SuiteSide], opponent: str) -> list[str]:
    """Return how many questions have an answer that was cut or is empty, as one sentence, or nothing if none has."""
    incomplete = sum(not _is_complete(side, opponent) for side in sides)
    if not incomplete:
        return []
    return [f"{incomplete} of {len(sides)} how-to questions have an answer that was cut or is empty (by thinking?)"]


def _topics(sides: Sequence[SuiteSide], solved_by: str, not_by: str) -> list[str]:
    return [side.topic for side in sides if _score(side, solved_by, "executed") > 0 == _score(side, not_by, "executed")]


def _executed_sentence(
    sides: Sequence[SuiteSide], solved: Mapping[str, int], executed: Interval, opponent: str, options: GateOptions
) -> str:
    gained, lost = len(_topics(sides, TUNED, opponent)), len(_topics(sides, opponent, TUNED))
    return (
        f"the tuned model solves {solved[TUNED]} of {executed.examples} how-to questions and the {opponent} "
        f"{solved[opponent]} ({_points(executed, options)}; {gained} gained, {lost} lost)"
    )


def _points(change: Interval, options: GateOptions) -> str:
    low, high = _signed(change.low), _signed(change.high)
    return f"{_signed(change.mean)} points, {options.level:.0%} interval {low} to {high}"


def _signed(points: float) -> str:
    """Return whole points with their sign."""
    return number_of("points", points, sign=True)


def _guardrail_sentence(rail: Guardrail, opponent: str, count: int) -> str:
    found = change(rail.change, rail.metric)
    return (
        f"{_GUARDRAIL_NAMES[rail.metric]} changes from the {opponent} by {_signed(found.mean)} points "
        f"({_signed(found.low)} to {_signed(found.high)}, adjusted for {count} guardrails)"
    )


_GUARDRAIL_NAMES: Mapping[str, str] = {
    "executed": "the share of questions whose answer does what was asked",
    "runs": "the share of answers whose code runs",
    "apis": "the share of library names that exist",
    "code": "the share of answers with code",
    "loop": "the share of answers that repeat themselves",
    "empty": "the share of empty answers",
}


def _slice_sentence(row: SliceVerdict, slices: Sequence[SliceVerdict], metric: str) -> str:
    tested = sum(other.judged for other in slices if other.opponent == row.opponent)
    return (
        f"{row.name} is worse than the {row.opponent}: {metric} changes by {show_slice(row, metric)}, adjusted for "
        f"{tested} slices, on {row.examples} examples"
    )


def show_slice(row: SliceVerdict, metric: str) -> str:
    """Return the change of `metric` in a slice with its interval: tuned minus opponent."""
    found = change(Interval(row.mean, row.low, row.high, row.examples), metric)
    mean, low, high = (number_of(metric, number, sign=True) for number in (found.mean, found.low, found.high))
    return f"{mean} ({low} to {high})"


def improvement(pairs: Sequence[Pair], options: GateOptions) -> Interval:
    """Return the mean improvement and its interval at `options.level`."""
    values = np.array([[pair.improvement] for pair in pairs])
    draws = bootstrap_means(values, [pair.group for pair in pairs], options.resamples, options.seed)
    return Interval(float(values.mean()), *interval(draws[:, 0], options.level), len(pairs))


def judge_slices(pairs: Sequence[Pair], opponent: str, metric: str, options: GateOptions) -> list[SliceVerdict]:
    """Return the result of every slice with two examples or more, the largest slice first.

    Slices with at least `slice_minimum` examples are tested together. Holm's method keeps the probability of blocking a
    model that is not worse in any slice at ``1 - level`` or less.
    """
    sizes: dict[str, int] = {}
    for pair in pairs:
        for name in pair.slices:
            sizes[name] = sizes.get(name, 0) + 1
    names = sorted((name for name in sizes if sizes[name] > 1), key=lambda name: (-sizes[name], name))
    if not names:
        return []
    column = {name: index for index, name in enumerate(names)}
    table = np.full((len(pairs), len(names)), np.nan)
    for row, pair in enumerate(pairs):
        for name in pair.slices:
            if name in column:
                table[row, column[name]] = pair.improvement
    draws = bootstrap_means(table, [pair.group for pair in pairs], options.resamples, options.seed)
    judged = [name for name in names if sizes[name] >= options.slice_minimum]
    levels, blocked = surely_below(
        {name: draws[:, column[name]] for name in judged}, -options.slice_margin(metric), options.level
    )
    rows = []
    for name in names:
        index = column[name]
        low, high = interval(draws[:, index], levels.get(name, options.level))
        rows.append(
            SliceVerdict(
                name=name,
                opponent=opponent,
                examples=sizes[name],
                mean=float(np.nanmean(table[:, index])),
                low=low,
                high=high,
                judged=name in levels,
                blocks=name in blocked,
            )
        )
    return rows


def describe(metric: str, opponent: str, better: Interval, options: GateOptions) -> str:
    """Return one sentence about the change from an opponent. `better` is positive if the tuned model is better."""
    found = change(better, metric)
    mean, low, high = (number_of(metric, number, sign=True) for number in (found.mean, found.low, found.high))
    return (
        f"{metric} changes from the {opponent} by {mean} {UNITS.get(metric, metric)} ({options.level:.0%} interval "
        f"{low} to {high}, {found.examples} held-out examples; {which_is_better(metric)})"
    )


def change(better: Interval, metric: str) -> Interval:
    """Return tuned minus opponent, which people read, from a value that is positive if the tuned model is better.

    The two have opposite signs where a smaller number is better, as in the loss.
    """
    if metric not in SMALLER_IS_BETTER:
        return better
    return Interval(-better.mean, -better.high, -better.low, better.examples)


def which_is_better(metric: str) -> str:
    """Say whether a smaller or a larger number of this metric is better."""
    return f"{'lower' if metric in SMALLER_IS_BETTER else 'higher'} is better"


HEADS = {
    "better": "The tuned model answers better than {opponents}",
    "not worse": (
        "The tuned model does not answer worse than {opponents} by {margin:g} points or more, and it fits held-out "
        "answers better"
    ),
    "worse": "The tuned model answers worse",
    "undecided": "The release gate cannot decide whether the tuned model answers better",
    "pass": "The tuned model passed the release gate of an earlier release, which looked at the loss only",
    "fail": "The tuned model did not pass the release gate of an earlier release",
}


def in_words(verdict: Verdict) -> str:
    """Return the verdict and its reasons as one paragraph of text."""
    opponents = "the base and the champion" if verdict.champion else "the base"
    smoke = (
        " This was a smoke test of the pipeline with a base model for tests: it says nothing about quality."
        if verdict.smoke_test
        else ""
    )
    head = HEADS[verdict.status].format(opponents=opponents, margin=verdict.options.get("margin", 0))
    return f"{head}: {'; '.join(verdict.reasons)}.{smoke}"


def surely_below(draws: dict[str, Floats], bound: float, level: float) -> tuple[dict[str, float], set[str]]:
    """Return the level of each interval, and the names whose whole interval at that level is below `bound`.

    `draws` has the resampled means by name of a slice or guardrail. This is Holm's step-down method, with
    alpha = 1 - `level` and m names. The name that is most certainly below `bound` is tested at alpha/m, the next one at
    alpha/(m-1), and so on until one is not below. The remaining names get the level of that one.
    """
    alpha = 1 - level
    order = sorted(draws, key=lambda name: (_share_above(draws[name], bound), float(np.nanmean(draws[name]))))
    levels: dict[str, float] = {}
    blocked: set[str] = set()
    remaining = len(order)
    for name in order:
        levels[name] = 1 - alpha / remaining
        if len(blocked) == len(order) - remaining and interval(draws[name], levels[name])[1] < bound:
            blocked.add(name)
            remaining -= 1
    return levels, blocked


def _share_above(draws: NDArray[np.float64], bound: float) -> float:
    return float(np.mean(draws >= bound))
