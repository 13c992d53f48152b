"""Name the language of a block of code by its content, where the content leaves no doubt."""

from collections.abc import Callable

from tuning.dataset.markdown.fences.data import (
    is_dockerfile,
    is_json,
    is_section,
    is_sql,
    is_yaml,
    markup_name,
    settings_name,
)
from tuning.dataset.markdown.fences.diff import is_diff
from tuning.dataset.markdown.fences.python_code import python_name
from tuning.dataset.markdown.fences.python_output import is_session, is_traceback
from tuning.dataset.markdown.fences.shell import are_commands, has_prompt, shell_of

_LONGEST = 20_000  # characters that are looked at, except in JSON and XML, which are parsed as a whole
# Characters that web pages and word processors put into code.
_PLAIN = str.maketrans(
    {"\xa0": " ", "\u200b": None, "\u200c": None, "\u200d": None, "\ufeff": None}
    | dict.fromkeys("\u2018\u2019", "'")
    | dict.fromkeys("\u201c\u201d", '"')
)
_FIRST_OF_DIFF = frozenset("-+@*dI")
_CHECKS: tuple[tuple[str, Callable[[str], bool]], ...] = (
    ("pycon", is_session),
    ("console", has_prompt),
    ("pytb", is_traceback),
    ("bash", are_commands),
    ("sql", is_sql),
    ("yaml", is_yaml),
    ("dockerfile", is_dockerfile),
)


def language_of(code: str) -> str:
    """Return the name for the fence of a block of code, or "" if its content does not make the language certain.

    The names are those of Pygments: `pycon` is a session of the Python shell or of IPython, `pytb` a traceback,
    `console` commands with their prompts, `bash` commands without. `python2` is code that Python 3 does not accept. The
    time is linear in the length of the code. Nothing is executed, and no exception is raised.
    """
    code = code.strip("\n").rstrip()
    if not code.isascii():
        code = code.translate(_PLAIN)
    first, head = code.lstrip()[:1], code[:_LONGEST]
    if first == "<" and (name := markup_name(code)):
        return name
    if first == "{" or first == "[":
        if is_json(code):
            return "json"
        if is_section(head):
            return settings_name(head)
    if head.startswith("#!") and (interpreter := shell_of(head)) is not None:
        return interpreter
    if first in _FIRST_OF_DIFF and is_diff(head):
        return "diff"
    for name, is_certain in _CHECKS:
        if is_certain(head):
            return name
    return python_name(head)
