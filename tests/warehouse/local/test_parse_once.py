"""A text is parsed once, and nobody can change the tree that another one gets."""

import pytest
import sqlglot
from sqlglot import exp
from sqlglot.dialects.dialect import Dialect

from tuning.warehouse.local import parse_once

SQL = "with a as (select 1 as b, [2, 3] as c) select a.b /* why */, d from a, a.c as d"


@pytest.fixture
def parses(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts that sqlglot really parses."""
    parse, texts = Dialect.parse, []

    def noted(dialect: Dialect, sql: str, **options: object) -> list[exp.Expr | None]:
        texts.append(sql)
        return parse(dialect, sql, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Dialect, "parse", parse_once.remembering(noted))
    return texts


def test_each_caller_gets_the_same_tree_as_a_copy_of_its_own(parses: list[str]) -> None:
    first = sqlglot.parse_one(SQL, read="bigquery")
    whole, first_written = repr(first), first.sql("bigquery")
    for column in list(first.find_all(exp.Column)):
        column.replace(exp.Null())
        column.meta["changed"] = True
    assert [repr(tree) for tree in sqlglot.parse(SQL, read="bigquery")] == [whole]
    written = [sqlglot.transpile(SQL, read="bigquery", write="bigquery") for _ in range(2)]
    assert written == [[first_written], [first_written]]
    assert parses == [SQL]


def test_another_dialect_setting_or_option_is_another_parse(parses: list[str]) -> None:
    text = "select 'a' 'b', 1 +"
    for _ in range(2):
        assert sqlglot.parse(text, read="bigquery", error_level=sqlglot.ErrorLevel.IGNORE)
        with pytest.raises(sqlglot.errors.ParseError):
            sqlglot.parse(text, read="bigquery")
    assert len(parses) == 3  # what is refused is read again
    upper, lower = (f"snowflake, normalization_strategy = {name}" for name in ("uppercase", "lowercase"))
    for dialect in (upper, lower, "duckdb", upper):
        sqlglot.parse_one("select a", read=dialect)
    assert parses.count("select a") == 3


def test_a_long_text_is_not_kept(parses: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parse_once, "_LONGEST", len(SQL) - 1)
    for _ in range(2):
        sqlglot.parse_one(SQL, read="bigquery")
    assert parses == [SQL, SQL]
