"""The fixed sample of evaluation examples."""

from types import SimpleNamespace

from tuning.evaluation.sample import stable_sample


def rows(count: int) -> list:
    return [SimpleNamespace(example_id=f"{number}-{number + 1}", line=number) for number in range(count)]


def ids(sample: list) -> list[str]:
    return [row.example_id for row in sample]


def test_the_same_ids_give_the_same_sample_in_any_order():
    assert ids(stable_sample(rows(100), 7)) == ids(stable_sample(list(reversed(rows(100))), 7))
    assert len(stable_sample(rows(100), 7)) == 7


def test_a_smaller_sample_lies_in_a_larger_one():
    assert set(ids(stable_sample(rows(100), 7))) < set(ids(stable_sample(rows(100), 30)))


def test_a_new_row_displaces_at_most_one():
    before, after = stable_sample(rows(100), 20), stable_sample(rows(101), 20)
    assert len(set(ids(before)) - set(ids(after))) <= 1


def test_zero_and_more_than_there_are_give_all_in_the_order_of_their_lines():
    assert [row.line for row in stable_sample(rows(5), 0)] == [0, 1, 2, 3, 4]
    assert [row.line for row in stable_sample(rows(5), 9)] == [0, 1, 2, 3, 4]
