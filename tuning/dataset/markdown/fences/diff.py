"""Recognize diffs: what `diff`, `git diff` and `difflib` print, and code in which a person marked what changes."""

import re

from tuning.dataset.markdown.fences.python_code import python_name

_HEADER = re.compile(
    r"""diff[ ]--git[ ]\S | diff[ ]-\S*[ ]\S.*\n[-*]{3}[ ] | Index:[ ].*\n=+\n
    | ---[ ]\S.*\n\+\+\+[ ]\S | \*\*\*[ ]\S.*\n---[ ]\S.*\n\*{4} | @@[ ]-\d+(?:,\d+)?[ ]\+\d+(?:,\d+)?[ ]@@""",
    re.VERBOSE,
)
_MARKS = frozenset("+- ")


def is_diff(code: str) -> bool:
    """Return whether the code begins as a diff, or is Python in which each line is marked as removed, added or kept."""
    return _HEADER.match(code) is not None or (code[0] in "+-" and _is_marked_python(code))


def _is_marked_python(code: str) -> bool:
    lines = [line for line in code.split("\n") if line]
    marks = {line[0] for line in lines}
    if not {"+", "-"} <= marks <= _MARKS:
        return False
    sides = ("\n".join(line[1:] for line in lines if line[0] != other) for other in "+-")
    return all(python_name(side) for side in sides)
