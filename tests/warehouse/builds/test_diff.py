"""Two builds compared by key, in BigQuery's SQL."""

from collections.abc import Iterator
from typing import Any

import pytest
from google.cloud import bigquery

from tests.dbt_project.google_analyzer import Tables
from tuning.errors import TuningError
from tuning.settings import Settings
from tuning.warehouse.builds import diff
from tuning.warehouse.builds.diff import diff_builds
from tuning.warehouse.builds.lines import diff_lines
from tuning.warehouse.client import connect, query
from tuning.warehouse.dbt import BuildResult, Variables

pytestmark = pytest.mark.slow

FROM = "local-project.python_qa"
TO = "local-project.changed"
ROWS = 40
SINCE = Variables(since="2021-01-01")


@pytest.fixture
def home(built: tuple[Settings, BuildResult]) -> Iterator[Settings]:
    """A home with a second build, `changed`, whose instructions differ from the first in seven rows."""
    settings, _ = built
    client = connect(settings)
    client.create_dataset("changed")
    for table in ("python_qa_instructions", "python_qa_build"):
        query(client, f"create table `{TO}.{table}` as select * from `{FROM}.{table}`")  # noqa: S608
    mart = f"`{TO}.python_qa_instructions`"
    ids = [row.id for row in query(client, f"select example_id as id from {mart} order by example_id")]  # noqa: S608
    changes = [
        "delete from {mart}",
        "update {mart} set example_id = 'new-1'",
        "update {mart} set answer_body = null",
        "update {mart} set answer_body = 'new', answer_score = null",
        "update {mart} set tags = ['python', 'new']",
        "update {mart} set tags = []",
    ]
    for change, example in zip(changes, ids, strict=False):
        sql = f"{change.format(mart=mart)} where example_id = @id"
        query(client, sql, [bigquery.ScalarQueryParameter("id", "STRING", example)])
    build = f"`{TO}.python_qa_build`"
    query(client, f"update {build} set variables = replace(variables, '2020-01-01', '2021-02-03') where true")  # noqa: S608
    yield settings
    client.delete_dataset("changed", delete_contents=True)


def test_rows_and_values_that_differ_are_counted_by_key_and_both_builds_are_named(
    home: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def ask(client: Any, sql: str) -> Any:
        asked.append(sql)
        return query(client, sql)

    monkeypatch.setattr(diff, "query", ask)
    found = diff_builds(home, Variables(), after="changed")
    instructions, preferences = found.marts
    assert instructions.rows == (ROWS, ROWS - 1)
    assert (instructions.added, instructions.removed, instructions.changed) == (1, 2, 4)
    assert {name: count for name, count in instructions.columns if count} == {
        "answer_body": 2,
        "answer_score": 1,
        "tags": 2,
    }
    assert {kind: len(keys) for kind, keys in instructions.examples} == {"added": 1, "changed": 4, "removed": 2}
    assert preferences.missing_from == ("changed",)

    lines = list(diff_lines(found))
    assert lines[0].startswith("before  python_qa: build ")
    assert lines[1].startswith("after   changed: build ")
    assert "variable since: '2020-01-01' before, '2021-02-03' after" in lines
    assert "python_qa_instructions: 40 rows before, 39 after: 1 added, 2 removed, 4 changed, 34 equal" in lines
    assert "             2 rows changed in tags" in lines
    assert "  added: new-1" in lines
    assert lines[-1] == "python_qa_preferences is not in changed"
    assert_google_accepts(connect(home), asked)


def assert_google_accepts(client: bigquery.Client, asked: list[str]) -> None:
    types = {"STRING": "string", "INTEGER": "int64", "BOOLEAN": "bool", "TIMESTAMP": "timestamp"}
    tables = Tables()
    for name in (f"{FROM}.python_qa_instructions", f"{TO}.python_qa_instructions"):
        columns = {
            field.name: f"array<{types[field.field_type]}>" if field.mode == "REPEATED" else types[field.field_type]
            for field in client.get_table(name).schema
        }
        tables.declare(name, columns)
    assert [list(tables.check(sql).values())[-1] for sql in asked] == ["int64", "string"]


def test_a_column_of_one_build_only_is_named_and_a_key_that_is_not_unique_is_refused(home: Settings) -> None:
    client, mart = connect(home), f"`{TO}.python_qa_instructions`"
    query(client, f"create or replace table {mart} as select * except (tags), 1 as extra from {mart}")  # noqa: S608
    found = diff_builds(home, Variables(), before="changed", after="python_qa")
    assert (found.marts[0].only_before, found.marts[0].only_after) == (("extra",), ("tags",))
    assert "  columns only in changed: extra" in list(diff_lines(found))
    query(client, f"insert into {mart} select * from {mart} where example_id = 'new-1'")  # noqa: S608
    with pytest.raises(TuningError, match=r"example_id is not unique in changed\.python_qa_instructions"):
        diff_builds(home, Variables(), after="changed")


def test_a_build_that_is_not_there_or_given_twice_is_one_line(built: tuple[Settings, BuildResult]) -> None:
    settings, _ = built
    for variables, given, message in (
        (Variables(), {}, "both the build in the BigQuery dataset python_qa. Name two datasets with --before and"),
        (Variables(), {"after": "missing"}, "missing in .*: `TUNING_BIGQUERY_DATASET=missing invoke build`$"),
        (SINCE, {"before": "gone", "after": "x"}, "gone in .*: `TUNING_BIGQUERY_DATASET=gone invoke build`$"),
        (SINCE, {}, "python_qa_[0-9a-f]{8} in local-project. Build it first: `invoke build` with the same options$"),
        (Variables(), {"after": "a`; drop table b"}, "is not the name of a BigQuery dataset"),
    ):
        with pytest.raises(TuningError, match=message):
            diff_builds(settings, variables, **given)
