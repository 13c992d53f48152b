"""Load Parquet files into the raw tables: all of them or none, one load at a time."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from tuning.settings import Settings
from tuning.sources.origin import Origin, table_id
from tuning.sources.schemas import TABLES, arrow_schema, bigquery_schema
from tuning.storage import locked


@contextlib.contextmanager
def staging(settings: Settings) -> Iterator[Path]:
    """Yield an empty folder for Parquet files, and delete it afterwards.

    A lock makes sure that only one process uses the folder. Files that a killed process left there are deleted. Raises
    TuningError if the raw tables are Google's public dataset, or if another process loads tables at the moment.
    """
    from tuning.warehouse.client import find_warehouse

    find_warehouse(settings).require_writable()
    with locked(settings.home / "sources.lock", "loading of the raw tables"):
        folder = settings.home / "sources"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def is_loaded(settings: Settings) -> bool:
    """Return whether the raw table of the questions exists. Raises TuningError if BigQuery does not answer."""
    from google.cloud.exceptions import NotFound

    from tuning.warehouse.client import connect

    try:
        connect(settings).get_table(table_id(settings, "posts_questions"), timeout=30)
    except NotFound:
        return False
    return True


def load_raw(settings: Settings, folder: Path, origin: Origin) -> None:
    """Replace every raw table with ``folder/TABLE.parquet``, and the table ``origin`` with the value `origin`.

    Raises TuningError if a file cannot be loaded. Every table then stays as it was.
    """
    from tuning.warehouse.client import connect
    from tuning.warehouse.load import load_tables

    pq.write_table(
        pa.Table.from_pylist([msgspec.to_builtins(origin)], arrow_schema("origin")), folder / "origin.parquet"
    )
    load_tables(
        settings,
        connect(settings),
        {table_id(settings, table): ([folder / f"{table}.parquet"], bigquery_schema(table)) for table in TABLES},
    )
