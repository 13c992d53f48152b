"""The characters that hide or reorder text are counted in the lines as JSON writes them."""

import orjson

from tuning.dataset.arrow import as_array
from tuning.dataset.split.pass_two import _deceptive

_PAIRS = (  # the text of a line, and the characters that are counted
    ("plain, with a tab\t and a line break\n", ""),
    ("Pässe, 日本語 and 😀", ""),
    (r"a regular expression \b\f\r\u0007 \\b", ""),
    ("lines of Windows\r\nand again\r\n", ""),
    ("erased\rby a carriage return", "\r"),
    ("a bell \a, a backspace \b, a form feed \f and \x7f", "\a\b\f\x7f"),
    ("\\\b after a backslash", "\b"),
    ("reordered \u202e, hidden \u200b, twice \u200b", "\u202e\u200b"),
    ("a tag \U000e0041 and a soft hyphen \xad", "\U000e0041\xad"),
)


def test_each_character_is_counted_once_for_each_row_that_has_it() -> None:
    lines = as_array([orjson.dumps({"text": text}) for text, _ in _PAIRS])
    nothing = as_array([b"{}"] * len(_PAIRS))
    expected: dict[str, int] = {}
    for _, characters in _PAIRS:
        for character in characters:
            expected[character] = expected.get(character, 0) + 1
    assert _deceptive(lines, nothing) == expected
    assert _deceptive(nothing, lines) == expected
    assert _deceptive(lines, lines) == expected
    assert _deceptive(lines[2:], nothing[2:]) == expected
