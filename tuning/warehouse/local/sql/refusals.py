"""Refuse a statement that BigQuery would refuse, or that the local BigQuery would answer wrongly."""

import re
from typing import NoReturn

import sqlglot
from bqemulator.domain.errors import InvalidQueryError
from sqlglot import exp

from tuning.warehouse.local.sql.literals import first_words

_STATEMENTS = frozenset(
    """
    SELECT WITH FROM INSERT UPDATE DELETE MERGE TRUNCATE CREATE ALTER DROP UNDROP CALL EXECUTE ASSERT BEGIN COMMIT
    ROLLBACK GRANT REVOKE EXPORT LOAD DECLARE SET RETURN RAISE IF LOOP WHILE REPEAT FOR CASE
    """.split()  # noqa: SIM905 - a list of words
)
_OBJECTS = frozenset(
    """
    TABLE VIEW FUNCTION PROCEDURE SCHEMA MODEL EXTERNAL SNAPSHOT AGGREGATE MATERIALIZED SEARCH VECTOR ROW ALL CAPACITY
    RESERVATION ASSIGNMENT CONNECTION PROPERTY BI_CAPACITY PROJECT ORGANIZATION
    """.split()  # noqa: SIM905
)
_MODIFIERS = frozenset({"OR", "REPLACE", "TEMP", "TEMPORARY"})
_BIGNUMERIC = (exp.DataType.Type.BIGDECIMAL,)


def refuse(message: str) -> NoReturn:
    """Raise the error that becomes HTTP 400 with the reason ``invalidQuery``."""
    raise InvalidQueryError(message, location="q")


def refuse_unsupported(what: str, instead: str) -> NoReturn:
    """Refuse what BigQuery can do, but the local BigQuery cannot do correctly. `instead` says what to write."""
    refuse(f"The local BigQuery does not support {what}. {instead}")


def refuse_foreign_statement(sql: str) -> None:
    """Raise InvalidQueryError if BigQuery does not have this kind of statement. DuckDB has many more kinds."""
    words = [re.split(r"\W", word)[0] for word in first_words(sql, 5)]
    if not words or not words[0]:
        return
    if words[0] not in _STATEMENTS:
        refuse(f"Syntax error: Unexpected {words[0]}. BigQuery has no such statement")
    if words[0] in ("CREATE", "ALTER", "DROP"):
        made = next((word for word in words[1:] if word not in _MODIFIERS), "")
        if made and made not in _OBJECTS:
            refuse(f"Syntax error: Unexpected {made}. BigQuery has no {words[0]} {made}")


def refuse_faulty_statement(tree: exp.Expression) -> None:
    """Raise InvalidQueryError for a change of all rows without a WHERE, for parts of DuckDB's SQL, and BIGNUMERIC."""
    if isinstance(tree, (exp.Delete, exp.Update)) and not tree.args.get("where"):
        refuse(f"{tree.key.upper()} must have a WHERE clause. Write WHERE true for all rows")
    for part in tree.find_all(exp.Describe, exp.Pragma, exp.Show, exp.Values, exp.ParseBignumeric, exp.DataType):
        if isinstance(part, exp.Values):
            if not isinstance(part.parent, (exp.Insert, exp.Merge)):
                refuse("Syntax error: Unexpected keyword VALUES. Write SELECT ... UNION ALL SELECT ..., or UNNEST")
        elif isinstance(part, exp.ParseBignumeric) or (
            isinstance(part, exp.DataType) and part.is_type(*_BIGNUMERIC)
        ):
            refuse_unsupported("BIGNUMERIC", "Use NUMERIC, which has 38 digits and 9 decimals")
        elif not isinstance(part, exp.DataType):
            refuse(f"Syntax error: Unexpected {part.key.upper()}")


def refuse_time_travel(sql: str) -> None:
    """Refuse FOR SYSTEM_TIME AS OF. The local BigQuery keeps no earlier versions of a table."""
    if "SYSTEM_TIME" not in sql.upper():
        return
    try:
        trees = sqlglot.parse(sql, read="bigquery")
    except sqlglot.errors.SqlglotError:
        return
    if any(table.args.get("version") for tree in trees if tree for table in tree.find_all(exp.Table)):
        refuse_unsupported("FOR SYSTEM_TIME AS OF", "It keeps no earlier versions. Copy the table before you change it")
