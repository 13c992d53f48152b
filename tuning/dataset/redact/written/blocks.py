"""Find the value below a name in YAML, TOML and INI files: `password: |` and the password on the next line."""

import re
from collections.abc import Sequence

from tuning.dataset.redact.written.pieces import Pieces, Span

_MOST = 20  # lines of a value
# What follows a name whose value is below it.
AFTER_NAME = (
    r"[\"']?[ \t]*[:=][ \t]*(?:(?:(?P<tag>!!str)|!!?[A-Za-z]{1,12}|&\w{1,20})(?!\S)[ \t]*){0,2}"
    r"(?P<sign>[|>][+\-\d]{0,2})?[ \t]*(?:#[^\n]{0,80})?\r?\n"
)
_BEFORE_NAME = re.compile(r"[ \t-]{0,80}[\"']?[\w.-]{0,60}")
_BLANK_LINES = re.compile(r"(?:[ \t]*\r?\n){0,20}+")
_LINE = re.compile(
    r"(?P<indent>[ \t]*)(?P<item>-[ \t]+)?(?P<quote>[\"']?)(?P<value>[^\s\"'`\-|][^\s`]{0,300}?)(?P=quote)[ \t]*"
    r"(?P<end>\r?\n|\Z|(?=</))"
)


def values_below(text: str, name: int, match: re.Match[str]) -> tuple[Sequence[Pieces], bool]:
    """Return the places of the values below the name at `name`, which AFTER_NAME follows: several if it is a list.

    The second value is whether a sign (`|`, `>`), `!!str` or quotes say that it is a text. Only after a sign, a value
    can have several lines. Each line is one word.
    """
    start = max(text.rfind("\n", 0, name), text.rfind(">", 0, name)) + 1  # after the tag in HTML
    before = text[start:name]
    if not _BEFORE_NAME.fullmatch(before):
        return (), False
    indent = len(before) - len(before.lstrip(" \t-"))
    has_sign, has_quotes, is_list = match["sign"] is not None, False, False
    lines: list[Span] = []
    place = _end_of(_BLANK_LINES, text, match.end())
    while len(lines) < _MOST and (has_sign or is_list or not lines) and place < len(text):
        line = _LINE.match(text, place)
        if line is None:
            if has_sign and text[place : place + indent + 1].isspace():  # a line of words
                return (), True
            break
        if len(line["indent"]) + bool(line["item"]) <= indent or (lines and bool(line["item"]) != is_list):
            break
        is_list, has_quotes = line["item"] is not None, line["quote"] != ""
        lines.append(line.span("value"))
        place = _end_of(_BLANK_LINES, text, line.end())
        if not line["end"]:
            break
    is_text = has_sign or has_quotes or match["tag"] is not None
    return ([(line,) for line in lines] if is_list else [tuple(lines)] if lines else []), is_text


def _end_of(pattern: re.Pattern[str], text: str, place: int) -> int:
    match = pattern.match(text, place)
    return match.end() if match else place
