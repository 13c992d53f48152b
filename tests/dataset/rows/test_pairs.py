"""Pairs of question and answer while they are prepared."""

import pytest

from tuning.dataset.options import resolve_options
from tuning.dataset.rows.pairs import Pair, Rules, clean_and_filter

RULES = Rules(options=resolve_options(), template="", base_url="https://stackoverflow.com")


def judged(answer: str, rejected: str | None = None) -> Pair:
    pair = Pair(0, "How do I add numbers?", "<p>I tried the plus sign, and it failed.</p>", answer, rejected)
    clean_and_filter([pair], RULES)
    return pair


@pytest.mark.parametrize(
    "rejected", ["<p>Thanks!</p>", '<p><img src="https://a.example/b.png" alt="enter image description here"></p>']
)
def test_a_rejected_answer_that_has_only_boilerplate_is_dropped_as_empty(rejected: str) -> None:
    pair = judged("<p>Call <code>sum(numbers)</code>, which adds them.</p>", rejected)
    assert (pair.step, pair.reason) == ("filter", "empty answer")


def test_texts_of_a_pair_that_cannot_be_converted_are_redacted_too() -> None:
    pair = judged("<p>a\x01b</p>")
    assert pair.step == "clean"
    pair = Pair(0, "Mail kim.jones@gmail.com", "<p>Mail kim.jones@gmail.com</p>", "<p>a\x01b lee.park@gmail.com</p>")
    clean_and_filter([pair], RULES)
    assert [pair.title, pair.body, pair.answer] == ["Mail <EMAIL>", "Mail <EMAIL>", "<p>a\x01b <EMAIL></p>"]
