"""Tables are replaced whole or not at all, and leave as one complete file."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from google.api_core.exceptions import BadRequest
from google.cloud import bigquery

from tuning.errors import TuningError
from tuning.settings import Settings
from tuning.warehouse.load import extract_parquet, load_tables

SCHEMA = [
    bigquery.SchemaField("id", "INT64"),
    bigquery.SchemaField("title", "STRING"),
    bigquery.SchemaField("tags", "STRING", "REPEATED"),
]
FRUIT = "bigquery-public-data.shop.fruit"
NUTS = "bigquery-public-data.shop.nuts"


def write(path: Path, rows: list[tuple[int, str | None, list[str]]]) -> Path:
    ids, titles, tags = zip(*rows, strict=True)
    table = pa.table({"id": pa.array(ids, pa.int64()), "title": pa.array(titles, pa.string()), "tags": list(tags)})
    pq.write_table(table, path)
    return path


def rows_of(client: bigquery.Client, table: str) -> list[tuple[object, ...]]:
    return sorted(tuple(row.values()) for row in client.list_rows(table))


def load_old(settings: Settings, client: bigquery.Client, folder: Path) -> None:
    old = write(folder / "old.parquet", [(1, "old", [])])
    load_tables(settings, client, {FRUIT: ([old], SCHEMA), NUTS: ([old], SCHEMA)})


def test_files_of_one_table_are_joined_and_replace_what_was_there(
    warehouse: Settings, client: bigquery.Client, tmp_path: Path
) -> None:
    load_old(warehouse, client, tmp_path)
    files = [
        write(tmp_path / "a.parquet", [(1, "apple", ["red", "round"]), (2, None, [])]),
        write(tmp_path / "b.parquet", [(3, "çà 🍐", ["green"])]),
    ]
    assert load_tables(warehouse, client, {FRUIT: (files, SCHEMA)}) == {FRUIT: 3}
    assert rows_of(client, FRUIT) == [(1, "apple", ["red", "round"]), (2, None, []), (3, "çà 🍐", ["green"])]
    assert client.get_table(FRUIT).num_rows == 3


def test_a_disk_that_is_full_for_the_load_and_for_the_cleanup_is_one_line_about_the_load(
    warehouse: Settings, client: bigquery.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise BadRequest('IO Error: Could not write file "x.duckdb.wal": No space left on device')  # type: ignore[no-untyped-call]

    monkeypatch.setattr(client, "load_table_from_uri", full)
    monkeypatch.setattr(client, "delete_table", full)
    file = write(tmp_path / "a.parquet", [(1, "apple", [])])
    with pytest.raises(TuningError, match=rf"^loading {FRUIT}: the disk became full: .*`invoke clean`"):
        load_tables(warehouse, client, {FRUIT: ([file], SCHEMA)})


def test_one_bad_file_leaves_every_table_as_it_was(
    warehouse: Settings, client: bigquery.Client, tmp_path: Path
) -> None:
    load_old(warehouse, client, tmp_path)
    good = write(tmp_path / "good.parquet", [(2, "new", [])])
    bad = write(tmp_path / "bad.parquet", [(3, "new", [])])
    content = bytearray(bad.read_bytes())
    content[4:40] = b"x" * 36  # the footer still reads, the pages do not
    bad.write_bytes(content)
    with pytest.raises(TuningError, match="loading bigquery-public-data\\.shop\\.nuts"):
        load_tables(warehouse, client, {FRUIT: ([good], SCHEMA), NUTS: ([good, bad], SCHEMA)})
    assert rows_of(client, FRUIT) == rows_of(client, NUTS) == [(1, "old", [])]
    assert sorted(table.table_id for table in client.list_tables("bigquery-public-data.shop")) == ["fruit", "nuts"]
    assert list((warehouse.gcs_dir / warehouse.bucket / "load").iterdir()) == []


KILLED = """
import json, os, pathlib, signal, sys
from google.cloud import bigquery
from tuning.settings import load_settings
from tuning.warehouse import load
from tuning.warehouse.client import connect

name, path, *fields = sys.argv[1:]
load.query = lambda *_: os.kill(os.getpid(), signal.SIGKILL)  # all is loaded, nothing replaced
settings = load_settings()
schema = [bigquery.SchemaField.from_api_repr(json) for json in map(json.loads, fields)]
load.load_tables(settings, connect(settings), {name: ([pathlib.Path(path)], schema)})
"""


def test_what_a_killed_process_loaded_halfway_goes_with_the_next_loading(
    warehouse: Settings, client: bigquery.Client, tmp_path: Path
) -> None:
    load_old(warehouse, client, tmp_path)
    new = write(tmp_path / "new.parquet", [(2, "new", [])])
    command = [sys.executable, "-c", KILLED, FRUIT, str(new), *(json.dumps(field.to_api_repr()) for field in SCHEMA)]
    home = {"TUNING_HOME": str(warehouse.home), "TUNING_BIGQUERY_PORT": str(warehouse.bigquery_port)}
    assert subprocess.run(command, env={**os.environ, **home}, check=False).returncode == -signal.SIGKILL
    tables = sorted(table.table_id for table in client.list_tables("bigquery-public-data.shop"))
    assert tables == ["fruit", "fruit__loading_here", "nuts"]
    assert rows_of(client, FRUIT) == [(1, "old", [])]

    load_tables(warehouse, client, {FRUIT: ([new], SCHEMA)})
    assert rows_of(client, FRUIT) == [(2, "new", [])]
    assert sorted(table.table_id for table in client.list_tables("bigquery-public-data.shop")) == ["fruit", "nuts"]
    assert list((warehouse.gcs_dir / warehouse.bucket / "load").iterdir()) == []


def test_a_file_with_columns_in_another_order_is_refused_by_name(
    warehouse: Settings, client: bigquery.Client, tmp_path: Path
) -> None:
    load_old(warehouse, client, tmp_path)
    swapped = tmp_path / "swapped.parquet"
    pq.write_table(pq.read_table(tmp_path / "old.parquet").select(["title", "id", "tags"]), swapped)
    with pytest.raises(TuningError, match="has the columns title, id, tags, but the table has id, title, tags"):
        load_tables(warehouse, client, {FRUIT: ([swapped], SCHEMA)})
    assert rows_of(client, FRUIT) == [(1, "old", [])]


def test_what_is_no_parquet_is_refused(warehouse: Settings, client: bigquery.Client, tmp_path: Path) -> None:
    (tmp_path / "text.parquet").write_text("no")
    with pytest.raises(TuningError, match="is not a Parquet file"):
        load_tables(warehouse, client, {FRUIT: ([tmp_path / "text.parquet"], SCHEMA)})


def test_an_extract_gives_the_tables_rows_and_replaces_the_last_one(
    warehouse: Settings, client: bigquery.Client, tmp_path: Path
) -> None:
    load_old(warehouse, client, tmp_path)
    prefix = f"gs://{warehouse.bucket}/out/fruit"
    extract_parquet(warehouse, client, FRUIT, prefix)
    load_tables(warehouse, client, {FRUIT: ([write(tmp_path / "new.parquet", [(7, "fig", ["brown"])])], SCHEMA)})
    (path,) = extract_parquet(warehouse, client, FRUIT, prefix)
    assert pq.read_table(path).to_pylist() == [{"id": 7, "title": "fig", "tags": ["brown"]}]
    assert list((warehouse.gcs_dir / warehouse.bucket / "out" / "fruit").iterdir()) == [path]


def test_an_extract_of_a_missing_table_leaves_nothing(warehouse: Settings, client: bigquery.Client) -> None:
    with pytest.raises(TuningError, match="exporting bigquery-public-data\\.shop\\.nothing"):
        extract_parquet(warehouse, client, "bigquery-public-data.shop.nothing", f"gs://{warehouse.bucket}/out/nothing")
    assert not (warehouse.gcs_dir / warehouse.bucket / "out" / "nothing").exists()
