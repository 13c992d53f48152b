"""Render answers and examples: code in colors, and lines that another answer does not have marked."""

from difflib import SequenceMatcher
from typing import Any

from markupsafe import Markup
from pygments import highlight  # type: ignore[import-untyped]
from pygments.formatters import HtmlFormatter  # type: ignore[import-untyped]
from pygments.lexers import MarkdownLexer, PythonLexer  # type: ignore[import-untyped]

_PYTHON = frozenset({"python", "py", "python3", "pycon", ""})


def as_code(text: str, other: str | None = None) -> Markup:
    """Return a Markdown text as it is, with the code in it in colors. Lines that `other` does not have are marked."""
    marked = [] if other is None else _only_here(text.split("\n"), other.split("\n"))
    formatter = HtmlFormatter(cssclass="code", hl_lines=marked)
    return Markup(highlight(text, MarkdownLexer(stripnl=False), formatter))  # noqa: S704 - Pygments escapes the text


def in_color(code: str, language: str, _: Any = None) -> str:
    """Return Python code as HTML in colors, and "" for another language, which markdown-it then renders itself."""
    if language not in _PYTHON:
        return ""
    return str(highlight(code, PythonLexer(stripnl=False), HtmlFormatter(nowrap=True)))


def _only_here(lines: list[str], other: list[str]) -> list[int]:
    """Return the numbers, from 1, of the lines that differ from `other`."""
    matcher = SequenceMatcher(None, other, lines, autojunk=False)
    changed = (range(start, end) for kind, _, _, start, end in matcher.get_opcodes() if kind in ("insert", "replace"))
    return [number + 1 for numbers in changed for number in numbers]
