"""Compare the tuned model with the base and the champion: all metrics with intervals, and paired improvements."""

import math
from collections.abc import Mapping

import numpy as np

from tuning.evaluation.bootstrap import bootstrap_means, interval
from tuning.evaluation.options import SMALLER_IS_BETTER, GateOptions
from tuning.evaluation.records import Comparison, Evaluation, Figure, Interval, Pair, Scored, Side
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
        role: f"a loss per token cannot compare a tuned {present[TUNED].base} with the {role}, a tuned {other.base}: "
        "their tokens differ"
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
    )


def _figure(
    metric: str, rows: Mapping[str, Mapping[str, Scored]], options: GateOptions, incomparable: Mapping[str, str]
) -> Figure:
    """Return all intervals of one metric, from the same resamples. Differences to incomparable models are left out."""
    ids = list(rows[TUNED])
    groups = [rows[TUNED][example_id].group for example_id in ids]
    models = {
        role: np.array([_score(scored, example_id, metric) for example_id in ids]) for role, scored in rows.items()
    }
    columns = {("model", role): values for role, values in models.items()}
    others = {role: values for role, values in models.items() if role != TUNED and role not in incomparable}
    columns |= {("difference", role): models[TUNED] - values for role, values in others.items()}
    draws = bootstrap_means(np.column_stack(list(columns.values())), groups, options.resamples, options.seed)
    intervals: dict[str, dict[str, Interval]] = {"model": {}, "difference": {}}
    for index, ((kind, role), values) in enumerate(columns.items()):
        known = int(np.sum(~np.isnan(values)))
        if known:
            mean = float(np.nanmean(values))
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
        if metric in row.scores and metric in (other[row.example_id].scores if row.example_id in other else {})
    ]


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
            )
        )
    return sides


def _perplexity(loss: Interval) -> Interval:
    return Interval(math.exp(loss.mean), math.exp(loss.low), math.exp(loss.high), loss.examples)


def _token_loss(rows: Mapping[str, Scored], options: GateOptions) -> Interval:
    """Return the mean loss over all answer tokens. Sums of losses and numbers of tokens are resampled together."""
    scored = [row for row in rows.values() if row.tokens]
    sums = [[row.scores["loss"] * row.tokens, row.tokens] for row in scored]
    draws = bootstrap_means(sums, [row.group for row in scored], options.resamples, options.seed)
    loss, tokens = np.sum(sums, axis=0)
    return Interval(float(loss / tokens), *interval(draws[:, 0] / draws[:, 1], options.level), len(scored))
