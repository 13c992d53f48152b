"""Write JSON as BigQuery's TO_JSON_STRING does."""

import re

# A text, a float that is a whole number, or other numbers.
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|-?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?')
_TIME = re.compile(r'"([0-9]{4}-[0-9]{2}-[0-9]{2}) ([0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?)(\+00)?"')


def bigquery_json(text: str) -> str:
    """Return JSON that DuckDB wrote with BigQuery's form of times and of floats without a fraction.

    A text that looks like DuckDB's form of a time changes too: JSON does not say what a text was.
    """
    return _TOKEN.sub(_token, text)


def _token(match: re.Match[str]) -> str:
    token = match.group()
    if token[0] == '"':
        found = _TIME.fullmatch(token)
        return f'"{found[1]}T{found[2]}{"Z" if found[3] else ""}"' if found else token
    return token.removesuffix(".0")
