"""Test that a group goes to one split as a whole, loses nothing, and stays there when rows are added."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.dataset.folders import dropped, made, question_ids, sides, written_ids
from tests.marts import row
from tuning.dataset.dataset import Dataset
from tuning.dataset.options import resolve_options
from tuning.dataset.similar.groups import Groups
from tuning.dataset.split.splits import evaluation_side


def hub(size: int, first: int, others: int = 100) -> list[dict[str, Any]]:
    """A question with `size` - 1 duplicates, and questions without any."""
    rows = [row(number) for number in range(first, first + size + others)]
    for one in rows[1:size]:
        one["linked_question_ids"] = [first]
    return rows


def group_splits(dataset: Dataset) -> dict[int, set[str]]:
    found: dict[int, set[str]] = {}
    for split in ("train", "eval"):
        for one in dataset.attributions(split):
            found.setdefault(one.group, set()).add(split)
    return found


@pytest.mark.parametrize("size", [5, 10, 40, 400])
def test_a_hub_of_duplicates_is_in_one_split_and_loses_nothing(tmp_path: Path, size: int) -> None:
    rows = hub(size, 1_001)
    dataset = made(tmp_path, rows)
    assert dropped(dataset) == {}
    assert len(written_ids(dataset)) == len(rows)
    assert all(len(splits) == 1 for splits in group_splits(dataset).values())


@pytest.mark.parametrize("size", [1, 2, 10, 400])
def test_the_share_of_the_evaluation_split_is_right_in_expectation_whatever_the_size_of_groups(size: int) -> None:
    ids = np.arange(1_200)
    first = ids // size * size
    shares = [
        evaluation_side(resolve_options(seed=seed, eval_fraction=0.1), first, ids, first).mean() for seed in range(100)
    ]
    assert np.isclose(np.mean(shares), 0.1, atol=4 * 0.3 / np.sqrt(100 * len(ids) / size))


def test_new_rows_move_no_old_row_except_where_they_join_two_groups(tmp_path: Path) -> None:
    rows = [row(number) for number in range(1, 601)]
    for one, other in zip(rows[100:200:2], rows[101:201:2], strict=True):
        one["linked_question_ids"] = [other["question_id"]]
    more = [row(number) for number in range(1_001, 1_061)]
    for at, one in enumerate(more[:30]):
        one["linked_question_ids"] = [rows[at]["question_id"], rows[-at - 1]["question_id"]]
    more[40] |= {name: rows[3][name] for name in ("question_title", "question_body")} | {"answer_score": 99}
    more[41]["linked_question_ids"] = [rows[150]["question_id"]]
    before, after = (sides(made(tmp_path / name, some)) for name, some in (("before", rows), ("after", rows + more)))
    joined = {rows[-at - 1]["question_id"]: rows[at]["question_id"] for at in range(30)}
    moved = {one for one, split in before.items() if one in after and after[one] != split}
    assert moved  # the group with the larger smallest id follows the other
    assert moved == {one for one, other in joined.items() if before[one] != before[other] and one in after}
    assert set(before) - set(after) == {4}  # a better answer to the same question replaces it


def test_linked_questions_outside_the_dataset_count_for_the_split(tmp_path: Path) -> None:
    rows = hub(40, 1_001)
    parts = [sides(made(tmp_path / str(at), rows[at:])) for at in (0, 1, 20)]
    for one, other in itertools.pairwise(parts):
        assert all(one[question] == split for question, split in other.items())


def test_samples_of_a_dataset_with_groups_nest(tmp_path: Path) -> None:
    rows = hub(40, 1_001, 300)
    for one, other in itertools.pairwise(rows[100:120]):
        other["linked_question_ids"] = [one["question_id"]]
    samples = [made(tmp_path / str(limit), rows, limit=limit) for limit in (60, 150, 0)]
    for smaller, larger in itertools.pairwise(samples):
        for split in ("train", "eval"):
            assert set(question_ids(smaller, split)) < set(question_ids(larger, split))


def test_a_split_by_time_drops_and_counts_training_members_of_a_group_in_evaluation(tmp_path: Path) -> None:
    rows = [row(number) for number in range(1, 401)]
    for first, second in zip(rows[::2], rows[1::2], strict=True):
        first["linked_question_ids"] = [second["question_id"]]
    dataset = made(tmp_path, rows, split="time", split_date="2020-07-01")
    border = next(one["question_id"] for one in rows if str(one["answer_created_at"]) >= "2020-07-01")
    assert border % 2 == 0  # so that one group is on both sides of the date
    assert dropped(dataset) == {"training member of a group in evaluation": 1}
    readme = (dataset.folder / "README.md").read_text()
    assert "| split | training member of a group in evaluation | 1 |" in readme
    assert "For this, training rows were dropped, which the table counts." in readme
    assert f"in one group with {border}-" in (dataset.folder / "card.html").read_text()
    assert question_ids(dataset, "eval") == list(range(border, 401))


def test_the_smallest_id_of_a_group_is_among_the_given_ones() -> None:
    groups = Groups()
    groups.join_all([30, 7, 20])
    assert groups.smallest(np.array([20, 30, 40]), {30, 50}).tolist() == [20, 20, 40]
    assert groups.smallest(np.array([20, 30, 40]), {7}).tolist() == [7, 7, 40]
    assert groups.smallest(np.array([], dtype=np.int64)).tolist() == []
