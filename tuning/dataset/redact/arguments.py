"""Read the arguments of a call in text that need not be valid Python."""

import re
from typing import NamedTuple

from tuning.dataset.redact.strings import PREFIX

Span = tuple[int, int]


class Argument(NamedTuple):
    """Represent an argument of a call or an item of a list, with its places in the text."""

    keyword: str  # "" for a positional argument
    start: int
    end: int
    string: Span | None  # the text between the quotes, if the argument is a string
    after: str  # the character before the argument: a bracket or a separator


_STRING = re.compile(
    rf"{PREFIX}?(?P<quote>\"\"\"|'''|[\"'])"
    r"(?P<text>(?:(?!(?P=quote))[^\\\n]|\\[^\n]|(?P=quote){2}){0,400})(?P=quote)"
)
_KEY_AFTER = (
    r"\s{0,3}\+\s{0,3}(?:Keys\.\w{1,20}|b?[\"']\\[rn][\\rn]{0,2}[\"'])"  # as in `"…" + Keys.ENTER`, `"…" + "\n"`
)
_ONLY_STRING = re.compile(rf"{_STRING.pattern}(?:\.encode\([^()\n]{{0,20}}\))?(?:{_KEY_AFTER})?\s*\Z")
_KEYWORD = re.compile(r"\s*(?:([A-Za-z_]\w{0,40})\s{0,3}=(?!=)\s*)?")
_OTHER = re.compile(r"[^\"'()\[\]{},:]+")
_NEW_LINE = r"(?:\\r)?\\n"


def read_arguments(text: str, start: int, separators: str = ",", limit: int = 600) -> list[Argument]:
    """Return the arguments of the call, or the items of the list, whose bracket opens just before `start`.

    Reads at most `limit` characters. A call that does not end there has the arguments that do.
    """
    arguments = []
    depth, place, first, stop = 0, start, start, min(len(text), start + limit)
    while place < stop:
        character = text[place]
        if character in "\"'" and (string := _STRING.match(text, place)):
            place = string.end()
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


def _argument(text: str, start: int, end: int) -> Argument | None:
    after = text[start - 1 : start]
    keyword = _KEYWORD.match(text, start, end)
    name = ""
    if keyword:
        name, start = keyword[1] or "", keyword.end()
    if start >= end:
        return None
    string = _ONLY_STRING.match(text, start, end)
    return Argument(name, start, end, string.span("text") if string else None, after)


def positional(arguments: list[Argument]) -> list[Argument]:
    """Return the arguments without a keyword."""
    return [argument for argument in arguments if not argument.keyword]


def without_new_line(text: str, string: Span) -> Span:
    r"""Return the place of a string without the escape `\n` at its end, which stands for the key Enter."""
    start, end = string
    found = re.search(_NEW_LINE + r"\Z", text[start:end])
    return start, start + found.start() if found else end
