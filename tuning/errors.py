"""Define the error for problems that the user can fix."""

from tuning.visible import visible

_LONGEST_WORD = 1000  # characters; a longer word is a value that was given by mistake


class TuningError(Exception):
    """Report a problem that the user can fix, such as wrong input, a missing file or a server that does not answer.

    The message is one line: what is wrong, where, and what to do. Characters that hide or reorder text are made
    visible, and others that a terminal does not show become U+FFFD. Any other exception is a bug and keeps its
    traceback.
    """

    def __init__(self, what: str, hint: str = "") -> None:
        what = _one_line(what).rstrip(".")
        hint = _one_line(hint)
        super().__init__(f"{what}. {hint}" if hint else f"{what}.")


def _one_line(text: str) -> str:
    words = (word if len(word) <= _LONGEST_WORD else f"{word[:_LONGEST_WORD]}…" for word in text.split())
    return "".join(char if char.isprintable() else "\ufffd" for char in visible(" ".join(words)))
