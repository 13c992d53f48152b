"""Split a text into the words by which texts are compared.

In prose, a word is a match of ``\\w+`` in the lower-cased text, so punctuation makes no difference. In code, a word
also has the operators and brackets that follow it, without white space. For example, ``total -= items[:-1]`` has the
words ``total-=``, ``items[:-`` and ``1]``. Operators at the beginning of code are a word of their own. In scripts that
are written without spaces, such as Chinese, Japanese and Thai, each character is a word.

Code is what is between two runs of equally many backticks (Markdown), or in ``<pre>`` and ``<code>`` (HTML).
"""

import functools
import html
import re
import unicodedata

import numpy as np
import numpy.typing as npt

# Kinds of characters. A syllable is a character of Chinese or Japanese, a letter one of Thai, Lao, Tibetan, Burmese or
# Khmer. Vowel signs of the latter are letters too, although ``\w`` does not match them.
SPACE, OPERATOR, WORD, SYLLABLE, LETTER = range(5)
_SYLLABLES = (
    "\u3005-\u3007\u3021-\u3029\u3031-\u3035\u3038-\u303c\u3041-\u309a\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff"
    "\u3105-\u312f\u31a0-\u31bf\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f"
    "\U0001b000-\U0001b16f\U00020000-\U0003ffff"
)
_LETTERS = "\u0e01-\u0e3a\u0e40-\u0e4e\u0e81-\u0ece\u0edc-\u0edf\u0f40-\u0fbc\u1000-\u103f\u1050-\u109f\u1780-\u17d3"
_PIECES = re.compile(
    rf"([{_SYLLABLES}])|([{_LETTERS}])|([^\W{_SYLLABLES}{_LETTERS}]+)|([^\w\s{_SYLLABLES}{_LETTERS}]+)"
)
_WORD = re.compile(r"\w+")
_KINDS = (SPACE, SYLLABLE, LETTER, WORD, OPERATOR)  # by number of the group in `_PIECES`
_END_TAG, _TAG, FENCE = -1, 0, 3  # marks; a larger number is one of backticks
_BACKTICKS = re.compile("``*")  # twice as fast as "`+"
_BORDER = re.compile(r"`+|</(?:pre|code)>|<(?:pre|code)\b[^<>]*>(?:\s*<code\b[^<>]*>)?")

# A string literal, or an escaped character outside of one. A single quote after a letter is an apostrophe, unless the
# letters are a prefix. The groups `*+` never give back a character, so that a search takes linear time.
_STRING = re.compile(
    r"""\\[\s\S]|\"{3}(?:[^"\\]|\\[\s\S]|"(?!""))*+\"{3}|"(?:[^"\\\n]|\\[\s\S])*+\""""
    r"""|(?:(?<!\w)|(?<=\b[brufBRUF])|(?<=\b[brufBRUF]{2}))"""
    r"""(?:'{3}(?:[^'\\]|\\[\s\S]|'(?!''))*+'{3}|'(?:[^'\\\n]|\\[\s\S])*+')"""
)
# Marks of Markdown and HTML that are no signs: of lists, quotes and headings, tags, and a backslash before punctuation.
_MARKUP = re.compile(r"(?m)^[ \t]*(?:[-*+>#]+[ \t]+)+|</?[a-zA-Z][^<>]*>|\\(?![a-zA-Z])")
# An operator or another sign that changes the meaning of prose. A minus is one only before a number or a TeX command.
_SIGN = re.compile(r"[+<>=^~%&#@$\\/|]|(?<=\w)\*(?=\w)|-(?= ?[\d\\])|[^\x00-\x7f\w\s]")
_IN_LITERAL = str.maketrans({" ": "\1", "\t": "\2", "\n": "\3", "\r": "\4", '"': "\5"})
_NEEDLESS = re.compile(r"(?<!\w) | (?!\w)")


def words(text: str, see_code: bool = True) -> list[tuple[str, int]]:
    """Return the words of the text in order, each with its kind: WORD, SYLLABLE, LETTER or OPERATOR.

    With `see_code` False, code is read like prose.
    """
    text = comparable(text)
    end, found = 0, []
    for begin, next_end in code_spans(text) if see_code else []:
        found += _words(text[end:begin], False) + _words(text[begin:next_end], True)
        end = next_end
    return found + _words(text[end:], False)


def comparable(text: str) -> str:
    """Return the text in lower case and in the Unicode form NFC, in which a letter and its accent are one character."""
    text = text.lower()
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def code_of(text: str) -> str:
    """Return the code in the text, so that texts with equal code have the same result.

    White space counts in string literals, between words, and at the beginning of a line, where it is compared with that
    of the other lines. The kind of the quotes does not count.
    """
    text = text if text.isascii() else unicodedata.normalize("NFC", text)
    return "\0".join(_layout(text[begin:end]) for begin, end in code_spans(text))


def exact_part(text: str) -> tuple[str, str]:
    """Return what is the same in near duplicates: the code and the signs outside code."""
    return code_of(text), signs_of(text)


def signs_of(text: str) -> str:
    """Return the signs outside code, so that prose which differs in an operator, such as C++ and C#, can be told apart.

    Signs are operators, currency signs and pictures. Other punctuation, and the marks of lists, quotes and headings do
    not count.
    """
    end, prose = 0, []
    for begin, next_end in code_spans(text):
        prose.append(text[end:begin])
        end = next_end
    prose.append(text[end:])
    bare = html.unescape(_MARKUP.sub("", " ".join(prose)))
    return "".join(sign for sign in _SIGN.findall(bare) if sign.isascii() or unicodedata.category(sign)[0] == "S")


def _layout(code: str) -> str:
    if '"' in code or "'" in code:
        code = _STRING.sub(_literal, code).replace('"', "'")
    lines = [line for line in code.expandtabs().splitlines() if line and not line.isspace()]
    indents = [len(line) - len(line.lstrip()) for line in lines]
    least = min(indents, default=0)
    joined = "\n".join(
        "\t" * (indent - least) + " ".join(line.split()) for indent, line in zip(indents, lines, strict=True)
    )
    return _NEEDLESS.sub("", joined)


def _literal(match: re.Match[str]) -> str:
    """Return a string literal whose text has no white space and no double quotes, which `_layout` would change."""
    text = match[0]
    if text[0] == "\\":
        return text
    edge = 3 if text[:3] in ('"""', "'''") and len(text) >= 6 else 1
    return f"'{text[edge:-edge].translate(_IN_LITERAL)}'"


def _words(text: str, is_code: bool) -> list[tuple[str, int]]:
    if not is_code and text.isascii():
        return [(word, WORD) for word in _WORD.findall(text)]  # the same, faster
    found: list[tuple[str, int]] = []
    for piece in _PIECES.finditer(text):
        kind = _KINDS[piece.lastindex or 0]
        if kind != OPERATOR:
            found.append((piece.group(), kind))
        elif is_code:
            word, last_kind = found.pop() if found else ("", OPERATOR)
            found.append((word + piece.group().replace('"', "'"), last_kind))
    return found


def code_spans(text: str) -> list[tuple[int, int]]:
    """Return where code begins and ends in a lower-cased text, in order. The first line of a fence is not code.

    Takes time in proportion to the length of the text.
    """
    borders = _borders(text)
    later: list[int] = []
    spans, at = [], 0
    while at < len(borders) - 1:
        (mark, start, begin), close = borders[at], at + 1
        if borders[close][0] != (_END_TAG if mark == _TAG else mark):
            later = later or _next_alike(borders)
            close = later[at]
        at += 1
        if close and mark != _END_TAG and text[start - 1 : start] != "\\":
            end, at = borders[close][1], close + 1
            if mark >= FENCE:
                begin = text.find("\n", begin, end) + 1 or begin
            if begin < end:
                spans.append((begin, end))
    return spans


def _borders(text: str) -> list[tuple[int, int, int]]:
    """Return the mark, begin and end of all that can be a border of code. A mark is a number of backticks, or a tag."""
    if not may_have_tags(text):
        return [(end - begin, begin, end) for begin, end in [one.span() for one in _BACKTICKS.finditer(text)]]
    return [
        (end - begin if text[begin] == "`" else _END_TAG if text[begin + 1] == "/" else _TAG, begin, end)
        for begin, end in [one.span() for one in _BORDER.finditer(text)]
    ]


def may_have_tags(text: str) -> bool:
    """Return whether a lower-cased text may have tags of code."""
    return "<" in text and ("<pre" in text or "<code" in text)


def _next_alike(borders: list[tuple[int, int, int]]) -> list[int]:
    """Return for each border the place of the next that would end code begun there, or 0 if there is none."""
    next_with: dict[int, int] = {}
    places = [0] * len(borders)
    for at in range(len(borders) - 1, -1, -1):
        mark = borders[at][0]
        places[at] = next_with.get(_END_TAG if mark == _TAG else mark, 0)
        next_with[mark] = at
    return places


def kinds_of(codes: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint8]:
    """Return the kind of each code point. Python looks up bytes in a table faster than numpy."""
    table = _kinds()
    low = bytearray(np.minimum(codes, 255).astype(np.uint8)).translate(table[:256].tobytes())
    kinds = np.frombuffer(low, dtype=np.uint8)
    high = np.flatnonzero(codes > 255)
    kinds[high] = table[codes[high]]
    return kinds


@functools.cache
def _kinds() -> npt.NDArray[np.uint8]:
    """Return an array with the kind of each code point."""
    table = np.full(0x110000, OPERATOR, dtype=np.uint8)
    table[:0x40000] = SYLLABLE  # from 0x20000 on; the pattern tells the rest
    table[:0x20000] = SPACE
    for piece in re.finditer(_PIECES.pattern.replace("])|", "]+)|"), "".join(map(chr, range(0x20000)))):
        table[piece.start() : piece.end()] = _KINDS[piece.lastindex or 0]
    return table
