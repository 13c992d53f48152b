"""Parquet into tables by load jobs and out of them by extract jobs: the two roads that are the same in both worlds."""

import os
import shutil
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tuning.errors import TuningError
from tuning.gcs.access import google_errors
from tuning.gcs.object_file import ObjectFile
from tuning.gcs.object_file import client as storage_client
from tuning.gcs.objects import is_folder, list_objects, object_files, put
from tuning.settings import Settings
from tuning.storage import local_path, locked, split_uri
from tuning.warehouse.client import LABELS, query, quoted

if TYPE_CHECKING:
    from google.cloud import bigquery

Sources = Mapping[str, tuple[Sequence[Path], Sequence["bigquery.SchemaField"]]]


def load_tables(settings: Settings, client: "bigquery.Client", tables: Sources) -> dict[str, int]:
    """Replace tables ``{"project.dataset.table": (Parquet files, schema)}`` and return each one's rows.

    All are loaded beside the real ones first, so that a file that does not fit leaves every table as it was; then each
    is replaced by one statement that happens or does not. Files must have the schema's columns in the schema's order.
    What a killed process left of its own loading goes when the next one loads the same tables here.
    """
    for files, schema in tables.values():
        for file in files:
            _check_columns(file, schema)
    if not is_folder(settings):  # a warehouse that others load into at the same time
        return _load_all(settings, client, tables, uuid.uuid4().hex[:12])
    with locked(settings.home / "load.lock", "loading tables"):
        return _load_all(settings, client, tables, "here")


def _load_all(settings: Settings, client: "bigquery.Client", tables: Sources, token: str) -> dict[str, int]:
    staged = {table: f"{table}__loading_{token}" for table in tables}
    rows = {}
    try:
        for table, (files, schema) in tables.items():
            with google_errors(f"loading {table}"), _offered(settings, files, token) as uris:
                client.create_dataset(table.rpartition(".")[0], exists_ok=True)
                rows[table] = _load(client, staged[table], uris, schema)
        for table in tables:
            with google_errors(f"replacing {table}"):
                query(client, f"create or replace table {quoted(table)} as select * from {quoted(staged[table])}")  # noqa: S608
    finally:
        with google_errors("removing what was loaded halfway"):
            for table in staged.values():
                client.delete_table(table, not_found_ok=True)
    return rows


def load_parquet(
    settings: Settings,
    client: "bigquery.Client",
    table: str,
    files: Sequence[Path],
    schema: Sequence["bigquery.SchemaField"],
) -> int:
    """`load_tables` for one table; returns its rows."""
    return load_tables(settings, client, {table: (files, schema)})[table]


def extract_parquet(
    settings: Settings, client: "bigquery.Client", table: str, prefix: str
) -> Sequence[Path | ObjectFile]:
    """Write the table as Parquet under ``gs://BUCKET/NAME``, in place of what is there; return the files, all complete.

    Paths where ``gs://`` is a local folder. On BigQuery it costs nothing and makes as many files as it likes; locally
    it makes one.
    """
    from google.cloud import bigquery

    config: Any = bigquery.ExtractJobConfig(destination_format="PARQUET", labels=LABELS)  # type: ignore[no-untyped-call]
    with google_errors(f"exporting {table}"):
        client.get_table(table)  # asked for a missing one, the local server fails in a way that is retried
        if is_folder(settings):
            folder = local_path(settings, prefix)
            folder.mkdir(parents=True, exist_ok=True)
            path, partial = folder / "part-000000000000.parquet", f"{prefix}/.{uuid.uuid4().hex}.parquet"
            try:
                client.extract_table(table, partial, job_config=config).result()
                local_path(settings, partial).replace(path)
            finally:
                local_path(settings, partial).unlink(missing_ok=True)
            return [path]
        _remove(settings, f"{prefix}/")
        client.extract_table(table, f"{prefix}/part-*.parquet", job_config=config).result()
        return object_files(settings, f"{prefix}/part-")


def _load(client: "bigquery.Client", table: str, uris: Sequence[str], schema: Sequence["bigquery.SchemaField"]) -> int:
    from google.cloud import bigquery

    config = bigquery.LoadJobConfig(
        source_format=bigquery.SourceFormat.PARQUET,
        schema=list(schema),
        write_disposition=bigquery.WriteDisposition.WRITE_TRUNCATE,
        labels=LABELS,
    )
    client.load_table_from_uri(uris, table, job_config=config).result()
    return int(client.get_table(table).num_rows or 0)


def _check_columns(file: Path, schema: Sequence["bigquery.SchemaField"]) -> None:
    """The local server matches columns by position and would put a file in another order into the wrong ones."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        found = pq.read_schema(file).names
    except (OSError, pa.ArrowInvalid) as error:
        raise TuningError(f"{file} is not a Parquet file ({error})") from error
    wanted = [field.name for field in schema]
    if found != wanted:
        raise TuningError(f"{file} has the columns {', '.join(found)}; the table has {', '.join(wanted)}")


@contextmanager
def _offered(settings: Settings, files: Sequence[Path], token: str) -> Iterator[list[str]]:
    """Addresses of `files` for a load job; what was put there for it goes again."""
    prefix = f"gs://{settings.bucket}/load/{token}"
    uris = [f"{prefix}/part-{number:05d}.parquet" for number in range(len(files))]
    folder = local_path(settings, prefix) if is_folder(settings) else None
    if folder:
        shutil.rmtree(folder, ignore_errors=True)  # of a killed process
    try:
        for file, uri in zip(files, uris, strict=True):
            if folder:
                _link(file, local_path(settings, uri))
            else:
                put(settings, file, uri)
        yield uris
    finally:
        if folder:
            shutil.rmtree(folder, ignore_errors=True)
        else:
            _remove(settings, f"{prefix}/")


def _link(file: Path, target: Path) -> None:
    """A second name for the file; a copy where the file system has none."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(file, target)
    except OSError:
        shutil.copyfile(file, target)


def _remove(settings: Settings, prefix: str) -> None:
    bucket = storage_client(settings).bucket(split_uri(prefix)[0])
    for uri in list_objects(settings, prefix):
        bucket.blob(split_uri(uri)[1]).delete()
