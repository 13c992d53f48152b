"""Find code, blocks and inline tags in the HTML of posts. Every search takes time linear in the length of the text."""

import re
from collections.abc import Iterator

INLINE_TAG = re.compile(r"</?[A-Za-z][^<>]*>")
_BOUNDARY = re.compile(
    r"<(/?)(pre|code|p|div|li|ul|ol|blockquote|h[1-6r]|table|thead|tbody|tfoot|tr|td|th|dl|dt|dd)\b[^<>]*>",
    re.IGNORECASE,
)


def outside_code(html: str) -> Iterator[tuple[str, bool]]:
    """Yield the HTML in pieces. True marks the inline content of a block, without code and without tags of blocks.

    Code that is not closed extends to the end of the text.
    """
    end, code = 0, ""
    for match in _BOUNDARY.finditer(html):
        name = match[2].lower()
        if code:
            if not (match[1] and name == code):
                continue
            code = ""
            yield html[end : match.end()], False
        else:
            yield html[end : match.start()], True
            if not match[1] and name in ("pre", "code"):
                code, end = name, match.start()
                continue
            yield match[0], False
        end = match.end()
    yield html[end:], not code
