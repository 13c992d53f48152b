"""A pair is kept, or dropped for one named reason."""

from pathlib import Path
from typing import Any

import pytest

from tests.dataset.folders import dropped, question_ids
from tests.marts import row, words, write_snapshot
from tuning.dataset.create import create_dataset
from tuning.dataset.dataset import Dataset
from tuning.dataset.filters import (
    Reason,
    TokenLimits,
    check_answer,
    check_code,
    check_length,
    check_pair,
    has_control_characters,
)
from tuning.dataset.options import resolve_options
from tuning.settings import Settings

QUESTION = "How do I reverse a list in Python?"
ANSWER = "Use `items[::-1]`, which copies it."


def test_a_sound_pair_is_kept() -> None:
    assert check_pair(QUESTION, ANSWER) is None
    assert check_pair(f"<p>{QUESTION}</p>", "<p>Use <code>items[::-1]</code>.</p>") is None


@pytest.mark.parametrize("question", ["", " \n", "?", "Why?!", "<p></p><hr>", "---"])
def test_a_question_without_words_is_empty(question: str) -> None:
    assert check_pair(question, ANSWER) is Reason.EMPTY_QUESTION


@pytest.mark.parametrize("answer", ["", "No.", "```\n\n```", "<p>Yes.</p>"])
def test_an_answer_without_words_is_empty(answer: str) -> None:
    assert check_answer(answer) is Reason.EMPTY_ANSWER


@pytest.mark.parametrize(
    "answer",
    [
        "https://docs.python.org/3/library/re.html",
        "<https://docs.python.org/3/>",
        "See [this question](https://stackoverflow.com/q/1).",
        "Have a look at [the docs](https://a.b/c) and [this](https://a.b/d)",
        "![screenshot](https://i.stack.imgur.com/x.png)",
        '<p>See <a href="https://a.b">this</a></p>',
    ],
)
def test_an_answer_that_only_points_elsewhere_is_only_a_link(answer: str) -> None:
    assert check_answer(answer) is Reason.LINK_ONLY


@pytest.mark.parametrize(
    "answer",
    [
        "Use [`itertools.chain`](https://docs.python.org/3/library/itertools.html).",
        "You have to close the file first, see [the docs](https://a.b/c).",
        "Read https://a.b/c and then call the function with two arguments.",
    ],
)
def test_an_answer_that_says_something_beside_its_link_is_kept(answer: str) -> None:
    assert check_answer(answer) is None


@pytest.mark.parametrize("character", ["\x00", "\x07", "\x0b", "\x1b", "\x7f", "\ud800", "\uffff"])
def test_control_characters_are_found(character: str) -> None:
    assert has_control_characters(f"a{character}b")
    assert has_control_characters(f"é{character}b")
    assert check_pair(QUESTION, ANSWER + character) is Reason.CONTROL_CHARACTERS


def test_white_space_and_other_scripts_are_no_control_characters() -> None:
    assert not has_control_characters("a\tb\r\nc")
    assert not has_control_characters("日本\t語\n😀\xa0")


def test_a_pair_over_the_limit_is_too_long_and_one_at_the_limit_is_not() -> None:
    limits = TokenLimits(example=12, overhead=2)
    assert check_length("5" * 15, "5" * 15, limits, None) is None
    assert check_length("5" * 15, "6" * 18, limits, None) is Reason.TOO_LONG


def test_an_answer_that_begins_behind_the_training_length_never_trains() -> None:
    limits = TokenLimits(example=1_000, training=10)
    assert check_length("9" * 27, "answer", limits, None) is None
    assert check_length("10" * 15, "answer", limits, None) is Reason.NEVER_TRAINS


@pytest.mark.parametrize(
    "answer",
    [
        "Do this:\n\n```python\nx = 1\n```",
        "```\nx = 1\n```\n\nthen\n\n```py\nprint(x)\n```",
        "```pycon\n>>> 1 + 1\n2\n```",
        "In a shell:\n\n```bash\npip install x && ls\n```\n\nthen\n\n```python\nimport x\n```",
        "<p>Do this:</p>\n<pre><code>x = 1\n</code></pre>",
    ],
)
def test_code_that_parses_is_kept(answer: str) -> None:
    assert check_code(answer) is None


@pytest.mark.parametrize(
    "answer",
    [
        "Use `items[::-1]`.",
        "Do this:\n\n    x = 1",
        "```bash\npip install x\n```",
        "```python\nprint 1\n```",
        "```\nTraceback (most recent call last):\n```",
        "```python\nx = 1\n```\n\nor\n\n```python\nfor x in\n```",
        "<pre><code>print 1\n</code></pre>",
    ],
)
def test_an_answer_without_code_or_with_code_that_does_not_parse_has_a_reason(answer: str) -> None:
    assert check_code(answer) is Reason.CODE


def made(tmp_path: Path, name: str, rows: list[dict[str, Any]], **given: Any) -> Dataset:
    snapshot = write_snapshot(tmp_path / name / "snapshot", rows)
    return create_dataset(Settings(home=tmp_path / name), snapshot, resolve_options(**given), 1)


@pytest.mark.parametrize("body", ["markdown", "html"])
def test_code_parses_keeps_only_answers_whose_code_parses_and_counts_the_others(tmp_path: Path, body: str) -> None:
    rows = [row(number) for number in range(40)]
    rows[3]["answer_body"] = f"<p>{words(3)}</p>"
    rows[4]["answer_body"] = f"<p>{words(4)}</p><pre><code>print 4\n</code></pre>"
    rows[5]["answer_body"] = f"<p>{words(5)}</p><pre><code>x = 5\n</code></pre><pre><code>no code here\n</code></pre>"
    everything = made(tmp_path, "any", rows, body=body)
    assert "no code, or code that does not parse" not in dropped(everything)
    dataset = made(tmp_path, "parses", rows, body=body, code="parses")
    assert dropped(dataset)["no code, or code that does not parse"] == 3
    kept = [*question_ids(dataset, "train"), *question_ids(dataset, "eval")]
    assert sorted(kept) == [number for number in range(40) if number not in (3, 4, 5)]
    assert dataset.manifest.options["code"] == "parses"
    assert dataset.id != everything.id
