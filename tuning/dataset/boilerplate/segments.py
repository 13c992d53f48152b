"""Divide the HTML of a post into runs of inline content, and mask their tags so that texts can be compared."""

import re
from collections.abc import Iterator
from typing import NamedTuple

# Characters that stand for tags in a masked text. The first two are white space for a regular expression (`\s`).
TRANSPARENT, LINE_BREAK, OPAQUE = "\x1f", "\x1e", "\x02"
BLOCK = re.compile(r"<(/?)(pre|p|div|li|ul|ol|blockquote|h[1-6r]|table|thead|tbody|tfoot|tr|td|th|dl|dt|dd)\b[^<>]*>")
_TAG = re.compile(r"<(/?)([A-Za-z][A-Za-z0-9]*)\b[^<>]*>")
_EMPHASIS = frozenset({"em", "strong", "b", "i", "del"})
_CELLS = frozenset({"td", "th", "dt", "dd"})


class Segment(NamedTuple):
    """Represent the inline content of one block, without code blocks and cells of tables.

    `start` and `end` are places in the HTML. `outer_start` and `outer_end` are those of the whole element, or equal to
    `start` and `end` where the content is not all of an element.
    """

    tag: str  # of the element, or '' where the content is not all of an element
    start: int
    end: int
    outer_start: int
    outer_end: int


def segments(html: str, start: int, end: int) -> Iterator[Segment]:
    """Yield the runs of inline content that are not empty between two places outside elements, in order."""
    opening, code = None, False
    for tag in BLOCK.finditer(html, start, end):
        name, is_end = tag[2], tag[1] == "/"
        if code and not (name == "pre" and is_end):
            continue
        if not code and not (opening and opening[2] in _CELLS) and not html[start : tag.start()].isspace():
            if start == tag.start():
                pass
            elif opening and is_end and opening[2] == name:
                yield Segment(name, start, tag.start(), opening.start(), tag.end())
            else:
                yield Segment("", start, tag.start(), start, tag.start())
        code = name == "pre" and not is_end
        opening = None if is_end else tag
        start = tag.end()
    if not code and html[start:end].strip():
        yield Segment("", start, end, start, end)


def tags(html: str, start: int, end: int) -> list[re.Match[str]]:
    """Return the tags between two places."""
    return list(_TAG.finditer(html, start, end))


def masked(text: str) -> str:
    """Return inline HTML with its tags masked, in the same length.

    Emphasis becomes TRANSPARENT, `<br>` LINE_BREAK, and everything else, such as code with its text, OPAQUE.
    """
    if "<" not in text:
        return text
    pieces = []
    end, until = 0, ""  # `until` is the name of the opaque element whose end is searched
    for tag in _TAG.finditer(text):
        name, is_end, length = tag[2].lower(), tag[1] == "/", len(tag[0])
        pieces.append(OPAQUE * (tag.start() - end) if until else text[end : tag.start()])
        end = tag.end()
        if until:
            until = "" if is_end and name == until else until
            pieces.append(OPAQUE * length)
        elif name in _EMPHASIS:
            pieces.append(TRANSPARENT * length)
        elif name == "br":
            pieces.append(LINE_BREAK * length)
        else:
            until = name if name in ("code", "a") and not is_end else ""
            pieces.append(OPAQUE * length)
    pieces.append(OPAQUE * (len(text) - end) if until else text[end:])
    return "".join(pieces)
