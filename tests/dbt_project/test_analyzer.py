"""Every compiled query is BigQuery's SQL: Google's analyzer parses and type-checks it against the declared tables."""

import pytest

from tests.dbt_project.compiled_project import Compiled
from tests.dbt_project.google_analyzer import NotBigQueryError, Tables, analyze, declared


def test_google_accepts_every_model_test_and_analysis_and_finds_the_columns_that_the_yaml_declares(
    compiled: Compiled,
) -> None:
    analysis = analyze(compiled)
    assert analysis.refused == []
    assert len(compiled.of_type("test")) > 30
    assert len(compiled.of_type("analysis")) >= 1
    for model in compiled.models:
        assert list(analysis.columns[model["name"]].items()) == list(declared(model).items()), model["name"]


@pytest.fixture
def tables() -> Tables:
    tables = Tables()
    tables.declare("p.d.posts", {"id": "int64", "tags": "array<string>", "body": "string"})
    return tables


def test_the_analyzer_types_what_a_query_gives(tables: Tables) -> None:
    assert tables.check("select id, tags, id > 1 as is_new, array_agg(id) over () as ids from `p`.`d`.`posts`") == {
        "id": "int64",
        "tags": "array<string>",
        "is_new": "bool",
        "ids": "array<int64>",
    }


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("select nope from `p`.`d`.`posts`", "Unrecognized name: nope"),
        ("select id from `p`.`d`.`elsewhere`", "Table not found"),
        ("select regexp_contains(id, 'x') from `p`.`d`.`posts`", "No matching signature for function REGEXP_CONTAINS"),
        ("select list_transform(tags, x -> x) from `p`.`d`.`posts`", "Function not found: list_transform"),
        ("select len(body) from `p`.`d`.`posts`", "Function not found: len"),
        ("select body ilike 'x' from `p`.`d`.`posts`", "Syntax error"),
        ("select content from read_text('/etc/hostname')", "not found"),
    ],
)
def test_the_analyzer_refuses_what_bigquery_would(tables: Tables, query: str, reason: str) -> None:
    with pytest.raises(NotBigQueryError, match=reason):
        tables.check(query)


def test_a_duckdb_only_function_in_any_one_model_is_refused(compiled_for_gcp: Compiled) -> None:
    tables = analyze(compiled_for_gcp).tables
    for model in compiled_for_gcp.models:
        spoilt = f"select *, list_sort([1]) as spoilt from ({model['compiled_code']})"  # noqa: S608
        with pytest.raises(NotBigQueryError, match="Function not found: list_sort"):
            tables.check(spoilt)
