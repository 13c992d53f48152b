"""Whatever the rows, links and options: no group is in both splits, and a sample is part of each larger sample."""

import datetime
import itertools
import random

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import settings as rules
from hypothesis import strategies as st

from tests.dataset.folders import dropped, made, sides
from tests.marts import row
from tests.properties.any_text import attempt
from tuning.dataset.options import resolve_options
from tuning.dataset.similar.groups import Groups
from tuning.dataset.split.splits import evaluation_side, seed_order, straddling
from tuning.sampling import draw

ids = st.integers(1, 30)
links = st.lists(st.lists(ids, min_size=1, max_size=4), max_size=12)
some_ids = st.sets(st.integers(1, 2**62), min_size=1, max_size=60)


@given(some_ids, st.integers(0, 70), st.integers(0, 70), st.integers(0, 2**32 - 1), st.randoms())
def test_a_sample_is_the_same_in_any_order_and_the_start_of_a_larger_one(
    numbers: set[int], one: int, other: int, seed: int, chance: random.Random
) -> None:
    items = sorted(numbers)
    chance.shuffle(items)
    smaller, larger = (draw("limit", items, limit, int, seed) for limit in sorted((one, other)))
    assert larger[: len(smaller)] == smaller
    assert len(larger) == min(max(one, other), len(numbers)) == len(set(larger))
    assert draw("limit", sorted(numbers), max(one, other), int, seed) == larger


@given(links)
def test_groups_are_the_connected_questions_with_the_smallest_id_as_their_name(joined: list[list[int]]) -> None:
    groups = Groups()
    expected = {number: {number} for number in range(1, 31)}
    for some in joined:
        groups.join_all(some)
        union = set().union(*(expected[one] for one in some))
        expected.update(dict.fromkeys(union, union))
    assert groups.of_all(np.arange(1, 31)).tolist() == [min(expected[number]) for number in range(1, 31)]
    assert groups.smallest(np.arange(5, 31)).tolist() == [
        min(one for one in expected[number] if one >= 5) for number in range(5, 31)
    ]


@given(
    links,
    st.sets(ids, min_size=2),
    st.sampled_from(["hash", "time", "random"]),
    st.floats(0.01, 0.99),
    st.integers(0, 2**32 - 1),
    st.dates(datetime.date(1, 1, 1), datetime.date(9999, 12, 31)),
)
@example([], {1, 2}, "random", 0.75, 0, datetime.date(2020, 1, 1))
def test_no_group_is_in_both_splits(
    joined: list[list[int]], chosen: set[int], split: str, fraction: float, seed: int, date: datetime.date
) -> None:
    groups = Groups()
    for some in joined:
        groups.join_all(some)
    rows = np.array(sorted(chosen))
    group, first = groups.of_all(rows), groups.smallest(rows)
    more = {"split_date": date.isoformat()} if split == "time" else {"eval_fraction": fraction, "seed": seed}
    options = resolve_options(split=split, **more)
    side = evaluation_side(options, first, rows * 86_400_000_000 * 365, group)
    left_out = straddling(side, group)
    assert side.shape == left_out.shape == rows.shape
    assert not (side & left_out).any()
    assert not set(group[side]) & set(group[~side & ~left_out])
    if split != "time":
        assert not left_out.any()
    if split == "hash":  # rows that come later move nothing that they do not join
        assert evaluation_side(options, first[:1], rows[:1], group[:1])[0] == side[0]


@given(st.integers(2, 200), st.floats(0.001, 0.999), st.integers(0, 2**32 - 1))
def test_the_seed_preset_puts_every_row_into_one_split(rows: int, fraction: float, seed: int) -> None:
    train, evaluation = seed_order(resolve_options(eval_fraction=fraction, seed=seed), rows)
    assert sorted([*train.tolist(), *evaluation.tolist()]) == list(range(rows))


@pytest.mark.parametrize("split", ["hash", "time", "random"])
def test_datasets_of_any_links_nest_and_divide_no_group(split: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    numbers = st.integers(1, 40)

    @rules(max_examples=max(2, rules().max_examples // 30))
    @given(
        st.dictionaries(numbers, st.lists(numbers, max_size=3), max_size=15),
        st.lists(st.integers(15, 40), min_size=2, max_size=2),
    )
    def check(linked: dict[int, list[int]], limits: list[int]) -> None:
        rows = [{**row(number), "linked_question_ids": linked.get(number, [])} for number in range(1, 41)]
        options = {"split": split, **({"split_date": "2020-01-20"} if split == "time" else {"eval_fraction": 0.4})}
        found = []
        for limit in sorted({*limits, 0}, key=lambda one: one or 100):
            home = tmp_path_factory.mktemp("home")
            dataset, line = attempt(lambda home=home, limit=limit: made(home, rows, limit=limit, **options))
            if dataset is None:
                assert "no example is left for" in line
                continue
            groups: dict[int, set[str]] = {}
            for side in ("train", "eval"):
                for one in dataset.attributions(side):
                    groups.setdefault(one.group, set()).add(side)
            assert all(len(sides_of_group) == 1 for sides_of_group in groups.values())
            assert len(sides(dataset)) + sum(dropped(dataset).values()) == len(rows)
            found.append(sides(dataset))
        for smaller, larger in itertools.pairwise(found):
            if split == "hash":
                assert set(smaller) <= set(larger)

    check()
