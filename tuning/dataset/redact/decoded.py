"""Decode the escapes of HTML, strings and URLs in a text, and find the places of the decoded text in the original."""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from functools import cached_property
from html import unescape

_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
# The signs of ASCII, and no letters or digits: `C:\Users\x41` stays a path. The code of each is two hex digits.
_SIGNS = "2[1-9a-fA-F]|3[a-fA-F]|40|5[b-eB-E]|60|7[b-eB-E]"
_SIGNS_OF_URL = "2[0267cCfF]|3[aAc-eC-E]|[57][bdBD]"  # blanks, quotes and what is around names and values
_NAMES = {"quot": '"', "apos": "'", "lt": "<", "gt": ">", "amp": "&"}
# `\u0022`, `\x22`, `\u{22}`, `\U00000022` and `\042` in strings, with more backslashes in strings within strings, and
# `%22` in URLs.
_ESCAPE = re.compile(
    # An entity in a text that is not HTML, also of an escaped ampersand, as in `&amp;quot;` and `\u0026quot;`.
    rf"(?:&|\\+(?:u00|x)26)(?:amp;|#38;|#x26;){{0,9}}+(?:(?P<name>{'|'.join(_NAMES)})"
    rf"|#(?:[xX](?P<hex>{_SIGNS})|(?P<decimal>\d{{2,3}})));"
    rf"|\\+(?:u00|x|u\{{(?:00)?|U000000)(?P<code>{_SIGNS})\}}?|\\+0(?P<octal>4[27])"
    r"|\\+N\{(?P<quote>QUOTATION MARK|APOSTROPHE)\}"
    rf"|%(?:25)*+(?P<of_url>{_SIGNS_OF_URL})|(?<=%3[aA])(?P<blank_of_url>\+)"
)
# Where one of these is in a text, in RE2's syntax.
SIGN_OF_ESCAPE = (
    rf"\\(?:u00|x|u\{{(?:00)?|U000000)(?:{_SIGNS})|\\04[27]|\\N\{{[QA]"
    r"|&(?:quot|apos|lt|gt|amp|#(?:3[49]|38|60|62|[xX]2[267]|[xX]3[ceCE]));"
    r"|(?i:pass|passw(?:or)?d|pwd|pw)%(?:25)*(?:2[27]|3[adeADE])"  # in a URL
)


class Decoded:
    """Hold a decoded text, and find places of it in the original."""

    def __init__(self, original: str, pattern: re.Pattern[str], meaning: Callable[[re.Match[str]], str]) -> None:
        self._original, self._pattern, self._meaning = original, pattern, meaning
        self.text = pattern.sub(meaning, original)

    @cached_property
    def _pieces(self) -> list[tuple[int, int, int, int]]:
        """Return for each decoded piece its start and end in the text, and its start and end in the original."""
        pieces, shift = [], 0
        for match in self._pattern.finditer(self._original):
            start = match.start() + shift
            end = start + len(self._meaning(match))
            pieces.append((start, end, *match.span()))
            shift = end - match.end()
        return pieces

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Return the place in the original. A place that begins or ends within a decoded piece leaves the piece out."""
        number = bisect_right(self._pieces, (start, len(self.text))) - 1
        if number >= 0:
            first, last, first_of_original, last_of_original = self._pieces[number]
            start = first_of_original if start == first else last_of_original + max(0, start - last)
        number = bisect_left(self._pieces, (end,)) - 1
        if number >= 0:
            _, last, first_of_original, last_of_original = self._pieces[number]
            end = last_of_original + end - last if end >= last else first_of_original
        return start, end


def without_entities(body: str) -> Decoded:
    """Return the text of an HTML body with its entities decoded."""
    return Decoded(body, _ENTITY, _character)


def without_escapes(text: str) -> Decoded:
    r"""Return a text with its escaped signs decoded. A quote gets a backslash, so that it ends no string: `\"`."""
    return Decoded(text, _ESCAPE, _sign)


_COMMON = {"&lt;": "<", "&gt;": ">", "&amp;": "&", "&quot;": '"', "&#39;": "'"}


def _character(match: re.Match[str]) -> str:
    return _COMMON.get(match[0]) or unescape(match[0])


def _sign(match: re.Match[str]) -> str:
    if match["name"]:
        sign = _NAMES[match["name"]]
    elif match["quote"]:
        sign = '"' if match["quote"] == "QUOTATION MARK" else "'"
    elif match["decimal"]:
        sign = chr(int(match["decimal"]))
        if not sign.isascii() or sign.isalnum() or not sign.isprintable():
            return match[0]
    elif match["blank_of_url"]:
        return " "
    else:
        code = match["code"] or match["hex"] or match["of_url"]
        sign = chr(int(match["octal"], 8) if match["octal"] else int(code, 16))
    if sign not in "\"'`\\":
        return sign
    return f"\\\\\\{sign}" if match[0].startswith("\\\\") else f"\\{sign}"  # in a string within a string
