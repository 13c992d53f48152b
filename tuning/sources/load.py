"""From Parquet files to the raw tables: all of them or none, one load at a time."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from tuning.errors import TuningError
from tuning.settings import Settings, variable
from tuning.sources.origin import Origin, table_id
from tuning.sources.schemas import TABLES, arrow_schema, bigquery_schema
from tuning.storage import locked

_PUBLIC = "bigquery-public-data"


@contextlib.contextmanager
def staging(settings: Settings) -> Iterator[Path]:
    """An empty folder for Parquet files, this process's alone, gone afterwards, as is what a killed process left."""
    if settings.target == "gcp" and settings.raw_database == _PUBLIC:
        raise TuningError(
            f"nothing can be loaded into Google's own {_PUBLIC}",
            f"Set {variable('raw_database')} to a project of yours, or leave --target out",
        )
    with locked(settings.home / "sources.lock", "loading of the raw tables"):
        folder = settings.home / "sources"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def is_loaded(settings: Settings) -> bool:
    """Whether the raw tables are there, whatever filled them."""
    from google.cloud.exceptions import NotFound

    from tuning.warehouse.client import connect

    try:
        connect(settings).get_table(table_id(settings, "posts_questions"), timeout=30)
    except NotFound:
        return False
    return True


def load_raw(settings: Settings, folder: Path, origin: Origin) -> None:
    """Replace every raw table by ``folder/TABLE.parquet``, and the origin beside them."""
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
