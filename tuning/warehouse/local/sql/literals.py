"""Rewrite the string literals of a statement so that sqlglot reads them as BigQuery does.

sqlglot leaves the escapes for code points as they are, and joins two literals that touch.
https://cloud.google.com/bigquery/docs/reference/standard-sql/lexical#literals
"""

import re
from collections.abc import Callable, Iterator

_TRIPLED = r"\"\"\"(?:\\.|[^\\])*?\"\"\" | '''(?:\\.|[^\\])*?'''"
_STRINGS = _TRIPLED + r""" | "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*'"""
_COMMENTS = r"--[^\n]* | \#[^\n]* | /\*.*?\*/"
_TOKENS = re.compile(
    rf"(?P<other> {_COMMENTS} | `(?:\\.|[^`\\])*`)"
    rf"| (?P<prefix>(?<![\w@])(?:[rR][bB]|[bB][rR]|[rRbB]))?(?P<text>{_STRINGS})",
    re.DOTALL | re.VERBOSE,
)
_DUCKDB_TEXT = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|/\*.*?\*/|--[^\n]*", re.DOTALL)
_SPACE = re.compile(rf"(?:\s | {_COMMENTS})+", re.DOTALL | re.VERBOSE)
_OPAQUE = re.compile(rf"{_COMMENTS} | `(?:\\.|[^`\\])*` | {_STRINGS}", re.DOTALL | re.VERBOSE)
_ESCAPE = re.compile(r"\\([0-3][0-7]{2}|[xX][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|.)", re.DOTALL)
_SIMPLE = dict(zip("abfnrtv", "\a\b\f\n\r\t\v", strict=True)) | {char: char for char in "\\?\"'`"}
_WRITTEN = str.maketrans({"\\": "\\\\", "'": "\\'", "\n": "\\n", "\r": "\\r"})


def plain_literals(sql: str) -> str:
    """Return the statement with each string literal in single quotes, decoded and escaped again in the simplest way.

    Raises ValueError for an escape that BigQuery does not know, and for two literals without a space between them.
    """
    parts, end, touching = [], 0, -1
    for match in _TOKENS.finditer(sql):
        parts.append(sql[end : match.start()])
        end = match.end()
        if match["text"] is None:
            parts.append(match.group())
            continue
        if match.start() == touching:
            raise ValueError("Syntax error: concatenated string literals must be separated by whitespace or comments")
        touching = end
        prefix = (match["prefix"] or "").lower()
        quotes = 3 if match["text"][:3] in ("'''", '"""') and len(match["text"]) >= 6 else 1
        content = match["text"][quotes:-quotes]
        if "b" in prefix:
            parts.append(match.group())
        else:
            parts.append("'" + (content if "r" in prefix else _decoded(content)).translate(_WRITTEN) + "'")
    return "".join([*parts, sql[end:]])


def outside_text(rewrite: Callable[[str], str]) -> Callable[[str], str]:
    """Return a function that applies `rewrite` to a statement, except to its comments, strings and quoted names."""

    def rewrite_outside(sql: str) -> str:
        parts, end = [], 0
        for match in _OPAQUE.finditer(sql):
            parts += [rewrite(sql[end : match.start()]), match.group()]
            end = match.end()
        return "".join([*parts, rewrite(sql[end:])])

    return rewrite_outside


def outside_duckdb_text(sql: str) -> Iterator[tuple[bool, str]]:
    """Yield the parts of a statement of DuckDB in order, each with True if it is code.

    Texts, quoted names and comments are not.
    """
    end = 0
    for match in _DUCKDB_TEXT.finditer(sql):
        yield True, sql[end : match.start()]
        yield False, match.group()
        end = match.end()
    yield True, sql[end:]


def first_words(sql: str, count: int) -> list[str]:
    """Return the first words of a statement in upper case, without comments."""
    return _SPACE.sub(" ", f" {sql} ").strip(" (").upper().split(" ", count)[:count]


def _decoded(content: str) -> str:
    return _ESCAPE.sub(_character, content) if "\\" in content else content


def _character(match: re.Match[str]) -> str:
    escape = match.group(1)
    if len(escape) == 1:
        if escape not in _SIMPLE:
            raise ValueError(f"Syntax error: Illegal escape sequence: \\{escape}")
        return _SIMPLE[escape]
    code = int(escape, 8) if escape.isdigit() else int(escape[1:], 16)
    if not 0 < code <= 0x10FFFF or 0xD800 <= code < 0xE000:
        raise ValueError(f"Syntax error: Illegal escape sequence: \\{escape}")
    return chr(code)
