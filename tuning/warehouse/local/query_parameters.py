"""Give the parameters of a query to DuckDB with the types that the client declared."""

import base64
import datetime
import re
from typing import Any

from bqemulator.sql import parameters

from tuning.warehouse.local.sql.literals import outside_duckdb_text
from tuning.warehouse.local.sql.refusals import refuse_unsupported

_NAMED = re.compile(r"[@$](\w+)")
_POSITIONAL = re.compile(r"\?")


def bound(sql: str, given: list[dict[str, Any]] | None = None) -> tuple[str, list[Any]]:
    """Put placeholders for the parameters into a statement of DuckDB, and return it with the values in order.

    Texts, quoted names and comments stay as they are. This takes the place of bqemulator's own function.
    """
    if not given:
        return sql, []
    names = {one.get("name", "").lower(): one for one in given}
    in_order = iter(given)
    values: list[Any] = []

    def named(match: re.Match[str]) -> str:
        one = names.get(match[1].lower())
        return match.group() if one is None else placeholder(one)

    def positional(match: re.Match[str]) -> str:
        one = next(in_order, None)
        return match.group() if one is None else placeholder(one)

    def placeholder(one: dict[str, Any]) -> str:
        values.append(value_of(one))
        kind = duckdb_type(one.get("parameterType", {}))
        return f"(CAST(? AS {kind}))" if kind else "?"

    pattern, replace = (_POSITIONAL, positional) if "" in names else (_NAMED, named)
    parts = [pattern.sub(replace, part) if is_code else part for is_code, part in outside_duckdb_text(sql)]
    return "".join(parts), values


def value_of(one: dict[str, Any]) -> Any:
    """Return the value of a parameter as Python has it: BYTES decoded, a TIMESTAMP without a zone in UTC."""
    kind, value = one.get("parameterType", {}), one.get("parameterValue", {})
    match str(kind.get("type", "STRING")).upper():
        case "ARRAY":
            element = kind.get("arrayType", {})
            made = value.get("arrayValues") or []
            return [value_of({"parameterType": element, "parameterValue": part}) for part in made]
        case "STRUCT":
            fields, made = kind.get("structTypes", []), value.get("structValues") or {}
            return {
                field["name"]: value_of({"parameterType": field["type"], "parameterValue": made.get(field["name"], {})})
                for field in fields
            }
        case "BYTES" if value.get("value") is not None:
            return base64.b64decode(value["value"])
        case "TIMESTAMP" if value.get("value") is not None:
            text = re.sub(r"\s*UTC$", "+00:00", str(value["value"]))
            moment = datetime.datetime.fromisoformat(text)
            return moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)
    return parameters.__dict__["_extract_value"](one)


def duckdb_type(kind: dict[str, Any]) -> str | None:
    """Return the DuckDB type of a parameter, or None if its value says enough."""
    name = str(kind.get("type", "STRING")).upper()
    if name == "BIGNUMERIC":
        refuse_unsupported("BIGNUMERIC", "Use NUMERIC, which has 38 digits and 9 decimals")
    if name == "ARRAY":
        element = duckdb_type(kind.get("arrayType", {}))
        return f"{element}[]" if element else None
    if name == "STRUCT":
        fields = [(field["name"], duckdb_type(field["type"])) for field in kind.get("structTypes", [])]
        if not fields or not all(made for _, made in fields):
            return None
        return "STRUCT(" + ", ".join('"' + field.replace('"', '""') + f'" {made}' for field, made in fields) + ")"
    known: str | None = parameters.__dict__["_BQ_SCALAR_TO_DUCKDB"].get(name)
    return None if name == "GEOGRAPHY" else known
