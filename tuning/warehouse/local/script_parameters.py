"""Give the named parameters of a query to a script. bqemulator gives them to single statements only."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from bqemulator.domain.errors import InvalidQueryError

from tuning.warehouse.local import query_parameters
from tuning.warehouse.local.sql.literals import outside_text

_PREFIX = "tuning_parameter_"
_NAMED = re.compile(r"(?<![@\w])@(\w+)")
_given: ContextVar[list[dict[str, Any]]] = ContextVar("parameters of a script")


def declared(script: str, given: list[dict[str, Any]]) -> str:
    """Return the script with a variable in the place of each parameter, and remember the values for `declare`."""
    kinds = {one.get("name", "").lower(): one["parameterType"]["type"].upper() for one in given}
    if "" in kinds:
        raise InvalidQueryError("The local BigQuery has no positional parameters in scripts. Give the parameters names")
    _given.set(given)

    def replace(match: re.Match[str]) -> str:
        name = match[1].lower()
        if name not in kinds:
            return match.group()
        return f"PARSE_JSON({_PREFIX}{name})" if kinds[name] == "JSON" else f"({_PREFIX}{name})"

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
        query_parameters.duckdb_type(one["parameterType"])  # refuses a type that DuckDB lacks
        frames.declare(_PREFIX + one["name"].lower(), one["parameterType"]["type"], query_parameters.value_of(one))
