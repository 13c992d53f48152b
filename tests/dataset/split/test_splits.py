"""Test the assignment to splits, and that no group is in both splits."""

import datetime

import numpy as np
import pytest
from sklearn.model_selection import train_test_split

from tuning.dataset.options import SEED, resolve_options
from tuning.dataset.similar.groups import Groups
from tuning.dataset.split.splits import evaluation_side, seed_order, straddling
from tuning.sampling import draw, salted

IDS = np.arange(1, 10_001)


def microseconds(day: str) -> int:
    return int(datetime.datetime.fromisoformat(day).replace(tzinfo=datetime.UTC).timestamp()) * 1_000_000


def test_hash_takes_the_asked_share_and_moves_no_question_when_others_come() -> None:
    options = resolve_options(eval_fraction=0.2)
    side = evaluation_side(options, IDS, IDS, IDS)
    assert 1_900 < side.sum() < 2_100
    some = np.arange(0, 10_000, 7)
    assert evaluation_side(options, IDS[some], IDS[some], IDS[some]).tolist() == side[some].tolist()


def test_another_seed_is_another_split() -> None:
    sides = [evaluation_side(resolve_options(seed=seed, eval_fraction=0.1), IDS, IDS, IDS) for seed in (1, 2)]
    assert 0.7 < (sides[0] == sides[1]).mean() < 0.9


def test_a_limit_takes_no_side_first() -> None:
    taken = np.isin(IDS, draw("limit", IDS.tolist(), 1_000, int, 42))
    side = evaluation_side(resolve_options(eval_fraction=0.1), IDS, IDS, IDS)
    assert 60 < (side & taken).sum() < 140


def test_salted_is_the_same_number_on_every_machine() -> None:
    assert salted("side", 42, 1) == 2326465133370648126


def test_time_takes_what_was_answered_on_the_day_or_later() -> None:
    options = resolve_options(split="time", split_date="2021-03-01")
    times = [microseconds(time) for time in ("2021-02-28T23:59:59.999", "2021-03-01T00:00:00", "2022-01-01T00:00:00")]
    assert evaluation_side(options, IDS[:3], np.array(times), IDS[:3]).tolist() == [False, True, True]


def test_random_divides_no_group() -> None:
    groups = IDS // 4
    side = evaluation_side(resolve_options(split="random", eval_fraction=0.1), IDS, IDS, groups)
    assert not straddling(side, groups).any()
    assert 900 < side.sum() < 1_100


@pytest.mark.parametrize("rows", [2, 3, 7, 11, 1_000, 5_150])
def test_the_seeds_order_is_that_of_train_test_split(rows: int) -> None:
    train, evaluation = seed_order(SEED, rows)
    expected = train_test_split(list(range(rows)), test_size=0.2, random_state=42)
    assert [train.tolist(), evaluation.tolist()] == expected


def test_only_training_members_of_a_group_on_both_sides_straddle() -> None:
    side = np.array([False, True, False, False, True])
    groups = np.array([1, 1, 2, 2, 5])
    assert straddling(side, groups).tolist() == [True, False, False, False, False]


def test_a_group_is_connected_through_questions_that_are_not_in_the_dataset() -> None:
    groups = Groups()
    groups.join_all([30, 99])
    groups.join_all([20, 99])
    groups.join(40, 41)
    groups.join(41, 7)
    assert groups.of_all(np.array([20, 30, 40, 50])).tolist() == [20, 20, 7, 50]


def test_long_chains_make_one_group_in_any_order() -> None:
    links = [(number, number + 1) for number in range(3_000)]
    for order in (links, links[::-1], links[::2] + links[1::2]):
        groups = Groups()
        for one, other in order:
            groups.join(one, other)
        assert set(groups.of_all(np.arange(3_001)).tolist()) == {0}
