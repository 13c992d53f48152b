"""Say what is wrong with a query in words that a person can use."""

import re

import duckdb
from bqemulator.domain.errors import DomainError, InvalidQueryError, NotFoundError
from bqemulator.jobs import error_mapper
from bqemulator.sql import errors as sql_errors

from tuning.warehouse.local.sql.macros import FAILED

_REFUSED = re.compile(rf"Could not convert string '{FAILED}(.*?)' to BOOL", re.DOTALL)
# Words of DuckDB, and those of BigQuery.
_PATTERNS = tuple(
    (re.compile(pattern, re.DOTALL), words)
    for pattern, words in (
        (r'Referenced (?:column|table) "([^"]+)" (?:was )?not found', "Unrecognized name: {}"),
        (r'Column "([^"]+)" referenced that exists in the SELECT clause', "Unrecognized name: {}"),
        (r'(?:Table|Values list) "[^"]*" does not have a column named "([^"]+)"', "Unrecognized name: {}"),
        (r"Function with name (?:\S+__)?(\S+?)__(\S+) does not exist", "Function not found: {}.{}"),
        (r"Function with name (\S+) does not exist", "Function not found: {}"),
        (
            r"No function matches the given name and argument types '(\S+?)\((.*?)\)'",
            "No matching signature for function {0} for argument types: {1}",
        ),
        (
            r'column "([^"]+)" must appear in the GROUP BY clause',
            "SELECT list expression references column {} which is neither grouped nor aggregated",
        ),
        (r'Ambiguous reference to column name "([^"]+)"', "Column name {} is ambiguous"),
        (r"prepared statement parameters: (\w+)", "Query parameter '{}' not found"),
        (r'Parser Error: syntax error at or near "(.*?)"', "Syntax error: Unexpected {}"),
        (r"Parser Error: syntax error at (end of input)", "Syntax error: Unexpected {}"),
        (r"(Division by zero)", "division by zero"),
        (r"DECIMAL type width must be", "The local BigQuery does not support BIGNUMERIC. Use NUMERIC"),
        (r"Overflow in \w+ of DECIMAL", "numeric overflow"),
        (r"Could not convert string '(.*?)' to INT", "Bad int64 value: {}"),
        (r"Could not convert string '(.*?)' to DOUBLE", "Bad double value: {}"),
        (r"Could not convert string '(.*?)' to BOOL", "Bad bool value: {}"),
        (r"Could not convert string '(.*?)' to DECIMAL", "Invalid NUMERIC value: {}"),
        (r'(?:invalid|failed to parse) date field format: "([^"]*)"', "Invalid date: '{}'"),
        (r'invalid timestamp field format: "([^"]*)"', "Invalid timestamp: '{}'"),
        (r'(?:date|timestamp) field value out of range: "([^"]*)"', "Invalid date or time: '{}'"),
        (r'Could not parse string "(.*?)" according to format', 'Failed to parse input string "{}"'),
    )
)
_NO_DATASET = re.compile(r'Schema with name "?([^"\s]+?)__([^"\s]+?)"? does not exist')
_PREFIX = re.compile(r"^(?:Query execution failed: |Script SQL execution failed: )?(?:[A-Z][A-Za-z -]* Error: )?")
_TOKEN = re.compile(r"Line (\d+), Col: (\d+)\..*?\x1b\[4m(.*?)\x1b\[0m", re.DOTALL)
REQUEST = "q"  # the location of an error that BigQuery finds before it runs a query


class ResourcesExceededError(InvalidQueryError):
    """A statement was stopped because it reached a limit."""

    bq_reason = "resourcesExceeded"


def translate(error: BaseException, *, duckdb_sql: str | None = None) -> DomainError:
    """Map an error of DuckDB to one of BigQuery. This takes the place of bqemulator's own function."""
    if isinstance(error, DomainError):
        mapped = _translate(error, duckdb_sql=duckdb_sql)
        return error if mapped.message.startswith("Query execution failed") else mapped
    raw = str(error)
    early = isinstance(error, (duckdb.BinderException, duckdb.ParserException, duckdb.CatalogException))
    location = REQUEST if early or "prepared statement parameters" in raw else "query"
    if found := _REFUSED.search(raw):
        return InvalidQueryError(found[1], location="query")
    if found := _NO_DATASET.search(raw):
        return NotFoundError(f"Not found: Dataset {found[1]}:{found[2]} was not found in location US")
    if words := _words(raw):
        return InvalidQueryError(words, location=location)
    mapped = _translate(error, duckdb_sql=duckdb_sql)
    if isinstance(mapped, InvalidQueryError):
        # DuckDB repeats the translated statement, which the person never wrote.
        mapped.message = _PREFIX.sub("", mapped.message.split("\n\nLINE ")[0])
        mapped.location = location
    return mapped


def unexpected(error: Exception) -> DomainError:
    """Map an error of bqemulator itself, by which a request would fail with status 500.

    Google's client sends such a request again for ten minutes.
    """
    words = _words(str(error)) or f"The local BigQuery cannot answer this: {type(error).__name__}: {error}"
    return InvalidQueryError(words)


def _words(raw: str) -> str:
    """Return BigQuery's words for a message of DuckDB, or ''."""
    found = ((words, pattern.search(raw)) for pattern, words in _PATTERNS)
    return next((words.format(*match.groups()) for words, match in found if match), "")


def syntax_error(message: str, *, location: str | None = None) -> InvalidQueryError:
    """Say which token sqlglot did not expect. This takes the place of bqemulator's own function."""
    if found := _TOKEN.search(message):
        return InvalidQueryError(f'Syntax error: Unexpected "{found[3]}" at [{found[1]}:{found[2]}]', location=REQUEST)
    made: InvalidQueryError = _syntax_error(message, location=location)
    made.location, made.details = REQUEST, []
    return made


_translate = error_mapper.translate_runtime_error
_syntax_error = sql_errors.sql_parse_error
