"""The one class of errors that a person can mend."""


class TuningError(Exception):
    """Something a person can mend: wrong input, a missing file, a server that does not answer.

    The message is one line: what is wrong, where, what to do. Any other exception is a bug and keeps its traceback.
    """

    def __init__(self, what: str, mend: str = "") -> None:
        what = " ".join(what.split()).rstrip(".")
        mend = " ".join(mend.split())
        super().__init__(f"{what}. {mend}" if mend else f"{what}.")
