"""Answers that repeat themselves."""

import pytest

from tests.answers.measure_loops import measure
from tuning.answers.loops import loops


def test_the_detector_agrees_with_two_readers_on_200_answers() -> None:
    found = measure("loops_labelled.jsonl")
    assert (found["answers"], found["loops"]) == (200, 61)
    assert found["agreement"] >= 0.99
    assert found["recall"] >= 0.85
    assert found["precision"] >= 0.94


def test_the_detector_agrees_with_two_readers_on_200_answers_that_had_no_part_in_its_rules() -> None:
    found = measure("loops_fresh.jsonl")
    assert (found["answers"], found["loops"]) == (200, 38)
    assert found["agreement"] >= 0.99
    assert found["recall"] >= 0.78  # it misses short answers that say the same three times and then end
    assert found["precision"] >= 0.93


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ("It starts well. " + "and so on " * 20, True),
        ("f'" + ", ".join(f"{{items[{n}]}}" for n in range(40)) + ", {items[4", True),
        ("Source" * 60, True),
        ("print(rows(1))\nprint(rows(2))\nprint(rows(3))\nprint(rows(4))\nDone, that is all there is to it.", False),
        ("print(transpose([[1, 2]]))\n" * 3 + "Good.", True),
        ("Use it:\n```python\nprint(total)\n```\nOr so:\n```python\nprint(total)\n```", False),
        ("", False),
        ("x = " + "[" * 60, True),
        ("Result\n" + "=" * 60, False),
        ("```\n>>> zeros((5, 8))\n" + "[0., 0., 0., 0., 0., 0., 0., 0.],\n" * 5 + "```\nEach row is equal.", False),
        ("Use:\n```\n" + "[0., 0., 0., 0., 0., 0., 0., 0.],\n" * 5, True),
        ("Use:\n" + "[0., 0., 0., 0., 0., 0., 0., 0.],\n" * 5 + "Done.", True),
        ("```\n" + "the row of zeros is next\n" * 5 + "```\n", True),
    ],
)
def test_a_loop(answer: str, found: bool) -> None:
    assert loops(answer) is found
