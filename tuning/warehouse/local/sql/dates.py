"""Correct the date and time functions: parts of dates, weeks, elapsed time, format elements."""

from typing import Any

import sqlglot
from sqlglot import exp

from tuning.warehouse.local.sql.kinds import Kinds
from tuning.warehouse.local.sql.refusals import refuse, refuse_unsupported
from tuning.warehouse.local.sql.strftime import is_common

# Days of January 2000: the 2nd was a Sunday. The macros count weeks from these.
_WEEKDAYS = {
    name: number
    for number, name in enumerate(("SUNDAY", "MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY"), 2)
}
_MONTHS = {"MONTH": 1, "QUARTER": 3, "YEAR": 12}
_SECONDS = {"DAY": 86_400, "HOUR": 3600, "MINUTE": 60, "SECOND": 1}
_MICROSECONDS = {part: 1_000_000 * seconds for part, seconds in _SECONDS.items()} | {
    "MILLISECOND": 1000,
    "MICROSECOND": 1,
}
_FRACTIONS = {"MILLISECOND": 1000, "MICROSECOND": 1_000_000}
_SMALL = ("HOUR", "MINUTE", "SECOND", "MILLISECOND", "MICROSECOND")


def truncate(node: exp.Expression) -> exp.Expression:
    """Correct DATE_TRUNC, TIMESTAMP_TRUNC, DATETIME_TRUNC and TIME_TRUNC."""
    part = _part(node.args.get("unit"))
    value, zone = node.this, node.args.get("zone")
    if isinstance(node, exp.DateTrunc) and part in _SMALL and _is_date(value):
        refuse(f"DATE_TRUNC does not support the {part} date part when the argument is DATE type")
    if zone is not None:
        value = exp.Anonymous(this="timezone", expressions=[zone, value])
    made = _truncated(value, part)
    if made is None:
        return node
    return made if zone is None else exp.Anonymous(this="timezone", expressions=[zone.copy(), made])


def _truncated(value: exp.Expression, part: str) -> exp.Expression | None:
    if first := _first_day(part):
        return call("tuning_week", value, number(first))
    if part in _MONTHS:
        return call("tuning_months", value, number(_MONTHS[part]))
    if part in _SECONDS:
        return call("tuning_seconds", value, number(_SECONDS[part]))
    if part == "ISOYEAR":
        return call("tuning_isoyear", value)
    return None


def difference(node: exp.Expression) -> exp.Expression:
    """Correct DATE_DIFF and DATETIME_DIFF by weeks, and refuse parts that a date does not have."""
    part = _part(node.args.get("unit"))
    if first := _first_day(part):
        return call("tuning_week_diff", node.this, node.expression, number(first))
    if part == "ISOYEAR":
        years = [exp.Extract(this=exp.var("ISOYEAR"), expression=one) for one in (node.this, node.expression)]
        return exp.paren(exp.Sub(this=years[0], expression=years[1]))
    if isinstance(node, exp.DateDiff) and part in _SMALL and (_is_date(node.this) or _is_date(node.expression)):
        refuse(f"DATE_DIFF does not support the {part} date part when the argument is DATE type")
    return node


def elapsed(node: exp.Expression) -> exp.Expression:
    """Correct TIMESTAMP_DIFF, which counts whole parts that have passed, not borders that were crossed."""
    part = _part(node.args.get("unit"))
    if part not in _MICROSECONDS:
        refuse(f"TIMESTAMP_DIFF does not support the {part} date part when the argument is TIMESTAMP type")
    return call("tuning_elapsed", node.this, node.expression, number(_MICROSECONDS[part]))


def shift(node: exp.Expression) -> exp.Expression:
    """Refuse to add parts to a TIMESTAMP or a TIME that have no fixed length in it, such as a month."""
    part, kind = _part(node.args.get("unit")), "TIME" if isinstance(node, (exp.TimeAdd, exp.TimeSub)) else "TIMESTAMP"
    if part not in _MICROSECONDS or (kind == "TIME" and part == "DAY"):
        name = f"{kind}_{'ADD' if isinstance(node, (exp.TimeAdd, exp.TimestampAdd)) else 'SUB'}"
        refuse(f"{name} does not support the {part} date part when the argument is {kind} type")
    return node


def extract(node: exp.Expression, kinds: Kinds) -> exp.Expression:
    """Correct EXTRACT of a week with a first day, and of the time. A date has no hours."""
    part = _part(node.this)
    if part in _SMALL and kinds.of(node.expression) == "DATE":
        refuse(f"EXTRACT from DATE does not support the {part} date part")
    if part == "TIME":
        return call("tuning_time", node.expression)
    if part in _FRACTIONS:  # DuckDB counts the whole seconds too
        return exp.paren(exp.Mod(this=node.copy(), expression=number(_FRACTIONS[part])))
    if part == "WEEK" or part in {f"WEEK({day})" for day in _WEEKDAYS}:
        first = _first_day(part)
        return call("tuning_week_number", node.expression, number(first))
    return node


def last_day(node: exp.Expression) -> exp.Expression:
    """Correct LAST_DAY of a week."""
    part = _part(node.args.get("unit")) if node.args.get("unit") else "MONTH"
    first = _first_day(part)
    if first:
        start = exp.cast(call("tuning_week", exp.cast(node.this, "DATE"), number(first)), "DATE")
        return exp.paren(exp.Add(this=start, expression=number(6)))
    if part == "ISOYEAR":
        refuse_unsupported("LAST_DAY with ISOYEAR", "Add a year to DATE_TRUNC, and subtract a day")
    return node


def format_time(node: exp.Expression) -> exp.Expression:
    """Correct FORMAT_DATE and its kin for the format elements that DuckDB does not have."""
    pattern = node.args.get("format")
    if not (isinstance(pattern, exp.Literal) and pattern.is_string):
        return node
    written = _written_pattern(node)
    if is_common(written):
        return node
    value = node.this
    kind = type(value)
    if kind in (exp.TsOrDsToTime, exp.TsOrDsToDate, exp.TsOrDsToDatetime, exp.TsOrDsToTimestamp):
        value = value.this
    if kind is exp.TsOrDsToTime:
        value = exp.Add(this=exp.cast(exp.Literal.string("1970-01-01"), "DATE"), expression=value)
    if zone := node.args.get("zone"):
        if "%Z" in written or "%z" in written or "%Ez" in written:
            return node
        value = exp.Anonymous(this="timezone", expressions=[zone, value])
    return call("tuning_format_time", exp.Literal.string(written), exp.cast(value, "DATETIME"))


def zoned_text(node: exp.Expression) -> exp.Expression:
    """Write the offset of the zone in STRING(timestamp, zone)."""
    zone = node.args.get("zone")
    return node if zone is None else call("tuning_zoned_text", node.this, zone)


def parse_timestamp(node: exp.Expression) -> exp.Expression:
    """Read a text in the zone of PARSE_TIMESTAMP, which sqlglot would drop."""
    zone = node.args.get("zone")
    if zone is None:
        return node
    pattern = _written_pattern(node)
    if any(part in pattern for part in ("%z", "%Z", "%Ez", "%s")):
        refuse_unsupported("PARSE_TIMESTAMP with a zone in the text and as an argument", "Leave out the argument")
    bare = node.copy()
    bare.set("zone", None)
    return call("timezone", zone, exp.cast(bare, "DATETIME", dialect="bigquery"))


def _written_pattern(node: exp.Expression) -> str:
    """Return the pattern as BigQuery writes it. sqlglot keeps it with other names for some elements."""
    text = node.sql("bigquery")
    start = text.index("(") + 1
    parsed: Any = sqlglot.parse_one(f"SELECT {text[start:-1]}", read="bigquery").expressions[0]
    return str(parsed.this)


def _first_day(part: str) -> int:
    """Return the day of January 2000 that a week of this kind begins on, or 0 if the part is no week."""
    if part == "WEEK":
        return _WEEKDAYS["SUNDAY"]
    if part == "ISOWEEK":
        return _WEEKDAYS["MONDAY"]
    return _WEEKDAYS.get(part.removeprefix("WEEK(").removesuffix(")"), 0) if part.startswith("WEEK(") else 0


def _part(unit: exp.Expression | None) -> str:
    if isinstance(unit, exp.WeekStart):
        return f"WEEK({unit.name.upper()})"
    return unit.name.upper() if unit is not None else "DAY"


def _is_date(value: exp.Expression) -> bool:
    return isinstance(value, exp.Cast) and value.to.is_type(exp.DataType.Type.DATE)


def call(name: str, *arguments: Any) -> exp.Expression:
    """Return a call of a macro."""
    return exp.Anonymous(this=name, expressions=list(arguments))


def number(value: int) -> exp.Expression:
    """Return a literal number."""
    return exp.Literal.number(value)
