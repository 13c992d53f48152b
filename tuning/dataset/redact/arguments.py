"""Read the arguments of a call in text that need not be valid Python."""

import re
from typing import NamedTuple

from tuning.dataset.redact.written.pieces import Pieces, read_string
from tuning.dataset.redact.written.strings import PREFIX


class Argument(NamedTuple):
    """Represent an argument of a call or an item of a list, with its places in the text."""

    keyword: str  # "" for a positional argument
    start: int
    end: int
    string: Pieces  # the places of the text between the quotes; none if the argument is no string
    after: str  # the character before the argument: a bracket or a separator


_STRING = re.compile(
    rf"{PREFIX}?(?P<quote>\"\"\"|'''|[\"'])"
    r"(?P<text>(?:(?!(?P=quote))[^\\\n]|\\[^\n]|(?P=quote){2}){0,400})(?P=quote)"
)
_KEY_AFTER = (
    r"\s{0,3}\+\s{0,3}(?:Keys\.\w{1,20}|b?[\"']\\[rn][\\rn]{0,2}[\"'])"  # as in `"…" + Keys.ENTER`, `"…" + "\n"`
)
_END = rf"(?:\.encode\([^()\n]{{0,20}}\))?(?:{_KEY_AFTER})?\s*\Z"
_END_OF_STRING = re.compile(_END)
_ONLY_STRING = re.compile(_STRING.pattern + _END)
_RAW_OF_CPP = re.compile(r"(?:u8|[uUL])?R\"[^()\\\s\"]{0,16}\(")
# Before a quote: the start of a raw string, or a quote in a string within a string.
_BEFORE_RAW = re.compile(r"(?:(?:u8|[uUL])?R|[bcr]{0,2}#{1,8}|@\$?|\$@|\\|String\.raw)\Z")
_KEYWORD = re.compile(r"\s*(?:([A-Za-z_]\w{0,40})\s{0,3}=(?!=)\s*)?")
_OTHER = re.compile(r"[^\"'`()\[\]{},:]+")
_NEW_LINE = r"(?:\\r)?\\n"


def read_arguments(text: str, start: int, separators: str = ",", limit: int = 600) -> list[Argument]:
    """Return the arguments of the call, or the items of the list, whose bracket opens just before `start`.

    Reads at most `limit` characters. A call that does not end there has the arguments that do.
    """
    arguments = []
    depth, place, first, stop = 0, start, start, min(len(text), start + limit)
    while place < stop:
        character = text[place]
        if character in "\"'`" and (end := _end_of_string(text, first, place)):
            place = end
        elif character in "([{":
            depth += 1
            place += 1
        elif character in ")]}" or (depth == 0 and character in separators):
            if depth == 0:
                if argument := _argument(text, first, place):
                    arguments.append(argument)
                if character in ")]}":
                    break
                first = place + 1
            else:
                depth -= 1
            place += 1
        else:
            other = _OTHER.match(text, place)
            place = other.end() if other else place + 1
    return arguments


def _end_of_string(text: str, first: int, quote: int) -> int:
    """Return where the string that begins at a quote ends, or 0."""
    may_be_raw = text[quote - 1] in "R#@$\\w"  # the last character of what can stand before it
    before = _BEFORE_RAW.search(text, max(first, quote - 12), quote) if may_be_raw else None
    if before or text[quote] == "`":
        pieces, end = read_string(text, before.start() if before else quote)
        if pieces:
            return end
    match = _STRING.match(text, quote)
    return match.end() if match else 0


def _argument(text: str, start: int, end: int) -> Argument | None:
    after = text[start - 1 : start]
    keyword = _KEYWORD.match(text, start, end)
    name = ""
    if keyword:
        name, start = keyword[1] or "", keyword.end()
    if start >= end:
        return None
    string = None if _RAW_OF_CPP.match(text, start, end) else _ONLY_STRING.match(text, start, end)
    if string:
        return Argument(name, start, end, (string.span("text"),), after)
    pieces, end_of_string = read_string(text, start)
    is_only = end_of_string <= end and _END_OF_STRING.match(text, end_of_string, end)
    return Argument(name, start, end, pieces if is_only else (), after)


def positional(arguments: list[Argument]) -> list[Argument]:
    """Return the arguments without a keyword."""
    return [argument for argument in arguments if not argument.keyword]


def without_new_line(text: str, string: Pieces) -> Pieces:
    r"""Return the places of a string without the escape `\n` at its end, which stands for the key Enter."""
    start, end = string[-1]
    found = re.search(_NEW_LINE + r"\Z", text[start:end])
    return (*string[:-1], (start, start + found.start() if found else end))
