"""Test where code is in a text, and that hostile texts take linear time."""

import time

import pytest

from tuning.dataset.similar.words import code_of, code_spans, words


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("no code", []),
        ("a `b` c ``d`e`` f", ["b", "d`e"]),
        ("```python\nx\n```\ny", ["x\n"]),
        ("````\n```\nx\n```\n````", ["```\nx\n```\n"]),
        ("one ` two `` three", []),
        ("an escaped \\` and `code`", ["code"]),
        ("`c:\\` x `y`", ["c:\\", "y"]),
        ("``` `` ` `x` ``", [" ` `x` "]),
        ("<pre class='a'><code>x</code></pre> <code>y</code>", ["x", "y"]),
        ("<code>x", []),
        ("`<code>` x `</code>`", ["<code>", "</code>"]),
        ("``", []),
    ],
)
def test_code_is_between_equal_runs_of_backticks_or_in_its_elements(text: str, code: list[str]) -> None:
    assert [text[begin:end] for begin, end in code_spans(text)] == code


def test_words_of_code_have_their_operators() -> None:
    text = "Slice, then:\n\n```python\ntotal -= items[:-1]\n-x\n```\nor `**` or `日本[0]`."
    expected = ["slice", "then", "python", "total-=", "items[:-", "1]-", "x", "or", "**", "or", "日", "本[", "0]"]
    assert [word for word, _ in words(text)] == expected
    assert [word for word, _ in words("`a+b`", see_code=False)] == ["a", "b"]


@pytest.mark.parametrize(
    "text",
    [
        "` " * 50_000,
        "".join("`" * length + " " for length in range(1, 440)),
        "<code" * 20_000,
        "<code>" * 16_000 + "`" * 3,
        "<pre>" + " " * 100_000,
        "```\n" * 25_000,
        "`" * 100_000,
    ],
)
def test_hostile_texts_of_100_kb_take_a_moment(text: str) -> None:
    begin = time.process_time()
    code_spans(text)
    code_of(text)
    words(text)
    assert time.process_time() - begin < 2
