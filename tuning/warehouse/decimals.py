"""Keep bqemulator from writing into strings.

It turns decimal literals (``2.5``) into floats (``2.5e0``), but takes an apostrophe in a comment for the start of a
string, and from there on takes strings for code. Here BigQuery's own rules say what is a string.
"""

import re
from collections.abc import Callable

# https://cloud.google.com/bigquery/docs/reference/standard-sql/lexical: comments, quoted names, strings of every kind.
_OPAQUE = re.compile(
    r"""
    --[^\n]* | \#[^\n]* | /\*.*?\*/ | `(?:\\.|[^`\\])*`
    | \"\"\"(?:\\.|[^\\])*?\"\"\" | '''(?:\\.|[^\\])*?''' | "(?:\\.|[^"\\])*" | '(?:\\.|[^'\\])*'
    """,
    re.DOTALL | re.VERBOSE,
)


def outside_text(rewrite: Callable[[str], str]) -> Callable[[str], str]:
    """`rewrite` applied to what of a statement is neither comment nor string nor quoted name."""

    def rewrite_outside(sql: str) -> str:
        parts, end = [], 0
        for match in _OPAQUE.finditer(sql):
            parts += [rewrite(sql[end : match.start()]), match.group()]
            end = match.end()
        return "".join([*parts, rewrite(sql[end:])])

    return rewrite_outside
