"""Convert docstrings to the HTML of Stack Overflow posts: paragraphs, lists and code blocks. All text is escaped."""

import html
import itertools
import re
import textwrap
from collections.abc import Iterator

_CODE_SPAN = re.compile(r"``(.+?)``|`([^`]+?)'|`([^`]+?)`")
_EMPHASIS = re.compile(r"(?<![\w*])\*(\w+)\*(?![\w*])")
_BULLET = re.compile(r"\s*[-*•] +")


def to_html(doc: str) -> str:
    """Convert a cleaned docstring. Doctests and indented text become code blocks, ``names`` become inline code."""
    return "".join(_block_html(lines) for lines in _blocks(doc))


def pre(text: str) -> str:
    """Return the text as an HTML code block."""
    return f"<pre><code>{_escape(text)}\n</code></pre>\n"


def code(text: str) -> str:
    """Return the text as HTML inline code."""
    return f"<code>{_escape(text)}</code>"


def inline(text: str) -> str:
    """Convert the text of a paragraph: marked names become ``<code>``, emphasis becomes ``<em>``."""
    parts = []
    end = 0
    for match in _CODE_SPAN.finditer(text):
        parts += [_prose(text[end : match.start()]), code(next(filter(None, match.groups())))]
        end = match.end()
    return "".join([*parts, _prose(text[end:])])


def plain(text: str) -> str:
    """Return the text of a paragraph on one line, without markup."""
    text = _CODE_SPAN.sub(lambda match: next(filter(None, match.groups())), text)
    return " ".join(_EMPHASIS.sub(r"\1", text).split())


def _prose(text: str) -> str:
    return _EMPHASIS.sub(r"<em>\1</em>", _escape(text))


def _escape(text: str) -> str:
    return html.escape(text, quote=False)


def _blocks(doc: str) -> Iterator[list[str]]:
    """Split at blank lines. Code blocks with only a blank line between them become one block."""
    block: list[str] = []
    groups = itertools.groupby(doc.expandtabs(4).splitlines(), key=lambda line: bool(line.strip()))
    for lines in (list(group) for filled, group in groups if filled):
        for part in _split_at_prompt(lines):
            if block and _is_code(block) and _is_code(part):
                block += ["", *part]
            else:
                if block:
                    yield block
                block = part
    if block:
        yield block


def _split_at_prompt(lines: list[str]) -> list[list[str]]:
    """Split a paragraph from the doctest or the indented lines that follow it directly."""
    if _is_definitions(lines):
        return [[f"  {line}" for line in lines]]
    if not _is_code(lines) and not _BULLET.match(lines[0]):
        for number, line in enumerate(lines[1:], 1):
            if line.startswith("  ") or line.lstrip().startswith(">>> "):
                return [lines[:number], lines[number:]]
    return [lines]


def _is_definitions(lines: list[str]) -> bool:
    """Return whether this is a list of names, each with an indented description. Only a code block keeps its layout."""
    indented = [line.startswith("  ") for line in lines]
    return not indented[0] and indented[-1] and indented[1:].count(False) > 0


def _is_code(lines: list[str]) -> bool:
    first = lines[0]
    return first.lstrip().startswith(">>> ") or (first.startswith("  ") and not _BULLET.match(first))


def _block_html(lines: list[str]) -> str:
    if _is_code(lines):
        return pre(textwrap.dedent("\n".join(lines)))
    if _BULLET.match(lines[0]):
        items = "".join(f"<li>{inline(item)}</li>\n" for item in _items(lines))
        return f"<ul>\n{items}</ul>\n"
    text = " ".join(" ".join(lines).split())
    return f"<p>{inline(text.removesuffix(':') if text.endswith('::') else text)}</p>\n"


def _items(lines: list[str]) -> list[str]:
    items: list[str] = []
    for line in lines:
        if _BULLET.match(line):
            items.append(_BULLET.sub("", line, count=1).strip())
        else:
            items[-1] += f" {line.strip()}"
    return items
