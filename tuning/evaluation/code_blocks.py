"""The code in an answer: fenced or indented Markdown blocks, or ``<pre>`` of an HTML answer."""

import ast
import doctest
import functools
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

PYTHON = frozenset({"", "py", "python", "python3", "pycon"})


@dataclass(frozen=True)
class CodeBlock:
    text: str
    language: str  # of a fence's info string, lower case; "" where it names none
    fenced: bool


def code_blocks(answer: str) -> list[CodeBlock]:
    """Every block of code in order."""
    if "<pre" in answer and "```" not in answer:
        return _html_blocks(answer)
    return [
        CodeBlock(token.content, token.info.split(" ")[0].strip().lower(), token.type == "fence")
        for token in _parser().parse(answer)
        if token.type in ("fence", "code_block")
    ]


def python_blocks(answer: str) -> list[CodeBlock]:
    """The fenced blocks that are Python or do not say what they are."""
    return [block for block in code_blocks(answer) if block.fenced and block.language in PYTHON]


def parses(code: str) -> bool:
    """Whether `code` is Python's grammar; a session with ``>>>`` prompts is judged by what was typed at them."""
    try:
        if any(line.lstrip().startswith(">>>") for line in code.splitlines()):
            code = "".join(example.source for example in doctest.DocTestParser().get_examples(code))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an invalid escape in an answer is the answer's business
            ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # the last two: nesting too deep for the parser
        return False
    return True


@functools.cache
def _parser() -> "MarkdownIt":
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark")


def _html_blocks(answer: str) -> list[CodeBlock]:
    from lxml import html

    return [
        CodeBlock(str(block.text_content()), "", fenced=True)
        for block in html.fromstring(f"<div>{answer}</div>").iter("pre")
    ]
