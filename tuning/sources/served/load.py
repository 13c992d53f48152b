"""Load the log of served answers into the table `served_answers`, beside the marts of the default variables.

Homes that share a BigQuery dataset share the table. Each row names the log that it comes from, and a load changes only
the rows of its own log, but for those of any log that are past their day.
"""

import hashlib
import os
import re
import tempfile
import uuid
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from tuning.gcs.access import google_errors
from tuning.paths import read_whole
from tuning.settings import Settings
from tuning.sources.served.answers import ServedAnswer, log_files, log_folder, read_log, today
from tuning.storage import write_bytes

if TYPE_CHECKING:
    from google.cloud import bigquery

TABLE = "served_answers"
_KINDS = {"str": "STRING", "int": "INT64", "bool": "BOOL", "float": "FLOAT64", "datetime": "TIMESTAMP"}
_ARROW = {
    "STRING": pa.string(),
    "INT64": pa.int64(),
    "BOOL": pa.bool_(),
    "FLOAT64": pa.float64(),
    "TIMESTAMP": pa.timestamp("us", tz="UTC"),
    "DATE": pa.date32(),
}
_ID = "log_id"  # the file in the log's folder that has the ID of the log


def columns() -> dict[str, str]:
    """Return the columns of the table with their BigQuery types, in order.

    They are the fields of a ServedAnswer, the ID of its log, and the last day on which the row may be kept.
    """
    fields = {field.name: _KINDS[_plain(field.type)] for field in msgspec.structs.fields(ServedAnswer)}
    return {**fields, "log_id": "STRING", "keep_until": "DATE"}


def table_name(settings: Settings) -> str:
    """Return the full name of the table. Google's public dataset of posts is read-only, so it is not there."""
    return f"{settings.project}.{settings.bigquery_dataset}.{TABLE}"


def load_served(settings: Settings) -> str:
    """Bring this home's log into the table. Return a line for a terminal, empty if the home never had a log.

    Rows of other logs stay. What a log's retention deletes is deleted here too, and a row of any log that is past its
    day, whose home may be gone. The same answer is never there twice. Raises TuningError as `read_log` does, or if the
    load fails.
    """
    if not any(log_files(settings)) and not (log_folder(settings) / _ID).exists():
        return ""
    from google.cloud import bigquery

    from tuning.warehouse.client import connect
    from tuning.warehouse.load import load_tables

    log, log_id, kept = read_log(settings), _log_id(settings), timedelta(days=settings.serve_log_days)
    answers = {one.answer_id: one for one in log.answers}
    rows = [
        {**msgspec.structs.asdict(one), "log_id": log_id, "keep_until": until}
        for one in answers.values()
        if (until := _keep_until(one.answered_at.date(), kept)) >= today()
    ]
    fields = [bigquery.SchemaField(name, kind) for name, kind in columns().items()]
    name, client = table_name(settings), connect(settings)
    _prepare(client, name, fields)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"{TABLE}.parquet"
        schema = pa.schema([(column, _ARROW[kind]) for column, kind in columns().items()])
        pq.write_table(pa.Table.from_pylist(rows, schema), file)
        loaded = load_tables(
            settings, client, {name: ([file], fields)}, lambda table, staged: merge_statement(table, staged, log_id)
        )[name]
    damaged = f"; left out {log.damaged:,} damaged lines" if log.damaged else ""
    return f"{loaded:,} served answers in {name}{damaged}"


def _keep_until(answered: date, kept: timedelta) -> date:
    return answered + kept if kept < date.max - answered else date.max


def _log_id(settings: Settings) -> str:
    """Return the ID of this home's log. The first call makes it; a damaged one is made again, and its rows follow.

    A copy of the home is at another place, so it has another ID.
    """
    path = log_folder(settings) / _ID
    try:
        found = read_whole(path)
    except OSError:  # there is none, or a pipe or device, which the new one replaces
        found = b""
    if not re.fullmatch(rb"[0-9a-f]{32}", found):
        found = uuid.uuid4().hex.encode()
        write_bytes(path, found)
    return hashlib.sha256(found + os.fsencode(settings.home.resolve())).hexdigest()[:32]


def _prepare(client: "bigquery.Client", name: str, fields: list["bigquery.SchemaField"]) -> None:
    """Create the table if there is none, and add columns that are new.

    A table of an earlier version, which held one home's log only, is made again.
    """
    from google.api_core.exceptions import NotFound
    from google.cloud import bigquery

    with google_errors(f"preparing {name}"):
        client.create_dataset(name.rpartition(".")[0], exists_ok=True)
        try:
            table = client.get_table(name)
        except NotFound:
            table = None
        there = {field.name for field in table.schema} if table else set()
        if table and "log_id" not in there:
            client.delete_table(name)
        elif table and (new := [field for field in fields if field.name not in there]):
            table.schema = [*table.schema, *new]
            client.update_table(table, ["schema"])
        client.create_table(bigquery.Table(name, schema=fields), exists_ok=True)


def merge_statement(table: str, staged: str, log_id: str) -> str:
    """Return the statement that brings the rows of the table `staged`, a log, into `table`. Both names are quoted."""
    names = [*columns()]
    changes = ", ".join(f"{name} = loaded.{name}" for name in names)
    return f"""
merge {table} as kept
using {staged} as loaded
on kept.answer_id = loaded.answer_id
when matched then update set {changes}
when not matched by target then insert ({", ".join(names)}) values ({", ".join(f"loaded.{name}" for name in names)})
when not matched by source and (kept.log_id = '{log_id}' or kept.keep_until < current_date()) then delete
"""  # noqa: S608 - quoted names, and an ID of our own


def _plain(kind: object) -> str:
    """Return the name of a field's type without None."""
    return str(getattr(kind, "__name__", None) or str(kind).partition(" | ")[0])
