"""Load the log of served answers into the table `served_answers`, beside the marts of the default variables."""

import tempfile
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from tuning.settings import Settings
from tuning.sources.served.answers import ServedAnswer, log_files, read_log

TABLE = "served_answers"
_KINDS = {"str": "STRING", "int": "INT64", "bool": "BOOL", "float": "FLOAT64", "datetime": "TIMESTAMP"}
_ARROW = {
    "STRING": pa.string(),
    "INT64": pa.int64(),
    "BOOL": pa.bool_(),
    "FLOAT64": pa.float64(),
    "TIMESTAMP": pa.timestamp("us", tz="UTC"),
}


def columns() -> dict[str, str]:
    """Return the columns of the table with their BigQuery types, in order: the fields of a ServedAnswer."""
    return {field.name: _KINDS[_plain(field.type)] for field in msgspec.structs.fields(ServedAnswer)}


def table_name(settings: Settings) -> str:
    """Return the full name of the table. Google's public dataset of posts is read-only, so it is not there."""
    return f"{settings.project}.{settings.bigquery_dataset}.{TABLE}"


def load_served(settings: Settings) -> str:
    """Replace the table with the answers of this home's log. Return a line for a terminal, empty if there is no log.

    What the log's retention deletes is deleted here too. Raises TuningError as `read_log` does, or if the load fails.
    """
    if not any(log_files(settings)):
        return ""
    from google.cloud import bigquery

    from tuning.warehouse.client import connect
    from tuning.warehouse.load import load_tables

    log = read_log(settings)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"{TABLE}.parquet"
        rows = [msgspec.structs.asdict(one) for one in log.answers]
        schema = pa.schema([(name, _ARROW[kind]) for name, kind in columns().items()])
        pq.write_table(pa.Table.from_pylist(rows, schema), file)
        fields: list[bigquery.SchemaField] = [bigquery.SchemaField(name, kind) for name, kind in columns().items()]
        name = table_name(settings)
        loaded = load_tables(settings, connect(settings), {name: ([file], fields)})[name]
    damaged = f"; left out {log.damaged:,} damaged lines" if log.damaged else ""
    return f"{loaded:,} served answers in {name}{damaged}"


def _plain(kind: object) -> str:
    """Return the name of a field's type without None."""
    return str(getattr(kind, "__name__", None) or str(kind).partition(" | ")[0])
