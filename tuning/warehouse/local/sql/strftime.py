"""Format dates and times with BigQuery's format elements.

https://cloud.google.com/bigquery/docs/reference/standard-sql/format-elements#format_elements_date_time
"""

import datetime
import re

_ELEMENT = re.compile(r"%(E(?:[0-9]|\*)S|E4Y|E[A-Za-z]|O[A-Za-z]|.)", re.DOTALL)
# Elements that DuckDB's strftime formats like BigQuery's. Others go through `format_value`.
_COMMON = frozenset("AaBbdFHIjMmpSTYy%")
_WHOLE = {
    "c": "%a %b {day:>2} %H:%M:%S %Y",
    "D": "%m/%d/%y",
    "F": "%Y-%m-%d",
    "R": "%H:%M",
    "T": "%H:%M:%S",
    "x": "%m/%d/%y",
    "X": "%H:%M:%S",
}
_PLAIN = frozenset("AaBbdGHIjMmpUuVWwy")


def is_common(pattern: str) -> bool:
    """Return whether DuckDB formats this pattern like BigQuery."""
    return all(match.group(1) in _COMMON for match in _ELEMENT.finditer(pattern)) and not pattern.endswith("%")


def format_value(pattern: str, value: datetime.datetime) -> str:
    """Return `value` in BigQuery's format `pattern`. Raises ValueError for an unknown element."""
    return _ELEMENT.sub(lambda match: _element(match.group(1), value), pattern)


def _element(name: str, value: datetime.datetime) -> str:
    if name in _PLAIN:
        return value.strftime(f"%{name}")
    if name in _WHOLE:
        return value.strftime(_WHOLE[name].format(day=value.day)).replace("%Y", f"{value.year:04d}")
    if name.startswith("E") and name.endswith("S"):
        return _seconds(name[1], value)
    match name:
        case "Y" | "E4Y":
            return f"{value.year:04d}" if name == "E4Y" else str(value.year)
        case "C":
            return f"{value.year // 100:02d}"
        case "e":
            return f"{value.day:>2}"
        case "g":
            return f"{value.isocalendar().year % 100:02d}"
        case "h":
            return value.strftime("%b")
        case "k":
            return f"{value.hour:>2}"
        case "l":
            return f"{(value.hour - 1) % 12 + 1:>2}"
        case "P":
            return value.strftime("%p").lower()
        case "Q":
            return str((value.month + 2) // 3)
        case "s":
            return str(int(value.replace(tzinfo=datetime.UTC).timestamp() // 1))
        case "n" | "t" | "%":
            return {"n": "\n", "t": "\t", "%": "%"}[name]
        case "Z":
            return "UTC"
        case "z" | "Ez":
            return "+00:00" if name == "Ez" else "+0000"
    raise ValueError(f"the local BigQuery cannot format %{name}")


def _seconds(digits: str, value: datetime.datetime) -> str:
    if digits == "*":
        return f"{value.second:02d}.{value.microsecond:06d}".rstrip("0").rstrip(".")
    fraction = f"{value.microsecond:06d}000"[: int(digits)]
    return f"{value.second:02d}.{fraction}" if fraction else f"{value.second:02d}"
