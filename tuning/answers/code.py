"""Find the code in an answer."""

import ast
import re
import textwrap

_FENCE = re.compile(
    r"^[ \t]*(`{3,}|~{3,})[ \t]*([\w+#.-]*)[^\n]*\n(.*?)(?:^[ \t]*\1[ \t]*$|\Z)", re.MULTILINE | re.DOTALL
)
_PYTHON = frozenset({"", "python", "py", "python3", "py3", "ipython", "pycon"})
_PROMPT = re.compile(r"^(>>>|\.\.\.) ?", re.MULTILINE)


def code_blocks(answer: str) -> list[str]:
    """Return the Python code blocks of a Markdown answer, in order.

    A block counts as Python if its fence names Python, or names no language and the block parses. In a shell session
    (``>>>``) only the input lines count. A fence that is never closed ends with the answer.
    """
    blocks = []
    for _, language, content in _FENCE.findall(answer):
        code = _input_of(textwrap.dedent(content))
        if language.lower() in _PYTHON and (language or parses(code)):
            blocks.append(code)
    return blocks


def program(answer: str) -> str:
    """Return the code of all Python blocks that parse, joined into one program, or '' if there is none."""
    return "\n".join(block for block in code_blocks(answer) if parses(block))


def parses(code: str) -> bool:
    """Return whether `code` is valid Python with at least one statement."""
    try:
        return bool(ast.parse(code).body)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False


def _input_of(content: str) -> str:
    if not re.search(r"^>>> ", content, re.MULTILINE):
        return content
    lines = [line for line in content.splitlines() if _PROMPT.match(line)]
    return "\n".join(_PROMPT.sub("", line) for line in lines)
