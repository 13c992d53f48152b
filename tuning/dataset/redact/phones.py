"""Find phone numbers in prose, in the international form and in that of the United States."""

import re
from bisect import bisect_right
from collections.abc import Iterator

from tuning.dataset.redact.code import code_spans
from tuning.dataset.redact.hints import Hints

Span = tuple[int, int]

_INTERNATIONAL = re.compile(
    r"\+(?<![\w.+/=*^%-]\+)(?<!\d \+)(?:\(\d{1,3}\)|[1-9]\d{0,2}\)?)(?:[ .-]{0,2}\(\d{1,5}\))?"
    r"(?:[ .-]{0,2}\d){6,13}(?![\w%*]|[.,]\d)"
)
# Area codes and exchanges begin with 2 to 9.
_US = re.compile(
    r"(?<![\w.+/=*^#-])(?<!\d )(?:1[-. ])?(?:\([2-9]\d\d\)[-. ]?|(?![2-7]00)[2-9]\d\d(?P<separator>[-.]))[2-9]\d\d"
    r"(?(separator)(?P=separator)|[-. ])\d{4}(?![\w-]|[.,]\d)"
)
_WITH_WORD = re.compile(
    r"(?i)\b(?:(?:tele|cell)?phone|tel|mobile|whats-?app|cell|fax|call me|text me)\b[^\w\n]{0,4}"
    r"(?:(?:number|no|nr|at|on|is|me)\b[^\w\n]{1,3}){0,3}(?P<number>\(?\d(?:[ .()/-]{0,2}\d){7,12})(?![\w-]|[.,]\d)"
)
# Numbers with dots after one of these words are versions.
_OF_VERSION = re.compile(
    r"(?i)(?:version|release|build|revision|firmware|driver|upgrade|update|downgrade|\bv(?:er)?\b)[^\n]{0,40}\Z"
)
_WORDS = ("phone", "mobile", "whats", "call me", "text me", "tel:", "tel.", "fax")


def phone_numbers(text: str, lower: str, hints: Hints) -> Iterator[Span]:
    """Yield the places of phone numbers outside of code. Skips made-up numbers such as 1234567890.

    `lower` is the text in lower case.
    """
    found = [match.span() for match in _INTERNATIONAL.finditer(text)] if "international phone" in hints else []
    if "US phone" in hints:
        found += [match.span() for match in _US.finditer(text)]
    if "digits of a phone" in hints and any(word in lower for word in _WORDS):
        found += [match.span("number") for match in _WITH_WORD.finditer(text)]
    found = [(start, end) for start, end in found if _is_number(text[start:end]) and not _is_version(text, start, end)]
    code = code_spans(text) if found else []
    for start, end in found:
        block = bisect_right(code, (start, len(text))) - 1
        if block < 0 or code[block][1] <= start:
            yield start, end


def _is_version(text: str, start: int, end: int) -> bool:
    return "." in text[start:end] and _OF_VERSION.search(text, max(0, start - 60), start) is not None


def _is_number(text: str) -> bool:
    digits = "".join(filter(str.isdigit, text))
    is_made_up = any(one in digits for one in ("1234567890", "0123456789", "0000000")) or len(set(digits)) < 4
    shortest = 8 if len(text) > len(digits) + 1 else 9
    return shortest <= len(digits) <= 15 and not is_made_up
