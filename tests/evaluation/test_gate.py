"""The release gate: its four verdicts, each of its reasons, and its error rates by simulation."""

import math

import numpy as np
import pytest

from tests.evaluation.simulate_gate import RARE, share_released
from tests.evaluation.suites import compared, pairs
from tuning.evaluation.bootstrap import bootstrap_means, interval
from tuning.evaluation.gate import LOSS_SAYS_LITTLE, improvement, in_words, judge, surely_below
from tuning.evaluation.options import GateOptions
from tuning.evaluation.records import Verdict

OPTIONS = GateOptions(resamples=2000)
BETTER_LOSS, SAME_LOSS = pairs([0.3] * 48), pairs([0.0] * 48)


def half(count: int = 96) -> list[bool]:
    """Which of `count` questions a model solves that solves every second one."""
    return [number % 2 == 0 for number in range(count)]


def more(gained: int, lost: int = 0) -> list[bool]:
    """The same with this many questions gained and lost."""
    solved = half()
    for number in range(gained):
        solved[2 * number + 1] = True
    for number in range(lost):
        solved[2 * number] = False
    return solved


def verdict(tuned: list[bool], base: list[bool] | None = None, loss=BETTER_LOSS, **suite) -> Verdict:
    return judge(compared(tuned, base or half(), loss, **suite), OPTIONS)


def test_a_model_that_solves_more_questions_beyond_chance_is_better_whatever_its_loss() -> None:
    found = verdict(more(15), loss=SAME_LOSS)
    assert (found.status, found.passed) == ("better", True)
    assert found.judgements[0].executed.mean == pytest.approx(100 * 15 / 96)
    assert found.judgements[0].executed.low > 0
    assert len(found.judgements[0].gained) == 15
    assert found.judgements[0].solved == {"tuned": 63, "base": 48}
    assert "solves 63 of 96 how-to questions and the base 48 (+16 points" in found.reasons[0]


def test_an_equal_model_with_a_better_loss_is_not_worse_and_may_be_released() -> None:
    found = verdict(more(4, 4))
    assert (found.status, found.passed) == ("not worse", True)
    assert in_words(found).startswith(
        "The tuned model does not answer worse than the base by 15 points or more, and it fits held-out answers"
    )


def test_no_difference_is_0_without_a_sign() -> None:
    reasons = verdict(half()).reasons
    assert "and the base 48 (0 points, 95% interval 0 to 0; 0 gained, 0 lost)" in reasons[0]
    assert "held-out examples; lower is better)" in reasons[1]
    same = "loss changes from the base by 0.000 nats per answer token (95% interval 0.000 to 0.000, "
    assert any(reason.startswith(same) for reason in verdict(half(), loss=SAME_LOSS).reasons)


def test_an_equal_model_without_a_better_loss_is_undecided() -> None:
    found = verdict(more(4, 4), loss=SAME_LOSS)
    assert (found.status, found.passed) == ("undecided", False)
    assert "beyond chance" in found.reasons[0]


def test_a_model_that_may_be_15_points_worse_is_undecided() -> None:
    found = verdict(more(6, 13))
    assert found.status == "undecided"
    assert found.judgements[0].executed.low < -15
    assert "over 15 points fewer" in found.reasons[0]


def test_a_model_that_solves_fewer_questions_beyond_chance_is_worse() -> None:
    found = verdict(more(0, 25))
    assert (found.status, found.passed) == ("worse", False)
    assert (
        "the share of questions whose answer does what was asked changes from the base by -26 points"
        in found.reasons[0]
    )


@pytest.mark.parametrize(
    ("metric", "base", "tuned"), [("runs", 90.0, 20.0), ("apis", 100.0, 50.0), ("code", 100.0, 60.0)]
)
def test_a_guardrail_makes_a_model_worse_even_if_it_solves_more(metric: str, base: float, tuned: float) -> None:
    found = verdict(more(15), scores={metric: (base, tuned)})
    assert found.status == "worse"
    assert [rail.metric for rail in found.judgements[0].guardrails if rail.is_worse] == [metric]


@pytest.mark.parametrize("metric", ["loop", "empty"])
def test_more_loops_or_empty_answers_are_worse(metric: str) -> None:
    assert verdict(more(15), scores={metric: (0.0, 40.0)}).status == "worse"
    assert verdict(more(15), scores={metric: (0.0, 0.0)}).status == "better"


def test_a_single_loop_is_no_proof() -> None:
    assert verdict(more(15), scores={"loop": (0.0, 100 / 96)}).status == "better"


def test_answers_that_were_not_run_are_always_undecided() -> None:
    found = verdict(more(40), loss=BETTER_LOSS, reason="the code was not run")
    assert (found.status, found.passed) == ("undecided", False)
    assert found.reasons[:2] == ["the code was not run", LOSS_SAYS_LITTLE]
    assert "loss changes from the base by -0.300 nats per answer token" in found.reasons[2]


def test_no_suite_at_all_is_undecided() -> None:
    assert judge(compared([], [], BETTER_LOSS, reason="no suite applies"), OPTIONS).status == "undecided"


def test_fewer_than_thirty_questions_are_undecided() -> None:
    assert judge(compared([True] * 29, [False] * 29, BETTER_LOSS), OPTIONS).status == "undecided"
    assert judge(compared([True] * 30, [False] * 30, BETTER_LOSS), OPTIONS).status == "better"


def test_a_base_whose_answers_were_cut_is_not_beaten_by_that() -> None:
    """The base solves nothing because its answers were cut: on the other questions both are equal."""
    base = [number >= 40 for number in range(96)]
    tuned = [True] * 96
    found = judge(compared(tuned, base, SAME_LOSS, cut={"base": range(40)}), OPTIONS)
    assert found.status == "undecided"
    assert "without the questions where an answer was cut or empty" in found.reasons[0]
    assert found.judgements[0].complete.examples == 56


def test_a_base_that_says_nothing_is_not_beaten() -> None:
    found = judge(compared([True] * 96, [False] * 96, BETTER_LOSS, empty={"base": range(96)}), OPTIONS)
    assert found.status == "undecided"
    assert found.reasons[0].startswith("96 of 96 questions have an answer that was cut or is empty")


def test_empty_answers_are_named_where_no_model_solves_anything() -> None:
    found = judge(compared([False] * 96, [False] * 96, [], empty={"base": range(96)}), OPTIONS)
    assert found.status == "undecided"
    assert "96 of 96 how-to questions have an answer that was cut or is empty (by thinking?)" in found.reasons


def test_the_verdict_is_the_worst_of_those_against_base_and_champion() -> None:
    both = compared(more(15), half(), BETTER_LOSS, champion=more(40))
    found = judge(both, OPTIONS, champion="v1")
    assert [(judged.opponent, judged.status) for judged in found.judgements] == [
        ("base", "better"),
        ("champion", "worse"),
    ]
    assert (found.status, found.champion) == ("worse", "v1")
    assert "champion" in found.reasons[0]
    assert judge(compared(more(30), half(), BETTER_LOSS, champion=more(1)), OPTIONS, champion="v1").status == "better"


def test_a_champion_that_saw_the_evaluation_examples_can_only_be_beaten_by_answers() -> None:
    equal = compared(more(4, 4), half(), BETTER_LOSS, champion=more(4, 4))
    assert judge(equal, OPTIONS, champion="v1").status == "undecided", "no champion has a loss here"
    equal.pairs["champion"] = BETTER_LOSS
    assert judge(equal, OPTIONS, champion="v1").status == "not worse"
    found = judge(equal, OPTIONS, champion="v1", shared_with_champion=3)
    assert found.status == "undecided"
    assert "3 evaluation examples are of questions that the champion was trained on" in found.reasons


def test_a_champion_with_other_tokens_can_be_beaten_by_answers() -> None:
    found = compared(more(30), half(), BETTER_LOSS, champion=more(1))
    found.incomparable["champion"] = "their tokens differ"
    assert judge(found, OPTIONS, champion="v1").status == "better"


def test_a_large_slice_that_is_certainly_worse_blocks_a_release() -> None:
    values = np.concatenate([np.full(100, -0.5), np.full(400, 0.3)])
    loss = pairs(values, slices=lambda n: ["worse"] if n < 100 else ["better"])
    found = verdict(more(4, 4), loss=loss)
    assert found.status == "undecided"
    assert (
        found.reasons[0] == "worse is worse than the base: loss changes by +0.500 (+0.500 to +0.500), adjusted for "
        "2 slices, on 100 examples"
    )


def test_a_slice_under_the_minimum_is_shown_and_never_blocks() -> None:
    values = np.concatenate([np.full(99, -0.5), np.full(400, 0.3)])
    found = verdict(more(4, 4), loss=pairs(values, slices=lambda n: ["small"] if n < 99 else ["large"]))
    small = next(row for row in found.slices if row.name == "small")
    assert found.status == "not worse"
    assert (small.examples, small.judged, small.blocks) == (99, False, False)


def test_few_groups_of_examples_say_nothing_about_the_loss() -> None:
    found = verdict(more(4, 4), loss=pairs([0.3] * 48, groups=np.repeat(np.arange(12), 4)))
    assert found.status == "undecided"
    assert any("only 12 independent" in reason for reason in found.reasons)


def test_a_smoke_test_claims_nothing_about_quality() -> None:
    words = in_words(judge(compared(half(), half(), BETTER_LOSS), OPTIONS, smoke_test=True))
    assert words.endswith("it says nothing about quality.")


@pytest.mark.parametrize("discordant", [0.2, 0.3, 0.4])
def test_a_model_15_points_worse_is_released_in_at_most_4_of_100(discordant: float) -> None:
    assert share_released(change=-15, discordant=discordant, trials=1000) <= 0.04


def test_a_model_as_good_as_the_base_is_released_in_at_least_60_of_100() -> None:
    assert share_released(change=0, discordant=0.3, trials=600) >= 0.60


def test_a_model_with_rare_faults_is_judged_worse_at_most_one_time_in_twenty() -> None:
    """Equal models: what the guardrails, adjusted for their number, find by chance."""
    assert share_released(change=0, discordant=0.3, trials=600, status="worse") <= 0.05
    assert RARE < 0.1


# The bootstrap below the gate.


def share_passing(trials: np.ndarray, groups: np.ndarray) -> float:
    """The share of trials (examples, trials) whose interval lies above zero, by the gate's own bootstrap."""
    draws = bootstrap_means(trials, groups, OPTIONS.resamples, OPTIONS.seed)
    return float(np.mean([interval(draws[:, trial], OPTIONS.level)[0] > 0 for trial in range(trials.shape[1])]))


def test_groups_of_three_alike_examples_do_not_make_equal_models_pass_more_often() -> None:
    random = np.random.default_rng(2)
    alike = np.repeat(random.normal(0, 20, (100, 1000)), 3, axis=0)
    assert share_passing(alike, np.repeat(np.arange(100), 3)) <= 0.05
    assert share_passing(alike, np.arange(300)) > 0.08, "without groups the same data fools the bootstrap"


def test_skewed_differences_of_equal_models_pass_at_most_one_time_in_twenty() -> None:
    random = np.random.default_rng(3)
    skewed = random.exponential(20, (100, 1000)) - 20
    assert share_passing(skewed, np.arange(100)) <= 0.05


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
def test_a_slice_of_100_made_15_points_worse_blocks_nine_times_in_ten(gain: float) -> None:
    assert share_blocked(gain, loss_of_first=15, margin=OPTIONS.slice_margin("chrf"), trials=200, seed=6)[0] >= 0.90


def test_slices_of_equal_models_block_at_most_one_time_in_twenty() -> None:
    assert share_blocked(0, loss_of_first=0, margin=0, trials=400, seed=7)[1] <= 0.05


def test_the_same_pairs_give_the_same_interval() -> None:
    rows = pairs(np.random.default_rng(8).normal(1, 20, 50))
    assert improvement(rows, OPTIONS) == improvement(rows, OPTIONS)


def test_an_interval_covers_the_true_mean_as_often_as_it_says() -> None:
    random = np.random.default_rng(9)
    draws = bootstrap_means(random.normal(3, 20, (200, 500)), np.arange(200), 2000, 42)
    covered = [low <= 3 <= high for low, high in (interval(draws[:, n], 0.95) for n in range(500))]
    assert np.mean(covered) == pytest.approx(0.95, abs=0.03)


def test_a_resample_without_a_value_is_no_number() -> None:
    draws = bootstrap_means([[math.nan], [1.0]], [0, 1], 200, 42)
    assert set(np.unique(draws[~np.isnan(draws)])) == {1.0}
    assert np.isnan(draws).any()
