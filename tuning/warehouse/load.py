"""Load Parquet files into tables and export tables to Parquet files.

Load jobs and extract jobs work the same on BigQuery and on the local server.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tuning.errors import TuningError
from tuning.gcs.access import google_errors
from tuning.gcs.object_file import Source
from tuning.gcs.storage import Storage, find_storage
from tuning.settings import Settings
from tuning.warehouse.client import LABELS, query, quoted

if TYPE_CHECKING:
    from google.cloud import bigquery

Sources = Mapping[str, tuple[Sequence[Path], Sequence["bigquery.SchemaField"]]]
Statement = Callable[[str, str], str]  # from a table and the temporary table with its new rows, both quoted


def _replacement(table: str, staged: str) -> str:
    return f"create or replace table {table} as select * from {staged}"  # noqa: S608 - quoted names


def load_tables(
    settings: Settings, client: "bigquery.Client", tables: Sources, statement: Statement = _replacement
) -> dict[str, int]:
    """Load tables and return the number of rows loaded into each.

    `tables` maps full table names to Parquet files and schema. The files are first loaded into temporary tables. If one
    cannot be loaded, every table stays as it was. Then each table is changed by one atomic statement, which replaces it
    unless `statement` returns another one. Temporary tables that a killed local process left behind are replaced by
    the next load of the same tables. Raises TuningError if a file does not have the schema's columns in the schema's
    order, or if a job fails.
    """
    for files, schema in tables.values():
        for file in files:
            _check_columns(file, schema)
    storage = find_storage(settings)
    with storage.reserved("load", "loading tables") as token:
        return _load_all(storage, client, tables, statement, token, f"gs://{settings.bucket}/load/{token}")


def _load_all(
    storage: Storage, client: "bigquery.Client", tables: Sources, statement: Statement, token: str, prefix: str
) -> dict[str, int]:
    staged = {table: f"{table}__loading_{token}" for table in tables}
    rows = {}
    try:
        for table, (files, schema) in tables.items():
            with google_errors(f"loading {table}"), storage.offered(files, prefix) as uris:
                client.create_dataset(table.rpartition(".")[0], exists_ok=True)
                rows[table] = _load(client, staged[table], uris, schema)
        for table in tables:
            with google_errors(f"writing {table}"):
                query(client, statement(quoted(table), quoted(staged[table])))
    except BaseException:
        with suppress(Exception):  # on a full disk this fails too, and the first error says more
            _delete(client, staged.values())
        raise
    _delete(client, staged.values())
    return rows


def _delete(client: "bigquery.Client", tables: Iterable[str]) -> None:
    with google_errors("deleting temporary tables"):
        for table in tables:
            client.delete_table(table, not_found_ok=True)


def extract_parquet(settings: Settings, client: "bigquery.Client", table: str, prefix: str) -> list[Source]:
    """Export a table as Parquet files under `prefix`, ``gs://BUCKET/NAME``, and return the files.

    Older files there are replaced, and every returned file is complete. If ``gs://`` is a local folder, the result is
    one path. On BigQuery, the export is free, and BigQuery chooses the number of files. Raises TuningError if the
    export fails.
    """
    from google.cloud import bigquery

    config: Any = bigquery.ExtractJobConfig(destination_format="PARQUET", labels=LABELS)  # type: ignore[no-untyped-call]
    with google_errors(f"exporting {table}"):
        client.get_table(table)  # fails if the table is missing; extract_table on the local server would keep retrying
        return find_storage(settings).collect(
            prefix, lambda uri: client.extract_table(table, uri, job_config=config).result()
        )


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
    """Raise TuningError if the columns or their order differ. The local server loads by position and ignores names."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        names = pq.read_schema(file).names
    except (OSError, pa.ArrowInvalid) as error:
        raise TuningError(f"{file} is not a Parquet file ({error})") from error
    wanted = [field.name for field in schema]
    if names != wanted:
        raise TuningError(f"{file} has the columns {', '.join(names)}, but the table has {', '.join(wanted)}")
