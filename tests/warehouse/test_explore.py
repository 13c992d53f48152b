"""The first look: tables and rows, by the API alone."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from google.cloud import bigquery

from tuning.errors import TuningError
from tuning.settings import Settings
from tuning.warehouse.client import query
from tuning.warehouse.explore import full_name, list_tables, peek, row_lines, table_lines
from tuning.warehouse.load import load_tables


@pytest.fixture
def stations(warehouse: Settings, client: bigquery.Client, tmp_path: Path) -> Settings:
    """Settings whose source is a dataset with one table of five rows and one view."""
    settings = Settings(home=warehouse.home, bigquery_port=warehouse.bigquery_port, raw_schema="stations")
    path = tmp_path / "stations.parquet"
    pq.write_table(
        pa.table({"id": pa.array(range(5), pa.int64()), "name": ["a", "b", "\x1b[31mred", None, "e" * 999]}), path
    )
    schema = [bigquery.SchemaField("id", "INT64"), bigquery.SchemaField("name", "STRING")]
    load_tables(settings, client, {"bigquery-public-data.stations.all_stations": ([path], schema)})
    query(
        client,
        "create or replace view `bigquery-public-data.stations.named` as "
        "select id from `bigquery-public-data.stations.all_stations` where name is not null",
    )
    return settings


def test_tables_are_listed_with_their_rows(stations: Settings) -> None:
    listed = {table.name: table.rows for table in list_tables(stations)}
    assert listed["all_stations"] == 5
    first = next(table_lines(list_tables(stations)))
    assert first.split() == ["all_stations", "5", "rows", "0", "bytes"]


def test_a_few_rows_are_shown_by_the_source_name_and_by_the_full_one(stations: Settings) -> None:
    first = [{"id": 0, "name": "a"}, {"id": 1, "name": "b"}]
    assert list(peek(stations, "all_stations", 2)) == first
    assert list(peek(stations, "bigquery-public-data.stations.all_stations", 2)) == first
    assert len(list(peek(stations, "all_stations"))) == 3
    assert len(list(peek(stations, "all_stations", 100))) == 5


def test_what_a_terminal_would_obey_is_not_printed_and_long_values_are_cut(stations: Settings) -> None:
    rows = list(peek(stations, "all_stations", 5))
    assert list(row_lines(rows[2])) == ["id    2", "name  [31mred"]
    assert list(row_lines(rows[3])) == ["id    3", "name  NULL"]
    assert list(row_lines(rows[4]))[1] == "name  " + "e" * 300 + " ..."


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (
            "nothing",
            "table bigquery-public-data.stations.nothing does not exist. Run `invoke explore.tables` to list",
        ),
        ("named", "bigquery-public-data.stations.named is a view"),
        ("x` union all select 1 --", "is not a table name"),
        ("a.b.c.d", "is not a table name"),
        ("", "is not a table name"),
    ],
)
def test_what_is_no_table_is_one_line(stations: Settings, table: str, message: str) -> None:
    with pytest.raises(TuningError) as refused:
        list(peek(stations, table))
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_no_rows_and_no_tables_are_one_line_each(stations: Settings, warehouse: Settings) -> None:
    with pytest.raises(TuningError, match="--rows 0 is less than 1"):
        list(peek(stations, "all_stations", 0))
    nowhere = Settings(home=warehouse.home, bigquery_port=warehouse.bigquery_port, raw_schema="nowhere")
    with pytest.raises(
        TuningError, match=r"there are no tables in bigquery-public-data\.nowhere\. Run `invoke ingest DUMP`"
    ):
        list_tables(nowhere)


def test_short_names_are_completed() -> None:
    settings = Settings(project="mine")
    assert full_name(settings, "users") == "bigquery-public-data.stackoverflow.users"
    assert full_name(settings, "python_qa.python_qa_build") == "mine.python_qa.python_qa_build"
    assert full_name(settings, "other-project.d.t") == "other-project.d.t"
