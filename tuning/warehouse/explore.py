"""List the source tables and show some rows. No query runs, so nothing is billed."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tuning.errors import TuningError
from tuning.gcs.access import google_errors
from tuning.settings import Settings
from tuning.warehouse.client import connect, find_warehouse

if TYPE_CHECKING:
    from google.cloud import bigquery

_CELL = 300  # characters to show of a value; a post can have thousands


@dataclass(frozen=True)
class TableFacts:
    """Describe the size of a table. Both numbers are None for a view. On the local server, `bytes` is always 0."""

    name: str
    rows: int | None
    bytes: int | None


def list_tables(settings: Settings) -> list[TableFacts]:
    """Return the tables of the source dataset, sorted by name. Raises TuningError if there are none."""
    from google.cloud.exceptions import NotFound

    client, source = connect(settings), f"{settings.raw_database}.{settings.raw_schema}"
    with google_errors(f"listing {source}"):
        try:
            names = sorted(table.table_id for table in client.list_tables(source))
        except NotFound:
            names = []  # the local server also returns no tables if the dataset does not exist
        tables = [client.get_table(f"{source}.{name}") for name in names]
    if not tables:
        raise TuningError(f"there are no tables in {source}", find_warehouse(settings).how_to_fill())
    return [TableFacts(table.table_id, table.num_rows, table.num_bytes) for table in tables]


def peek(settings: Settings, table: str, rows: int = 3) -> Iterator[dict[str, Any]]:
    """Yield the first rows of `table`: the name of a source table, or ``[PROJECT.]DATASET.NAME``.

    Raises TuningError if the table does not exist, if it is a view, which only a query can read, or if `rows` is less
    than 1.
    """
    if rows < 1:
        raise TuningError(f"--rows {rows} is less than 1", "Give a number of at least 1")
    client, name = connect(settings), full_name(settings, table)
    found = find_table(client, name, "Run `invoke explore.tables` to list the source tables")
    with google_errors(f"reading {name}"):
        for row in client.list_rows(found, max_results=rows):
            yield dict(row.items())


def find_table(client: "bigquery.Client", name: str, hint: str) -> "bigquery.Table":
    """Return the table `name`. Raises TuningError if it is a view, or, with the hint, if it does not exist."""
    from google.cloud.exceptions import NotFound

    with google_errors(f"reading {name}"):
        try:
            found = client.get_table(name)
        except NotFound:
            raise TuningError(f"table {name} does not exist", hint) from None
    if found.table_type == "VIEW":
        raise TuningError(f"{name} is a view, and only a query can read it", "Give the name of a table")
    return found


def full_name(settings: Settings, table: str) -> str:
    """Return ``project.dataset.table`` for a table. Raises TuningError if `table` is not a table name."""
    parts = table.split(".")
    if not 1 <= len(parts) <= 3 or not all(re.fullmatch(r"[A-Za-z0-9_-]+", part) for part in parts):
        raise TuningError(f"{table!r} is not a table name", "Run `invoke explore.tables` to list the source tables")
    match parts:
        case [name]:
            return f"{settings.raw_database}.{settings.raw_schema}.{name}"
        case [dataset, name]:
            return f"{settings.project}.{dataset}.{name}"
        case _:
            return table


def row_lines(row: dict[str, Any]) -> Iterator[str]:
    """Yield one line per column. Long values are cut. Control characters become spaces, to protect the terminal."""
    width = max(len(name) for name in row)
    for name, value in row.items():
        string = "NULL" if value is None else str(value)
        text = " ".join("".join(char if char.isprintable() else " " for char in string).split())
        yield f"{name:{width}}  {text if len(text) <= _CELL else text[:_CELL] + ' ...'}"


def table_lines(tables: list[TableFacts]) -> Iterator[str]:
    """Yield one line per table with its numbers of rows and bytes."""
    for table in tables:
        yield f"{table.name:32} {table.rows or 0:>14,} rows {table.bytes or 0:>18,} bytes"
