"""An extract job exports the mart from the local BigQuery, once for each build, together with the build's row."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from google.cloud import bigquery

from tests.homes import free_port
from tests.marts import BUILD, INSTRUCTIONS, PREFERENCES, preference_row, row, write_snapshot
from tuning.dataset.options import DatasetOptions, resolve_options
from tuning.dataset.snapshot.export import export, find_snapshot
from tuning.errors import TuningError
from tuning.settings import Settings
from tuning.warehouse import emulator
from tuning.warehouse.client import connect
from tuning.warehouse.contract import contract
from tuning.warehouse.load import load_tables
from tuning.warehouse.variables import Variables

ROWS = [row(number) for number in range(40)]
_TYPES = {pa.string(): "STRING", pa.int64(): "INT64", pa.timestamp("us", tz="UTC"): "TIMESTAMP"}


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    settings = Settings(home=tmp_path_factory.mktemp("export") / "home", bigquery_port=free_port())
    emulator.ensure(settings)
    yield settings
    emulator.stop(settings)


def load(settings: Settings, folder: Path, table: str, schema: pa.Schema, rows: list[dict[str, Any]]) -> None:
    path = folder / "table.parquet"
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), path)
    fields = [
        bigquery.SchemaField(field.name, _TYPES[field.type.value_type], mode="REPEATED")
        if pa.types.is_list(field.type)
        else bigquery.SchemaField(field.name, _TYPES[field.type])
        for field in schema
    ]
    load_tables(settings, connect(settings), {table: ([path], fields)})


def load_build(
    settings: Settings, folder: Path, invocation: str, instructions: int = len(ROWS), **given: object
) -> None:
    """Load the marts as after a build; `instructions` is the number of rows that the build recorded."""
    agreed = contract(settings, Variables())
    preferences = [preference_row(number) for number in range(7)]
    load(settings, folder, agreed.mart, INSTRUCTIONS, ROWS)
    load(settings, folder, agreed.preferences, PREFERENCES, preferences)
    build = {
        **BUILD,
        "invocation_id": invocation,
        "instructions": instructions,
        "preferences": len(preferences),
        **given,
    }
    schema = pa.schema([(name, pa.int64() if isinstance(value, int) else pa.string()) for name, value in build.items()])
    load(settings, folder, agreed.build, schema, [build])


@pytest.mark.slow
def test_without_a_mart_the_error_names_the_command_to_run(warehouse: Settings) -> None:
    with pytest.raises(TuningError, match=r"instructions is not built\. Run `invoke build` first"):
        export(msgspec.structs.replace(warehouse, bigquery_dataset="not_built"), Variables())


@pytest.mark.slow
def test_each_build_is_exported_once(warehouse: Settings, tmp_path: Path) -> None:
    load_build(warehouse, tmp_path, "first")
    first = export(warehouse, Variables())
    assert (first.kind, first.rows) == ("instructions", len(ROWS))
    assert first.digest == write_snapshot(tmp_path / "same", ROWS).digest
    assert (first.template, first.build["invocation_id"]) == (BUILD["instruction_template"], "first")
    mark = first.files[0].stat().st_ino
    assert export(warehouse, Variables()) == first
    assert first.files[0].stat().st_ino == mark

    preferences = export(warehouse, Variables(), resolve_options(format="trl-preference"))
    assert (preferences.kind, preferences.rows) == ("preferences", 7)

    load_build(warehouse, tmp_path, "second")
    second = export(warehouse, Variables())
    assert second.folder != first.folder
    assert second.digest == first.digest
    assert find_snapshot(warehouse, DatasetOptions()) == second
    assert find_snapshot(warehouse, resolve_options(format="gemini-preference")) == preferences

    load_build(warehouse, tmp_path, "third", instructions=41)
    with pytest.raises(TuningError, match="has 40 rows, but its build recorded 41"):
        export(warehouse, Variables())
    assert find_snapshot(warehouse, DatasetOptions()) == second

    agreed = contract(warehouse, Variables())
    load(warehouse, tmp_path, agreed.mart, INSTRUCTIONS.remove(INSTRUCTIONS.get_field_index("answer_url")), ROWS)
    with pytest.raises(TuningError, match="lacks the column answer_url"):
        export(warehouse, Variables())


def test_without_a_snapshot_of_the_kind_the_error_names_the_command_to_run(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    write_snapshot(tmp_path / "snapshots" / "one", ROWS)
    assert find_snapshot(settings, DatasetOptions()).rows == len(ROWS)
    with pytest.raises(TuningError, match="invoke dataset"):
        find_snapshot(settings, resolve_options(format="trl-preference"))
    with pytest.raises(TuningError, match="invoke dataset"):
        find_snapshot(settings, resolve_options(preset="seed"), Variables.seed())
