"""Replace characters in code that look like a space, or like nothing, and that Python does not read.

They come from copying code from web pages, and make it a SyntaxError. Between letters of other scripts, the invisible
characters that control joining and direction belong to the text of a string, and they stay. So do all characters in a
string of a program that has no words, such as `'\\xa0'` or `'[\\u200b\\ufeff]+'`: it is about these characters.
"""

import re
import unicodedata
from collections import Counter

from tuning.dataset.markdown.spans import outside_code

_ODD = re.compile("[\x85\xa0\xad\u1680\u180e\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff]")
# A string on one line, one without words (symbols and escapes only), and what is searched in code. All strings are
# found, so that the end of one is not taken for the start of another.
_STRING = re.compile(r'(?P<quote>"|\'|&quot;|&\#39;)(?P<text>(?:\\[^\n<]|(?!(?P=quote))[^\\\n<]){0,1000})(?P=quote)')
_WITHOUT_WORDS = re.compile(r"(?:\\(?:x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|[^\n<])|&\w+;|[^\w<\\])+")
_ODD_OR_TAG = re.compile(f"<[^<>]*>|\\\\[\"']|{_STRING.pattern}|{_ODD.pattern}")
_JOINERS = frozenset("\u200c\u200d")
_DIRECTIONS = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_LINE_SEPARATORS = frozenset("\x85\u2028\u2029")
_NO_BREAK_SPACES = frozenset("\xa0\u2007\u202f")
_SPACES = frozenset("\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2008\u2009\u200a\u205f\u3000")


def with_readable_code(html: str, changes: Counter[str]) -> str:
    """Return the HTML with code that Python reads. Each replaced character is counted in `changes` by its kind."""
    if html.isascii() or not _ODD.search(html):
        return html

    def readable(match: re.Match[str]) -> str:
        if match[0][0] in "<\\" or (match["quote"] and _WITHOUT_WORDS.fullmatch(match["text"])):
            return match[0]
        if match["quote"]:
            return match["quote"] + _ODD.sub(replaced, match["text"]) + match["quote"]
        return replaced(match)

    def replaced(match: re.Match[str]) -> str:
        character = match[0]
        if _is_part_of_word(match.string, match.start()):
            return character
        if character in _NO_BREAK_SPACES:
            changes["replaced non-breaking space"] += 1
            return " "
        if character in _SPACES:
            changes["replaced Unicode space"] += 1
            return " "
        if character in _LINE_SEPARATORS:
            changes["replaced line separator"] += 1
            return "\n"
        kind = "byte-order mark" if character == "\ufeff" else "zero-width character"
        changes[f"removed {kind}"] += 1
        return ""

    return "".join(
        text if is_prose or text[:2] == "</" or not _ODD.search(text) else _ODD_OR_TAG.sub(readable, text)
        for text, is_prose in outside_code(html)
    )


def _is_part_of_word(text: str, at: int) -> bool:
    """Return whether the character is a joiner or direction mark next to letters that are not ASCII, or an ideographic
    space between them."""
    around = [_is_foreign(text[at - 1 : at]), _is_foreign(text[at + 1 : at + 2])]
    if text[at] in _DIRECTIONS:
        return any(around)
    return all(around) and (text[at] in _JOINERS or text[at] == "\u3000")


def _is_foreign(character: str) -> bool:
    return bool(character) and not character.isascii() and unicodedata.category(character)[0] in "LMS"
