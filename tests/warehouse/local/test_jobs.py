"""Query jobs over the REST API and Google's client: errors, default and destination tables, parameters, scripts."""

import datetime
import decimal
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from google.api_core.exceptions import BadRequest, Conflict, NotFound
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery

from tuning.settings import Settings
from tuning.sources.load_sample import load_sample
from tuning.warehouse import emulator
from tuning.warehouse.client import query

Rows = Callable[..., list[tuple[Any, ...]]]


@pytest.fixture(scope="module")
def words(warehouse: Settings) -> Iterator[str]:
    """A dataset with a table of two rows."""
    from tuning.warehouse.client import connect

    client = connect(warehouse)
    client.create_dataset("jobs")
    query(client, "create table jobs.words (Id int64, word string, tags array<string>, n numeric, j json)")
    query(
        client,
        "insert into jobs.words values (1, 'a', ['x', 'y'], 1.5, json '{\"k\": [1, 2]}'), "
        "(2, 'b', [], 2, json '{\"k\": 3}')",
    )
    yield "jobs"
    client.delete_dataset("jobs", delete_contents=True)


@pytest.fixture
def rows(client: bigquery.Client, words: str) -> Rows:
    """Run a query with `words` as its default dataset, and return its rows."""

    def run(sql: str, *parameters: Any, **options: Any) -> list[tuple[Any, ...]]:
        config = bigquery.QueryJobConfig(
            default_dataset=f"{client.project}.{words}", query_parameters=parameters, **options
        )
        return [tuple(row.values()) for row in client.query(sql, job_config=config).result()]

    return run


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("selec 1", "Syntax error"),
        ("select * from x y z", 'Unexpected "z" at [1:19]'),
        ("select foo from (select 1 as a)", "Unrecognized name: foo"),
        ("select 1 / 0", "division by zero"),
        ("select cast('x' as int64)", "Bad int64 value: x"),
        ("select nothing(1)", "Function not found: nothing"),
        ("select len('a')", "Function not found: len"),
        ("select json_value(1)", "No matching signature for function"),
        ("select @p", "Query parameter 'p' not found"),
        ("select 'open", "Unclosed string literal"),
        ("select [1, null]", "Array cannot have a null element"),
        ("select 1; select foo", "Unrecognized name: foo"),
        ("select ml.predict(1)", "not supported"),
        ("while true do select 1; end", "Expected"),
        ("", "Empty query"),
        ("select date '2024-13-01'", "2024-13-01"),
    ],
)
def test_a_faulty_query_is_status_400_with_a_message_for_people(warehouse: Settings, sql: str, message: str) -> None:
    projects = f"{emulator.ensure(warehouse).endpoint}/bigquery/v2/projects/{warehouse.project}"
    answer = requests.post(f"{projects}/queries", json={"query": sql, "useLegacySql": False}, timeout=60)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["code"] == 400
    assert error["status"] == "INVALID_ARGUMENT"
    assert error["errors"][0]["reason"] == "invalidQuery"
    assert message in error["message"]
    assert "LINE 1" not in error["message"]


def test_googles_client_does_not_repeat_a_faulty_query(client: bigquery.Client) -> None:
    for sql in ("select struct(t.a, t.b) + 1 from (select 1 a, 2 b) t", "select foo", "select sqrt(-1)"):
        with pytest.raises(BadRequest):
            client.query(sql).result()
        with pytest.raises(BadRequest):
            client.query_and_wait(sql)


def test_what_does_not_exist_is_not_found(rows: Rows) -> None:
    with pytest.raises(NotFound, match="Not found: Dataset local-project:nowhere"):
        rows("select * from nowhere.words")
    with pytest.raises(NotFound, match=r"Not found: Table local-project:jobs\.WORDS"):
        rows("select * from WORDS")  # BigQuery's names of tables are case-sensitive
    with pytest.raises(NotFound, match="Not found: Dataset local-project:nowhere"):
        rows("select * from nowhere.INFORMATION_SCHEMA.TABLES")


def test_tables_without_a_dataset_are_in_the_default_one(rows: Rows, client: bigquery.Client) -> None:
    assert rows("select id, word from words order by id") == [(1, "a"), (2, "b")]
    assert rows("with words as (select * from words where id = 1) select word from words") == [("a",)]
    assert rows("select table_name from INFORMATION_SCHEMA.TABLES") == [("words",)]
    assert rows("select table_id, row_count from jobs.__TABLES__") == [("words", 2)]
    config = bigquery.QueryJobConfig(default_dataset=f"{client.project}.jobs")
    assert [row.n for row in client.query_and_wait("select count(*) as n from words", job_config=config)] == [2]


def test_a_script_has_the_default_dataset_and_parameters(rows: Rows) -> None:
    named = bigquery.ScalarQueryParameter("least", "INT64", 2)
    script = (
        "declare n int64 default (select max(id) from words);"
        "create temp table top as select * from words where id = n;"
        "create table made as select id from top; insert into made select @least + 0.5 * 2;"
        "drop table top;"
        "select id, '@least' as text from made order by id"
    )
    assert rows(script, named) == [(2, "@least"), (3, "@least")]
    assert rows("drop table made; select cast(2.5 as int64) as x") == [(3,)]
    with pytest.raises(BadRequest, match="Bad int64 value: a"):
        rows("declare x int64 default 'a'; select x")


def test_information_schema_by_every_kind_of_name(rows: Rows) -> None:
    for name in ("jobs.INFORMATION_SCHEMA.TABLES", "`local-project.jobs.INFORMATION_SCHEMA.TABLES`"):
        assert rows(f"select table_name from {name} where table_type = 'BASE TABLE'") == [("words",)]  # noqa: S608
    columns = "select column_name, data_type from jobs.INFORMATION_SCHEMA.COLUMNS where ordinal_position = 3"
    assert rows(columns) == [("tags", "ARRAY<STRING>")]
    assert ("jobs",) in rows("select schema_name from INFORMATION_SCHEMA.SCHEMATA")


def test_information_schema_has_partitions_clustering_and_labels(rows: Rows, client: bigquery.Client) -> None:
    made = "options(labels=[('team', 'data')], description='facts') as select timestamp '2021-03-05 06:00:00+00' as at"
    rows(f"create table part partition by timestamp_trunc(at, month) cluster by word {made}, 7 as id, 'a' as word")
    rows(f"create table ranged partition by range_bucket(id, generate_array(0, 100, 5)) {made}, 7 as id")
    columns = "select column_name, is_partitioning_column, clustering_ordinal_position from INFORMATION_SCHEMA.COLUMNS"
    assert rows(f"{columns} where table_name = 'part' order by ordinal_position") == [
        ("at", "YES", None),
        ("id", "NO", None),
        ("word", "NO", 1),
    ]
    options = "select option_name, option_value from INFORMATION_SCHEMA.TABLE_OPTIONS where table_name = 'part'"
    assert sorted(rows(options)) == [("description", '"facts"'), ("labels", '[("team", "data")]')]
    partitions = "select table_name, partition_id, total_rows from INFORMATION_SCHEMA.PARTITIONS order by 1"
    assert rows(partitions) == [("part", "202103", 1), ("ranged", "5", 1), ("words", None, 2)]
    table = client.get_table(f"{client.project}.jobs.part")
    assert (table.time_partitioning.field, table.time_partitioning.type_) == ("at", "MONTH")
    assert (table.clustering_fields, table.labels) == (["word"], {"team": "data"})
    rows("drop table part; drop table ranged")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("jobs.INFORMATION_SCHEMA.COLUMN_FIELD_PATHS", "does not support INFORMATION_SCHEMA.COLUMN_FIELD_PATHS"),
        ("jobs.INFORMATION_SCHEMA.SCHEMATA_OPTIONS", "does not support INFORMATION_SCHEMA.SCHEMATA_OPTIONS"),
        ("`region-us`.INFORMATION_SCHEMA.JOBS_BY_PROJECT", "It has COLUMNS, MATERIALIZED_VIEWS, PARTITIONS"),
        ("`region-us`.INFORMATION_SCHEMA.TABLES", "Name a dataset: `local-project.DATASET.INFORMATION_SCHEMA.TABLES`"),
        ("INFORMATION_SCHEMA.TABLES", "must be qualified with a dataset"),
    ],
)
def test_a_view_of_information_schema_that_it_lacks_is_refused(
    client: bigquery.Client, words: str, name: str, message: str
) -> None:
    with pytest.raises(BadRequest, match=message):
        client.query(f"select * from {name}").result()  # noqa: S608


def test_results_go_to_their_destination_table(rows: Rows, client: bigquery.Client) -> None:
    target, sql = f"{client.project}.jobs.kept", "select id, tags, n, j, 1 as one from words order by id"
    first = rows(sql, destination=target)
    assert [tuple(row.values())[:2] for row in client.list_rows(target)] == [(1, ["x", "y"]), (2, [])]
    assert [field.field_type for field in client.get_table(target).schema][:3] == ["INTEGER", "STRING", "NUMERIC"]
    with pytest.raises(Conflict, match="Already Exists"):
        rows(sql, destination=target)
    rows(sql, destination=target, write_disposition="WRITE_APPEND")
    assert client.get_table(target).num_rows == 4
    assert rows(sql, destination=target, write_disposition="WRITE_TRUNCATE") == first
    assert client.get_table(target).num_rows == 2
    with pytest.raises(BadRequest, match=r"Cannot add fields \(field: other\)"):
        rows("select 1 as other", destination=target, write_disposition="WRITE_APPEND")
    with pytest.raises(NotFound):
        rows(sql, destination=f"{client.project}.nowhere.kept")
    client.delete_table(target)


def test_parameters_keep_their_types_and_texts(rows: Rows) -> None:
    text, day = (
        bigquery.ScalarQueryParameter("x", "STRING", "it's \\ %"),
        bigquery.ScalarQueryParameter(None, "DATE", "2024-01-01"),
    )
    assert rows(
        "select @x, '@x', word from words where word in unnest(@l)",
        text,
        bigquery.ArrayQueryParameter("l", "STRING", ["a"]),
    ) == [("it's \\ %", "@x", "a")]
    (row,) = rows("select ?, cast(? as int64)", day, bigquery.ScalarQueryParameter(None, "FLOAT64", 2.5))
    assert (str(row[0]), row[1]) == ("2024-01-01", 3)


def test_parameters_of_every_type(rows: Rows, client: bigquery.Client) -> None:
    moment = datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)
    given = {
        "BYTES": b"a\xff",
        "JSON": {"x": 1},
        "TIMESTAMP": moment,
        "DATETIME": datetime.datetime(2024, 1, 1, 2, 3, 4),  # noqa: DTZ001 - DATETIME has no zone
        "NUMERIC": decimal.Decimal("1.123456789"),
        "STRING": None,
        "INT64": 1,
    }
    named = [bigquery.ScalarQueryParameter(f"p_{kind}", kind, value) for kind, value in given.items()]
    sql = f"select {', '.join('@' + one.name for one in named)} -- not @p_INT64"
    names = {"INT64": "INTEGER"}
    for begin in ("", "declare x int64 default 1; "):
        config = bigquery.QueryJobConfig(query_parameters=named)
        result = client.query(begin + sql, job_config=config).result()
        assert [tuple(row.values()) for row in result] == [tuple(given.values())]
        kinds = [field.field_type for field in result.schema]
        if not begin:  # a script forgets the type of NULL
            assert kinds == [names.get(kind, kind) for kind in given]
    assert rows("select json_value(@P_json, '$.x'), to_hex(@p_bytes), @p_int64 in unnest([1])", *named) == [
        ("1", "61ff", True)
    ]
    positional = [bigquery.ScalarQueryParameter(None, kind, value) for kind, value in given.items()]
    assert rows(f"select {', '.join('?' * len(given))} /* ? */, '?'", *positional) == [(*given.values(), "?")]
    struct = bigquery.StructQueryParameter("s", bigquery.ScalarQueryParameter("b", "BYTES", b"x"))
    moments = bigquery.ArrayQueryParameter("l", "TIMESTAMP", [moment])
    assert rows("select @s.b, @l, array_length(@l)", struct, moments) == [(b"x", [moment], 1)]
    with pytest.raises(BadRequest, match=r"does not support BIGNUMERIC\. Use NUMERIC"):
        rows("select @x", bigquery.ScalarQueryParameter("x", "BIGNUMERIC", 1))


def test_numeric_columns_have_nine_decimals(rows: Rows, client: bigquery.Client) -> None:
    value = decimal.Decimal("1.123456789")
    rows("create table exact (x numeric, l array<numeric>, s struct<n numeric>, short numeric(10, 2))")
    rows("alter table jobs.exact add column y numeric")
    rows(f"insert into exact values ({value}, [numeric '{value}'], struct(numeric '{value}'), 1.25, {value})")  # noqa: S608
    assert rows("select * from exact") == [(value, [value], {"n": value}, decimal.Decimal("1.25"), value)]
    rows("create table product as select x * x as p from exact")
    assert rows("select p, p = round(p, 9) from product") == [(decimal.Decimal("1.262155157"), True)]
    for table, kind in (("made", "NUMERIC"), ("wide", "BIGNUMERIC")):
        schema = [bigquery.SchemaField("x", kind)]
        one = bigquery.Table(f"{client.project}.jobs.{table}", schema=schema)
        if kind == "BIGNUMERIC":
            with pytest.raises(BadRequest, match=r"does not support BIGNUMERIC\. Use NUMERIC"):
                client.create_table(one)
        else:
            client.create_table(one)
            client.insert_rows_json(one, [{"x": str(value)}])
            assert [row.x for row in client.list_rows(one)] == [value]
            assert str(rows("select x * 10 from made")[0][0]) == "11.23456789"
    rows("drop table exact; drop table product; drop table made")


@pytest.mark.parametrize("sql", ["delete from words", "update words set id = 3", "delete jobs.words"])
def test_a_change_of_all_rows_needs_a_where(rows: Rows, sql: str) -> None:
    with pytest.raises(BadRequest, match="must have a WHERE clause"):
        rows(sql)
    assert rows("select id from words order by id") == [(1,), (2,)]
    rows("update words set id = id where true")
    rows("delete jobs.words w where w.id > 2")
    assert len(rows("select id from words")) == 2


def test_earlier_versions_of_a_table_are_refused(rows: Rows) -> None:
    past = "select * from words for system_time as of timestamp_sub(current_timestamp(), interval 1 hour)"
    for sql in (past, f"select 1; {past}", f"create table jobs.old as {past}"):
        with pytest.raises(BadRequest, match="does not support FOR SYSTEM_TIME AS OF"):
            rows(sql)
    assert rows("select 'for system_time as of'") == [("for system_time as of",)]


@pytest.mark.parametrize(
    "sql",
    [
        *("describe jobs.words", "show tables", "checkpoint", "vacuum", "prepare x as select 1", "explain select 1"),
        *("values (1)", "/* x */ pragma version", "create macro m(a) as a + 1", "create or replace sequence s"),
        *("select * from duckdb_tables()", "select * from sqlite_master", "select * from read_csv('x')"),
        *("copy jobs.words to 'x'", "use jobs", "analyze", "select * from (describe jobs.words)", "summarize words"),
        *("comment on table jobs.words is 'a'", "select 1; show tables", "execute immediate 'show tables'"),
        "insert into words (id) select * from (values (1))",
    ],
)
def test_statements_and_tables_of_duckdb_are_refused(rows: Rows, sql: str) -> None:
    with pytest.raises((BadRequest, NotFound)):
        rows(sql)


def test_no_reason_of_an_error_makes_googles_client_repeat_the_query() -> None:
    printed = subprocess.run(
        [
            sys.executable,
            "-c",
            "from bqemulator.domain import errors; from tuning.warehouse.local import patches; patches.apply();"
            "print([k.__name__ for k in errors.DomainError.__subclasses__()"
            " if k.http_status >= 429 or k.bq_reason in ('internalError', 'outOfRange', 'notImplemented')])",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert printed.stdout.splitlines()[-1] == "[]"


def test_temporary_tables_end_with_their_job(rows: Rows, client: bigquery.Client) -> None:
    for _ in range(2):
        assert rows("create temp table x as select 42 as a; select a from x") == [(42,)]
    for begin in ("create temp table x as select 1 as a; select 1 / 0", "select a from x"):
        with pytest.raises((BadRequest, NotFound)):
            rows(begin)
    made = "execute immediate 'create temp table y as select 1 as a'; execute immediate 'select a from y'"
    for _ in range(2):
        assert [row.a for row in query(client, made)] == [1]


def test_views_are_corrected_too(rows: Rows) -> None:
    rows("create view jobs.rounded as select Id, cast(2.5 as int64) as x from words")
    assert rows("select * from rounded order by 1") == [(1, 3), (2, 3)]
    rows("drop view jobs.rounded")


def test_json_columns_have_elements_from_zero(rows: Rows) -> None:
    assert rows("select j.k[0], json_value(j, '$.k[1]'), to_json_string(j) from words where id = 1") == [
        (1, "2", '{"k":[1,2]}')
    ]


def test_a_dry_run_tells_the_schema_and_makes_nothing(rows: Rows, client: bigquery.Client) -> None:
    config = bigquery.QueryJobConfig(dry_run=True)
    assert [field.name for field in client.query("select id, 1 from jobs.words", job_config=config).schema] == [
        "id",
        "f0_",
    ]
    client.query("create table jobs.never as select 1 as a", job_config=config)
    with pytest.raises(NotFound):
        client.get_table("jobs.never")
    with pytest.raises(BadRequest):
        client.query("select nope from jobs.words", job_config=config)


def test_a_small_and_a_large_result_become_dataframes_without_googles_servers(client: bigquery.Client) -> None:
    for count, size in ((20_000, 10), (11_000, 2_000)):
        sql = f"select x, repeat('a', {size}) as s from unnest(generate_array(1, {count})) as x order by x"  # noqa: S608
        frame = client.query(sql).result().to_arrow().to_pandas()
        assert (len(frame), frame.x.iloc[-1], len(frame.s.iloc[0])) == (count, count, size)


def test_the_course_notebooks_queries_run_as_they_are(
    new_home: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = new_home()
    load_sample(settings, 40)
    # The lines of dbt_project/README.md that connect a notebook.
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", emulator.ensure(settings).endpoint)
    bq_client = bigquery.Client(project="local-project", credentials=AnonymousCredentials())  # type: ignore[no-untyped-call]
    query_tables = """
SELECT
  table_name
FROM
  `bigquery-public-data.stackoverflow.INFORMATION_SCHEMA.TABLES`
"""
    query_job = bq_client.query(query_tables)
    assert {value for row in query_job for value in row.values()} >= {"posts_questions", "posts_answers"}
    inspect_query = """
SELECT
    *
FROM
    `bigquery-public-data.stackoverflow.posts_questions`
LIMIT 3
"""
    stack_overflow_df = bq_client.query(inspect_query).result().to_arrow().to_pandas()
    assert len(stack_overflow_df.head()) == 3
    query_all = """
SELECT
    *
FROM
    `bigquery-public-data.stackoverflow.posts_questions` q
"""
    stack_overflow_df = bq_client.query(query_all).result().to_arrow().to_pandas()
    assert len(stack_overflow_df) == bq_client.get_table("bigquery-public-data.stackoverflow.posts_questions").num_rows
    query = """
SELECT
    CONCAT(q.title, q.body) as input_text,
    a.body AS output_text
FROM
    `bigquery-public-data.stackoverflow.posts_questions` q
JOIN
    `bigquery-public-data.stackoverflow.posts_answers` a
ON
    q.accepted_answer_id = a.id
WHERE
    q.accepted_answer_id IS NOT NULL AND
    REGEXP_CONTAINS(q.tags, "python") AND
    a.creation_date >= "2020-01-01"
LIMIT
    10000
"""
    stack_overflow_df = bq_client.query(query).result().to_arrow().to_pandas()
    assert list(stack_overflow_df.columns) == ["input_text", "output_text"]
    assert len(stack_overflow_df) > 0
