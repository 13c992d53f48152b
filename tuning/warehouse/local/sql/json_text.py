"""Write JSON as BigQuery's TO_JSON_STRING does."""

import re

# A text, or a number.
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|-?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?|-?Infinity|NaN')
_NUMERIC = re.compile(r"(-?[0-9]+)\.([0-9]{9})")  # DuckDB writes all decimals of a NUMERIC
_TIME = re.compile(r'"([0-9]{4}-[0-9]{2}-[0-9]{2}) ([0-9]{2}:[0-9]{2}:[0-9]{2})(\.[0-9]+)?(\+00)?"')
_LARGEST = 1 << 53  # beyond it, JavaScript cannot hold each integer


def bigquery_json(text: str) -> str:
    """Return JSON that DuckDB wrote with BigQuery's form of times, of NUMERIC, and of large and special numbers.

    A text that looks like DuckDB's form of a time changes too: JSON does not say what a text was. A NUMERIC with a
    fraction becomes a text as in BigQuery, unless it has all nine decimals, as a float can have.
    """
    return _TOKEN.sub(_token, text)


def _token(match: re.Match[str]) -> str:
    token = match.group()
    if token[0] == '"':
        found = _TIME.fullmatch(token)
        if found is None:
            return token
        fraction = found[3] or ""
        fraction = fraction.ljust(4 if len(fraction) < 5 else 7, "0") if fraction else ""
        return f'"{found[1]}T{found[2]}{fraction}{"Z" if found[4] else ""}"'
    found = _NUMERIC.fullmatch(token)
    if found and found[2].endswith("0"):  # a NUMERIC: no float ends with a zero after its decimals
        if decimals := found[2].rstrip("0"):
            return f'"{found[1]}.{decimals}"'
        token = found[1]
    if token.lstrip("-").isdigit():
        return token if abs(int(token)) <= _LARGEST else f'"{token}"'
    if token[-1].isalpha():  # Infinity or NaN
        return f'"{token}"'
    short = f"{float(token):.15g}"
    return short if float(short) == float(token) else f"{float(token):.17g}"
