"""Decide whether the tuned model is better than the base and the champion, beyond chance: the release gate.

The gate looks at the two-sided interval of the mean improvement in the primary metric, from a paired bootstrap that
resamples groups. The verdict is "fail" if the interval against the base, or against the champion if there is one, is
not above zero, or if a slice is certainly worse. Otherwise it is "undecided", because the code in the answers is not
run: loss and text overlap alone do not show whether the answers got better.
"""

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from tuning.evaluation.bootstrap import Floats, bootstrap_means, interval
from tuning.evaluation.options import UNITS, GateOptions
from tuning.evaluation.records import Comparison, Interval, Pair, SliceVerdict, Verdict

# A model can gain in loss and chrF while its answers get worse, so neither is enough for a release.
ANSWERS_NOT_RUN = (
    "the code in the answers was not run, and loss or text overlap alone does not show whether answers got better"
)


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
    data. If it is not 0, the comparison with the champion is undecided, because the champion has seen the answers.
    """
    metric = comparison.primary_metric
    failures: list[str] = []
    doubts = list(comparison.incomparable.values())
    improvements: dict[str, Interval] = {}
    slices: list[SliceVerdict] = []
    for opponent, pairs in comparison.pairs.items():
        if not pairs:
            doubts.append(f"no example has a {metric} of both the tuned model and the {opponent}")
            continue
        found = improvements[opponent] = improvement(pairs, options)
        groups = len({pair.group for pair in pairs})
        if groups < options.minimum_groups:
            doubts.append(
                f"only {groups} independent evaluation examples against the {opponent}, "
                f"{options.minimum_groups} are needed to decide"
            )
        elif opponent == "champion" and shared_with_champion:
            doubts.append(
                f"{shared_with_champion} evaluation examples are of questions that the champion was trained on"
            )
        else:
            if found.low <= -(margin := _margin(opponent, options)):
                bound = f"minus the margin of {margin:g}" if margin else "zero"
                failures.append(f"{describe(metric, opponent, found, options)}: not above {bound}")
            slices += judge_slices(pairs, opponent, metric, options)
    failures += [
        f"{row.name} is worse than the {row.opponent}: {row.mean:+.3g} ({row.low:+.3g} to {row.high:+.3g}, adjusted "
        f"for {sum(other.judged for other in slices if other.opponent == row.opponent)} slices) "
        f"on {row.examples} examples"
        for row in slices
        if row.blocks
    ]
    doubts.append(ANSWERS_NOT_RUN)
    figures = [describe(metric, opponent, found, options) for opponent, found in improvements.items()]
    return Verdict(
        status="fail" if failures else "undecided",
        reasons=failures + doubts if failures else doubts + figures,
        primary_metric=metric,
        improvements=improvements,
        slices=slices,
        champion=champion,
        smoke_test=smoke_test,
        options=msgspec.to_builtins(options),
        inputs=inputs or {},
    )


def improvement(pairs: Sequence[Pair], options: GateOptions) -> Interval:
    """Return the mean improvement and its interval at `options.level`."""
    values = np.array([[pair.improvement] for pair in pairs])
    draws = bootstrap_means(values, [pair.group for pair in pairs], options.resamples, options.seed)
    return Interval(float(values.mean()), *interval(draws[:, 0], options.level), len(pairs))


def judge_slices(pairs: Sequence[Pair], opponent: str, metric: str, options: GateOptions) -> list[SliceVerdict]:
    """Return the result of every slice with two examples or more, the largest first.

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


def describe(metric: str, opponent: str, found: Interval, options: GateOptions) -> str:
    """Return one sentence about the improvement on an opponent."""
    unit = UNITS.get(metric, metric)
    return (
        f"{metric} improves on the {opponent} by {found.mean:+.3g} {unit} "
        f"({options.level:.0%} interval {found.low:+.3g} to {found.high:+.3g}, {found.examples} examples)"
    )


def in_words(verdict: Verdict) -> str:
    """Return the verdict and its reasons as one paragraph of text."""
    head = {
        "pass": "The tuned model passes the release gate",  # of versions that were registered by earlier releases
        "fail": "The tuned model does not pass the release gate",
        "undecided": "The release gate cannot decide",
    }[verdict.status]
    smoke = (
        " This was a smoke test of the pipeline with a base model for tests: it says nothing about quality."
        if verdict.smoke_test
        else ""
    )
    return f"{head}: {'; '.join(verdict.reasons)}.{smoke}"


def _margin(opponent: str, options: GateOptions) -> float:
    return options.margin if options.mode == "non-inferiority" and opponent == "champion" else 0.0


def surely_below(draws: dict[str, Floats], bound: float, level: float) -> tuple[dict[str, float], set[str]]:
    """Return the level of each slice's interval, and the slices whose whole interval at that level is below `bound`.

    This is Holm's step-down method, with alpha = 1 - `level` and m slices. The slice that is most certainly below is
    tested at alpha/m, the next one at alpha/(m-1), and so on until a slice is not below. The remaining slices get the
    level of that slice.
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
