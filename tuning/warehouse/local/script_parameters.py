"""Give the named parameters of a query to a script. bqemulator gives them to single statements only."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from bqemulator.domain.errors import InvalidQueryError
from bqemulator.sql import parameters

from tuning.warehouse.local.sql.literals import outside_text

_PREFIX = "tuning_parameter_"
_NAMED = re.compile(r"(?<![@\w])@(\w+)")
_given: ContextVar[list[dict[str, Any]]] = ContextVar("parameters of a script")


def declared(script: str, given: list[dict[str, Any]]) -> str:
    """Return the script with a variable in the place of each parameter, and remember the values for `declare`."""
    names = {one.get("name", "").lower() for one in given}
    if "" in names:
        raise InvalidQueryError("The local BigQuery has no positional parameters in scripts. Give the parameters names")
    _given.set(given)

    def replace(match: re.Match[str]) -> str:
        return _PREFIX + match[1].lower() if match[1].lower() in names else match.group()

    return outside_text(lambda part: _NAMED.sub(replace, part))(script)


@contextmanager
def parameters_of_one_job() -> Iterator[None]:
    """Forget the parameters at the end."""
    token = _given.set([])
    try:
        yield
    finally:
        _given.reset(token)


def declare(frames: Any) -> None:
    """Declare the variables of the current script's parameters."""
    for one in _given.get([]):
        sql, values = parameters.bind_parameters(f"@{one['name']}", [one])
        frames.declare(_PREFIX + one["name"].lower(), one["parameterType"]["type"], values[0] if values else sql)
