"""The release gate: its error rates by simulation, and each of its reasons."""

import math

import numpy as np
import pytest

from tuning.evaluation.bootstrap import bootstrap_means, interval
from tuning.evaluation.gate import ANSWERS_NOT_RUN, improvement, in_words, judge, surely_below
from tuning.evaluation.options import GateOptions
from tuning.evaluation.records import Comparison, Pair, Verdict

OPTIONS = GateOptions(resamples=2000)
TRIALS = 1000


def pairs(improvements, groups=None, slices=lambda _: []) -> list[Pair]:
    groups = range(len(improvements)) if groups is None else groups
    return [
        Pair(example_id=f"e{n}", question_id=n, group=int(group), slices=slices(n), improvement=float(value))
        for n, (value, group) in enumerate(zip(improvements, groups, strict=True))
    ]


def comparison(metric: str = "chrf", **by_opponent: list[Pair]) -> Comparison:
    return Comparison(
        primary_metric=metric, figures=[], perplexity={}, token_loss={}, pairs=by_opponent, sides=[], inputs={}
    )


def is_clear_gain(verdict: Verdict) -> bool:
    """Whether the only doubt is that answers were not run."""
    return verdict.status == "undecided" and verdict.reasons[0] == ANSWERS_NOT_RUN


def test_no_gain_in_loss_passes_while_answers_are_not_run():
    verdict = judge(comparison("loss", base=pairs([5.0] * 400)), OPTIONS)
    assert (verdict.status, verdict.passed) == ("undecided", False)
    assert "does not show whether answers got better" in verdict.reasons[0]
    assert "loss improves on the base by +5" in verdict.reasons[1]


def share_passing(trials: np.ndarray, groups: np.ndarray) -> float:
    """The share of trials (examples, trials) whose interval lies above zero, by the gate's own bootstrap."""
    draws = bootstrap_means(trials, groups, OPTIONS.resamples, OPTIONS.seed)
    return float(np.mean([interval(draws[:, trial], OPTIONS.level)[0] > 0 for trial in range(trials.shape[1])]))


def test_two_equal_models_pass_at_most_one_time_in_twenty():
    random = np.random.default_rng(1)
    assert share_passing(random.normal(0, 20, (300, TRIALS)), np.arange(300)) <= 0.05


def test_groups_of_three_alike_examples_do_not_make_equal_models_pass_more_often():
    random = np.random.default_rng(2)
    alike = np.repeat(random.normal(0, 20, (100, TRIALS)), 3, axis=0)
    assert share_passing(alike, np.repeat(np.arange(100), 3)) <= 0.05
    assert share_passing(alike, np.arange(300)) > 0.08, "without groups the same data fools the bootstrap"


def test_skewed_differences_of_equal_models_pass_at_most_one_time_in_twenty():
    random = np.random.default_rng(3)
    skewed = random.exponential(20, (100, TRIALS)) - 20
    assert share_passing(skewed, np.arange(100)) <= 0.05


def test_a_gain_of_five_points_on_300_examples_passes_nine_times_in_ten():
    random = np.random.default_rng(4)
    assert share_passing(random.normal(5, 20, (300, TRIALS)), np.arange(300)) >= 0.90


def test_the_simulated_share_is_that_of_the_gate_itself():
    random = np.random.default_rng(5)
    trials = random.normal(2.5, 20, (300, 20))
    decided = [is_clear_gain(judge(comparison(base=pairs(trials[:, n])), OPTIONS)) for n in range(20)]
    assert np.mean(decided) == share_passing(trials, np.arange(300))
    assert 0 < np.mean(decided) < 1


def share_blocked(gain: float, loss_of_first: float, margin: float, trials: int, seed: int) -> tuple[float, float]:
    """Ten slices of 100 examples, paired differences of 20 points: how often the first blocks, and how often any."""
    random = np.random.default_rng(seed)
    values = random.normal(gain, 20, (1000, trials))
    values[:100] -= loss_of_first
    table = np.full((1000, trials * 10), np.nan)
    for number in range(10):
        rows = slice(100 * number, 100 * number + 100)
        table[rows, number::10] = values[rows]
    draws = bootstrap_means(table, np.arange(1000), 4000, 42)
    blocked = [
        surely_below({str(number): draws[:, 10 * trial + number] for number in range(10)}, -margin, 0.95)[1]
        for trial in range(trials)
    ]
    return float(np.mean(["0" in names for names in blocked])), float(np.mean([bool(names) for names in blocked]))


@pytest.mark.parametrize("gain", [0.0, 5.0])
def test_a_slice_of_100_made_15_points_worse_blocks_nine_times_in_ten(gain: float):
    assert share_blocked(gain, loss_of_first=15, margin=OPTIONS.slice_margin("chrf"), trials=200, seed=6)[0] >= 0.90


def test_slices_of_equal_models_block_at_most_one_time_in_twenty():
    assert share_blocked(0, loss_of_first=0, margin=0, trials=400, seed=7)[1] <= 0.05


def test_a_slice_under_the_minimum_is_shown_and_never_blocks():
    values = np.concatenate([np.full(99, -50.0), np.full(400, 30.0)])
    verdict = judge(comparison(base=pairs(values, slices=lambda n: ["small"] if n < 99 else ["large"])), OPTIONS)
    small = next(row for row in verdict.slices if row.name == "small")
    assert is_clear_gain(verdict)
    assert (small.examples, small.judged, small.blocks, small.mean) == (99, False, False, -50.0)


def test_a_blocking_slice_fails_a_model_that_is_better_as_a_whole():
    values = np.concatenate([np.full(100, -50.0), np.full(400, 30.0)])
    verdict = judge(comparison(base=pairs(values, slices=lambda n: ["worse"] if n < 100 else ["better"])), OPTIONS)
    assert verdict.status == "fail"
    assert verdict.reasons == [
        "worse is worse than the base: -50 (-50 to -50, adjusted for 2 slices) on 100 examples",
        ANSWERS_NOT_RUN,
    ]


def test_fewer_than_thirty_examples_are_undecided():
    assert not is_clear_gain(judge(comparison(base=pairs([1.0] * 29)), OPTIONS))
    assert is_clear_gain(judge(comparison(base=pairs([1.0] * 30)), OPTIONS))


def test_thirty_examples_of_ten_groups_are_undecided():
    verdict = judge(comparison(base=pairs([1.0] * 30, groups=np.repeat(np.arange(10), 3))), OPTIONS)
    assert verdict.status == "undecided"
    assert "only 10 independent" in verdict.reasons[0]


def test_a_model_must_also_beat_the_champion():
    better, equal = pairs([1.0] * 40), pairs([0.0] * 40)
    verdict = judge(comparison(base=better, champion=equal), OPTIONS, champion="v1")
    assert (verdict.status, verdict.champion) == ("fail", "v1")
    assert "improves on the champion by +0 points" in verdict.reasons[0]
    assert is_clear_gain(judge(comparison(base=better, champion=better), OPTIONS, champion="v1"))


def test_non_inferiority_lets_a_slightly_worse_model_follow_the_champion_but_not_the_base():
    options = GateOptions(resamples=2000, mode="non-inferiority", margin=0.5)
    better, slightly_worse, worse = pairs([1.0] * 40), pairs([-0.1] * 40), pairs([-0.6] * 40)
    assert is_clear_gain(judge(comparison(base=better, champion=slightly_worse), options, champion="v1"))
    assert judge(comparison(base=better, champion=worse), options, champion="v1").status == "fail"
    assert judge(comparison(base=slightly_worse), options).status == "fail"


def test_a_champion_that_was_trained_on_the_evaluation_questions_is_undecided():
    verdict = judge(
        comparison(base=pairs([1.0] * 40), champion=pairs([-1.0] * 40)), OPTIONS, champion="v1", shared_with_champion=3
    )
    assert verdict.status == "undecided"
    assert verdict.reasons[0] == "3 evaluation examples are of questions that the champion was trained on"


def test_an_incomparable_champion_is_undecided():
    found = comparison(base=pairs([1.0] * 40))
    found.incomparable["champion"] = "their tokens differ"
    assert judge(found, OPTIONS, champion="v1").reasons[0] == "their tokens differ"


def test_no_figure_at_all_is_undecided():
    verdict = judge(comparison(base=[]), OPTIONS)
    assert (verdict.status, is_clear_gain(verdict)) == ("undecided", False)


def test_the_verdict_in_words_names_metric_unit_and_interval():
    verdict = judge(comparison("loss", base=pairs([0.25] * 40)), OPTIONS)
    assert in_words(verdict).startswith("The release gate cannot decide: ")
    assert in_words(verdict).endswith(
        "loss improves on the base by +0.25 nats per answer token (95% interval +0.25 to +0.25, 40 examples)."
    )


def test_a_smoke_test_claims_nothing_about_quality():
    words = in_words(judge(comparison(base=pairs([0.25] * 40)), OPTIONS, smoke_test=True))
    assert words.endswith("it says nothing about quality.")


def test_the_same_pairs_give_the_same_interval():
    rows = pairs(np.random.default_rng(8).normal(1, 20, 50))
    assert improvement(rows, OPTIONS) == improvement(rows, OPTIONS)


def test_an_interval_covers_the_true_mean_as_often_as_it_says():
    random = np.random.default_rng(9)
    draws = bootstrap_means(random.normal(3, 20, (200, 500)), np.arange(200), 2000, 42)
    covered = [low <= 3 <= high for low, high in (interval(draws[:, n], 0.95) for n in range(500))]
    assert np.mean(covered) == pytest.approx(0.95, abs=0.03)


def test_a_resample_without_a_value_is_no_number():
    draws = bootstrap_means([[math.nan], [1.0]], [0, 1], 200, 42)
    assert set(np.unique(draws[~np.isnan(draws)])) == {1.0}
    assert np.isnan(draws).any()
