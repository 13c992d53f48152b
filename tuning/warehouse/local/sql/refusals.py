"""Refuse a statement that BigQuery would refuse, or that the local BigQuery would answer wrongly."""

import re
from typing import NoReturn

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
_CHECKED = (exp.Column, exp.Describe, exp.Pragma, exp.Show, exp.Values, exp.Table, exp.ParseBignumeric, exp.DataType)
_OF_INGESTION = {"_PARTITIONTIME", "_PARTITIONDATE"}
_NUMERIC = "Use NUMERIC, which has 38 digits and 9 decimals"


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
    if words[0] == "LOAD" and words[1:2] != ["DATA"]:
        refuse("Syntax error: LOAD is not followed by DATA")
    if words[0] in ("CREATE", "ALTER", "DROP"):
        made = next((word for word in words[1:] if word not in _MODIFIERS), "")
        if made and made not in _OBJECTS:
            refuse(f"Syntax error: Unexpected {made}. BigQuery has no {words[0]} {made}")


def refuse_faulty_statement(tree: exp.Expression) -> None:
    """Raise InvalidQueryError for a change of all rows without a WHERE, and for parts that cannot be answered.

    These are parts of DuckDB's SQL, BIGNUMERIC, and earlier versions of tables.
    """
    if isinstance(tree, (exp.Delete, exp.Update)) and not tree.args.get("where"):
        refuse(f"{tree.key.upper()} must have a WHERE clause. Write WHERE true for all rows")
    for part in tree.find_all(*_CHECKED):
        match part:
            case exp.Column():
                if part.name.upper() in _OF_INGESTION:
                    instead = "It does not keep when rows came. Use a column that the table is partitioned by"
                    refuse_unsupported(part.name.upper(), instead)
            case exp.Values():
                if not isinstance(part.parent, (exp.Insert, exp.Merge)):
                    refuse("Syntax error: Unexpected keyword VALUES. Write SELECT ... UNION ALL SELECT ..., or UNNEST")
            case exp.Table():
                if part.args.get("version"):
                    instead = "It keeps no earlier versions. Copy the table before you change it"
                    refuse_unsupported("FOR SYSTEM_TIME AS OF", instead)
            case exp.ParseBignumeric():
                refuse_unsupported("BIGNUMERIC", _NUMERIC)
            case exp.DataType():
                if part.is_type(exp.DataType.Type.BIGDECIMAL):
                    refuse_unsupported("BIGNUMERIC", _NUMERIC)
            case _:
                refuse(f"Syntax error: Unexpected {part.key.upper()}")
