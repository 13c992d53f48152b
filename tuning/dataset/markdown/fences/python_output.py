"""Recognize sessions of the Python shell, and tracebacks."""

import re

from tuning.dataset.markdown.fences.python_code import python_name

_SESSION = re.compile(
    r"""(?:[ \t]*(?:  # lines before the first input: a comment, the command, and what the shell prints at its start
        \#.* | (?:[\w~/:.@-]*[$>])?[ ]?python[\d.]* | I?Python[ ]\d.* | \[(?:GCC|MSC|Clang)\b.* | \(AMD64\).* | on[ ]\w+
        | Type[ ]"help.* | >>>
    )?[ \t]*\n)*+
    [ \t]*(?:>>>[ \t]*[^>\s] | In[ ]?\[\d+\]:)""",
    re.VERBOSE,
)
_TRACEBACK = "Traceback (most recent call last)"
_FRAME = re.compile(r'[ \t]*File "[^"\n]+", line \d')
_NOTEBOOK = re.compile(r"(?:[ \t]*(?:-{3,})?[ \t]*\n)*+[ \t]*[\w.]+[ ]{2,}Traceback \(most recent")


def is_session(code: str) -> bool:
    """Return whether the code begins with the prompt `>>>` or `In [1]:`, possibly after what the shell prints first."""
    return (">>>" in code or "]:" in code) and _SESSION.match(code) is not None


def is_traceback(code: str) -> bool:
    """Return whether a traceback makes up at least half of the lines, and the other lines are not a program."""
    if _TRACEBACK not in code:
        if not _FRAME.match(code):
            return False
    elif _NOTEBOOK.match(code):
        return True
    inside, margin = 0, -1  # margin: the indent of the traceback while the lines are inside it, else -1
    outside = []
    for line in code.split("\n"):
        if not line.strip():
            continue
        indent = len(line) - len(line.lstrip())
        is_frame = _FRAME.match(line) is not None
        if _TRACEBACK in line:
            margin = indent
        elif is_frame and margin < 0:
            margin = max(indent - 2, 0)
        elif margin < 0:
            outside.append(line)
            continue
        elif not is_frame and indent <= margin:
            margin = -1  # the line of the error ends the traceback
        inside += 1
    return inside > 1 and len(outside) <= inside and not python_name("\n".join(outside))
