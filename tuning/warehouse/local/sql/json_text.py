"""Write JSON as BigQuery's TO_JSON_STRING does."""

import re

# A text, or a number.
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|-?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?')
_NUMERIC = re.compile(r"(-?[0-9]+)\.([0-9]{9})")  # DuckDB writes all decimals of a NUMERIC
_TIME = re.compile(r'"([0-9]{4}-[0-9]{2}-[0-9]{2}) ([0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?)(\+00)?"')


def bigquery_json(text: str) -> str:
    """Return JSON that DuckDB wrote with BigQuery's form of times, of floats without a fraction, and of NUMERIC.

    A text that looks like DuckDB's form of a time changes too: JSON does not say what a text was. A NUMERIC with a
    fraction becomes a text as in BigQuery, unless it has all nine decimals, as a float can have.
    """
    return _TOKEN.sub(_token, text)


def _token(match: re.Match[str]) -> str:
    token = match.group()
    if token[0] == '"':
        found = _TIME.fullmatch(token)
        return f'"{found[1]}T{found[2]}{"Z" if found[3] else ""}"' if found else token
    found = _NUMERIC.fullmatch(token)
    if found and found[2].endswith("0"):  # a NUMERIC: no float ends with a zero after its decimals
        decimals = found[2].rstrip("0")
        return f'"{found[1]}.{decimals}"' if decimals else found[1]
    return token.removesuffix(".0")
