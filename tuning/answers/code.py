"""Find the code in an answer: fenced or indented Markdown blocks, or ``<pre>`` elements of an HTML answer."""

import ast
import doctest
import functools
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

PYTHON = frozenset({"", "py", "python", "python2", "python3", "py3", "ipython", "pycon"})


@dataclass(frozen=True)
class CodeBlock:
    """Hold one block of code."""

    text: str
    language: str  # from the info string of a fence, in lower case; "" if there is none
    fenced: bool
    closed: bool = True  # False for a fence that has no closing line, so that it ends with the answer


def code_blocks(answer: str) -> list[CodeBlock]:
    """Return all blocks of code in the answer, in order."""
    if "<pre" in answer and "```" not in answer:
        return _html_blocks(answer)
    return [
        CodeBlock(
            token.content,
            token.info.split(" ")[0].strip().lower(),
            fenced=token.type == "fence",
            closed=token.type != "fence" or _is_closed(token),
        )
        for token in _parser().parse(answer)
        if token.type in ("fence", "code_block")
    ]


def _is_closed(fence: "Token") -> bool:
    """Return whether the fence has a closing line: then it has two lines more than its content."""
    first, end = fence.map or (0, 0)
    lines = fence.content.removesuffix("\n").split("\n") if fence.content else []
    return end - first == len(lines) + 2


def python_blocks(answer: str) -> list[CodeBlock]:
    """Return the fenced blocks whose language is Python or not specified."""
    return [block for block in code_blocks(answer) if block.fenced and block.language in PYTHON]


def program(answer: str) -> str:
    """Return the code of all Python blocks that parse, joined into one program, or "" if there is none.

    Of a session with ``>>>`` prompts, only the input is part of the program.
    """
    return "\n".join(_inputs(answer))


def runnable(answer: str) -> str:
    """Return the program of the answer without blocks that parse but do not compile.

    A block with a ``return`` outside of a function, for example, would keep all others from running. If no block
    compiles, this is the whole program, so that running it tells the reason.
    """
    return "\n".join(filter(_compiles, _inputs(answer))) or program(answer)


def _inputs(answer: str) -> list[str]:
    inputs = (_input_of(block.text) for block in python_blocks(answer))
    return [code for code in inputs if code.strip()]


def parses(code: str) -> bool:
    """Return whether `code` is valid Python. Of a session with ``>>>`` prompts, only the input is checked."""
    return _is_python(code) or bool(_input_of(code))


def _input_of(code: str) -> str:
    """Return `code` if it is valid Python, else the input of its ``>>>`` session, or "" if that is not valid either."""
    if _is_python(code):
        return code
    try:
        lines = "".join(example.source for example in doctest.DocTestParser().get_examples(code))
    except ValueError:  # a malformed session, for example one with inconsistent indentation
        return ""
    return lines if _is_python(lines) else ""


def _is_python(code: str) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # no warnings about invalid escapes in answers
            ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # the last two occur if the nesting is too deep
        return False
    return True


def _compiles(code: str) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(code, "<answer>", "exec")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
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
