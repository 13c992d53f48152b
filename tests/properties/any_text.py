"""Texts of all kinds for property tests: what people and programs give by mistake, and what posts may contain."""

from collections.abc import Callable
from typing import TypeVar

from hypothesis import strategies as st

from tuning.errors import TuningError

Result = TypeVar("Result")

# Control words of chat templates, of formats, of shells and of terminals.
WORDS = (
    *(
        "<|im_start|>",
        "<|im_end|>",
        "<|endoftext|>",
        "<s>",
        "</s>",
        "[INST]",
        "<start_of_turn>",
        "<bos>",
        "{{ x }}",
        "{% if %}",
    ),
    *(
        "```",
        "```python\n",
        "~~~",
        "`",
        "$$",
        "$a$",
        "\\(",
        "&amp;",
        "&lt;",
        "&#x41;",
        "&nbsp;",
        "&undefined;",
        "]]>",
        "<!--",
        "-->",
    ),
    *(
        "\x00",
        "\x1b[2J",
        "\x07",
        "\x7f",
        "\x85",
        "\u2028",
        "\u202e",
        "\u200b",
        "\ufeff",
        "\xa0",
        "\ufffe",
        "\U000e0041",
    ),
    *("\r\n", "\r", "\n", "\t", " ", '"', "'", "\\", "\\u0041", "\\n", "é", "漢", "🐍", "İ", "ß", "e\u0301"),
    *("NaN", "null", "true", "0", "-1", "1e400", "; DROP TABLE x", "$(reboot)", "=1+1", "../", "~", "%s", "{0}"),
)

# All of Unicode without surrogates, which no text in UTF-8 has.
unicode_text = st.text(st.characters(exclude_categories=["Cs"]))
short_text = unicode_text | st.lists(st.sampled_from(WORDS) | unicode_text, max_size=8).map("".join)
any_text = short_text | st.tuples(st.sampled_from(WORDS), st.integers(1, 3000)).map(lambda one: one[0] * one[1])
# A text as Python gives one that came from bytes in another encoding.
undecoded_text = st.binary(max_size=40).map(lambda content: content.decode("utf-8", "surrogateescape"))


def lines_of(text: str) -> int:
    """The number of lines that a terminal or an editor shows for the text."""
    return len(text.splitlines())


def attempt(run: Callable[[], Result]) -> tuple[Result | None, str]:
    """What the call returns, or None and the one line of its TuningError. Any other exception fails the test."""
    try:
        return run(), ""
    except TuningError as error:
        line = str(error)
    assert lines_of(line) == 1
    return None, line
