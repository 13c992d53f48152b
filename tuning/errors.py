"""Define the error for problems that the user can fix."""


class TuningError(Exception):
    """Report a problem that the user can fix, such as wrong input, a missing file or a server that does not answer.

    The message is one line: what is wrong, where, and what to do. Any other exception is a bug and keeps its traceback.
    """

    def __init__(self, what: str, hint: str = "") -> None:
        what = " ".join(what.split()).rstrip(".")
        hint = " ".join(hint.split())
        super().__init__(f"{what}. {hint}" if hint else f"{what}.")
