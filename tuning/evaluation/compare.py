"""Compare the tuned model with the base and the champion: all metrics with intervals, and paired improvements."""

import math
from collections.abc import Collection, Mapping, Sequence

import numpy as np

from tuning.evaluation.bootstrap import bootstrap_means, interval
from tuning.evaluation.options import SMALLER_IS_BETTER, GateOptions
from tuning.evaluation.records import (
    AskedQuestion,
    Comparison,
    Evaluation,
    Figure,
    Interval,
    Pair,
    Scored,
    Side,
    SuiteComparison,
    SuiteSide,
)
from tuning.evaluation.text_metrics import DESCRIPTIONS

SHOWN = 5  # number of questions whose answers the report shows side by side
TUNED = "tuned"


def compare(
    evaluations: Mapping[str, Evaluation], primary_metric: str, options: GateOptions, inputs: dict[str, str]
) -> Comparison:
    """Compare ``evaluations["tuned"]`` with the other roles. Roles without a model are skipped."""
    present = {role: evaluation for role, evaluation in evaluations.items() if evaluation.model is not None}
    rows = {role: {scored.example_id: scored for scored in other.scored} for role, other in present.items()}
    metrics = [name for name in DESCRIPTIONS if any(name in row.scores for row in rows[TUNED].values())]
    incomparable = {
        role: other_tokens(present[TUNED].base, role, other.base)
        for role, other in present.items()
        if primary_metric == "loss" and other.base != present[TUNED].base
    }
    figures = [_figure(metric, rows, options, incomparable if metric == "loss" else {}) for metric in metrics]
    losses = next((figure.models for figure in figures if figure.metric == "loss"), {})
    return Comparison(
        primary_metric=primary_metric,
        figures=figures,
        perplexity={role: _perplexity(loss) for role, loss in losses.items()},
        token_loss={role: _token_loss(rows[role], options) for role in losses},
        pairs={
            role: _pairs(primary_metric, rows[TUNED], other)
            for role, other in rows.items()
            if role != TUNED and role not in incomparable
        },
        sides=_sides(rows),
        incomparable=incomparable,
        inputs=inputs,
        suite=_compare_suite(present, options),
    )


def other_tokens(tuned: str, role: str, other: str) -> str:
    """Return why a loss per token cannot compare models with these two base models."""
    return f"a loss per token cannot compare a tuned {tuned} with the {role}, a tuned {other}: their tokens differ"


def _compare_suite(present: Mapping[str, Evaluation], options: GateOptions) -> SuiteComparison:
    """Compare the answers to the suite. Models that were asked a different suite are left out."""
    asked = present[TUNED].asked
    rows = {
        role: {question.topic: question for question in other.asked.questions}
        for role, other in present.items()
        if other.asked.suite == asked.suite
    }
    topics = list(rows[TUNED])
    reasons = {other.asked.reason for other in present.values() if other.asked.reason}
    metrics = [name for name in DESCRIPTIONS if any(name in row.scores for row in rows[TUNED].values())]
    return SuiteComparison(
        suite=asked.suite,
        protection=asked.protection,
        reason="; ".join(sorted(reasons)),
        figures=[_suite_figure(metric, topics, rows, options) for metric in metrics],
        sides=[_suite_side(topic, {role: asked[topic] for role, asked in rows.items()}) for topic in topics],
    )


def _suite_figure(
    metric: str, topics: list[str], rows: Mapping[str, Mapping[str, AskedQuestion]], options: GateOptions
) -> Figure:
    models = {role: [asked[topic].scores.get(metric, math.nan) for topic in topics] for role, asked in rows.items()}
    return _intervals(metric, models, list(models), range(len(topics)), options)


def _suite_side(topic: str, rows: Mapping[str, AskedQuestion]) -> SuiteSide:
    tuned = rows[TUNED]
    return SuiteSide(
        topic=topic,
        question=tuned.question,
        reference=tuned.reference,
        check=tuned.check,
        answers={role: row.answer for role, row in rows.items()},
        finish_reasons={role: row.finish_reason for role, row in rows.items()},
        scores={role: row.scores for role, row in rows.items()},
        printed={role: row.printed for role, row in rows.items()},
        errors={role: row.error for role, row in rows.items()},
        notes={role: row.notes for role, row in rows.items()},
    )


def _figure(
    metric: str, rows: Mapping[str, Mapping[str, Scored]], options: GateOptions, incomparable: Mapping[str, str]
) -> Figure:
    """Return all intervals of a metric, from the same resamples. Differences from incomparable models are left out."""
    ids = list(rows[TUNED])
    models = {role: [_score(scored, example_id, metric) for example_id in ids] for role, scored in rows.items()}
    groups = [rows[TUNED][example_id].group for example_id in ids]
    return _intervals(metric, models, [role for role in rows if role not in incomparable], groups, options)


def _intervals(
    metric: str,
    values: Mapping[str, Sequence[float]],
    comparable: Collection[str],
    groups: Sequence[int],
    options: GateOptions,
) -> Figure:
    models = {role: np.array(scores) for role, scores in values.items()}
    columns = {("model", role): scores for role, scores in models.items()}
    others = [role for role in comparable if role != TUNED]
    columns |= {("difference", role): models[TUNED] - models[role] for role in others}
    draws = bootstrap_means(np.column_stack(list(columns.values())), groups, options.resamples, options.seed)
    intervals: dict[str, dict[str, Interval]] = {"model": {}, "difference": {}}
    for index, ((kind, role), scores) in enumerate(columns.items()):
        known = int(np.sum(~np.isnan(scores)))
        if known:
            mean = float(np.nanmean(scores))
            intervals[kind][role] = Interval(mean, *interval(draws[:, index], options.level), known)
    return Figure(metric=metric, models=intervals["model"], differences=intervals["difference"])


def _score(scored: Mapping[str, Scored], example_id: str, metric: str) -> float:
    row = scored.get(example_id)
    return math.nan if row is None else row.scores.get(metric, math.nan)


def _pairs(metric: str, tuned: Mapping[str, Scored], other: Mapping[str, Scored]) -> list[Pair]:
    sign = -1.0 if metric in SMALLER_IS_BETTER else 1.0
    return [
        Pair(
            example_id=row.example_id,
            question_id=row.question_id,
            group=row.group,
            slices=row.slices,
            improvement=sign * (row.scores[metric] - other[row.example_id].scores[metric]),
        )
        for row in tuned.values()
        if row.example_id in other and _both_have(metric, row.scores, other[row.example_id].scores)
    ]


def _both_have(metric: str, tuned: Mapping[str, float], other: Mapping[str, float]) -> bool:
    """Return whether both models have a score that counts. Except for the loss, cut and empty answers do not count."""
    cut = metric != "loss" and any(scores.get(fault) for scores in (tuned, other) for fault in ("truncated", "empty"))
    return metric in tuned and metric in other and not cut


def _sides(rows: Mapping[str, Mapping[str, Scored]]) -> list[Side]:
    answered = [row for row in rows[TUNED].values() if row.finish_reason][:SHOWN]
    sides = []
    for row in answered:
        by_role = {role: scored[row.example_id] for role, scored in rows.items() if row.example_id in scored}
        sides.append(
            Side(
                example_id=row.example_id,
                question=row.question,
                reference=row.reference,
                answers={role: other.answer for role, other in by_role.items()},
                finish_reasons={role: other.finish_reason for role, other in by_role.items()},
                scores={role: other.scores for role, other in by_role.items()},
                notes={role: other.notes for role, other in by_role.items()},
            )
        )
    return sides


def _perplexity(loss: Interval) -> Interval:
    mean, low, high = (math.exp(min(value, 700.0)) for value in (loss.mean, loss.low, loss.high))  # exp(710) overflows
    return Interval(mean, low, high, loss.examples)


def _token_loss(rows: Mapping[str, Scored], options: GateOptions) -> Interval:
    """Return the mean loss over all answer tokens. Sums of losses and numbers of tokens are resampled together."""
    scored = [row for row in rows.values() if row.tokens]
    sums = [[row.scores["loss"] * row.tokens, row.tokens] for row in scored]
    draws = bootstrap_means(sums, [row.group for row in scored], options.resamples, options.seed)
    loss, tokens = np.sum(sums, axis=0)
    return Interval(float(loss / tokens), *interval(draws[:, 0] / draws[:, 1], options.level), len(scored))
