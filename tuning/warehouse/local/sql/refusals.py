"""Refuse a statement that BigQuery would refuse, or that the local BigQuery would answer wrongly."""

from typing import NoReturn

from bqemulator.domain.errors import InvalidQueryError


def refuse(message: str) -> NoReturn:
    """Raise the error that becomes HTTP 400 with the reason ``invalidQuery``."""
    raise InvalidQueryError(message, location="q")


def refuse_unsupported(what: str, instead: str) -> NoReturn:
    """Refuse what BigQuery can do, but the local BigQuery cannot do correctly. `instead` says what to write."""
    refuse(f"The local BigQuery does not support {what}. {instead}")
