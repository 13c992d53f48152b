"""The first look at the source: its tables, and a few rows of one, by the API alone, so that no query is billed."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tuning.errors import TuningError
from tuning.gcs.access import google_errors
from tuning.settings import Settings, variable
from tuning.warehouse.client import connect

_CELL = 300  # characters of a value that are shown; a body is thousands


@dataclass(frozen=True)
class TableFacts:
    """`bytes` is 0 on the local server, which does not count them; both are None for a view."""

    name: str
    rows: int | None
    bytes: int | None


def list_tables(settings: Settings) -> list[TableFacts]:
    """The tables of the source dataset, by name. Raises TuningError where there is none."""
    from google.cloud.exceptions import NotFound

    client, source = connect(settings), f"{settings.raw_database}.{settings.raw_schema}"
    with google_errors(f"listing {source}"):
        try:
            names = sorted(table.table_id for table in client.list_tables(source))
        except NotFound:
            names = []  # as the local server answers for a dataset that is not there
        tables = [client.get_table(f"{source}.{name}") for name in names]
    if not tables:
        raise TuningError(f"there are no tables in {source}", _fill(settings))
    return [TableFacts(table.table_id, table.num_rows, table.num_bytes) for table in tables]


def peek(settings: Settings, table: str, rows: int = 3) -> Iterator[dict[str, Any]]:
    """The first rows of a table, ``NAME`` of the source or ``[PROJECT.]DATASET.NAME``.

    Raises TuningError where there is no such table, or it is a view, which only a query could read.
    """
    from google.cloud.exceptions import NotFound

    if rows < 1:
        raise TuningError(f"--rows {rows} shows nothing", "Give a number of at least 1")
    client, name = connect(settings), full_name(settings, table)
    with google_errors(f"reading {name}"):
        try:
            found = client.get_table(name)
        except NotFound:
            raise TuningError(f"there is no table {name}", "`invoke explore.tables` lists the source's") from None
    if found.table_type == "VIEW":
        raise TuningError(f"{name} is a view, which has no rows of its own", "Peek at a table, such as a mart")
    with google_errors(f"reading {name}"):
        for row in client.list_rows(found, max_results=rows):
            yield dict(row.items())


def full_name(settings: Settings, table: str) -> str:
    """``project.dataset.table``; TuningError for anything that is no table's name."""
    parts = table.split(".")
    if not 1 <= len(parts) <= 3 or not all(re.fullmatch(r"[A-Za-z0-9_-]+", part) for part in parts):
        raise TuningError(f"{table!r} is not a table's name", "`invoke explore.tables` lists the source's")
    match parts:
        case [name]:
            return f"{settings.raw_database}.{settings.raw_schema}.{name}"
        case [dataset, name]:
            return f"{settings.project}.{dataset}.{name}"
        case _:
            return table


def row_lines(row: dict[str, Any]) -> Iterator[str]:
    """One line per column; long values are cut, and what a terminal would take for a command is shown as a blank."""
    width = max(len(name) for name in row)
    for name, value in row.items():
        shown = "NULL" if value is None else str(value)
        text = " ".join("".join(sign if sign.isprintable() else " " for sign in shown).split())
        yield f"{name:{width}}  {text if len(text) <= _CELL else text[:_CELL] + ' ...'}"


def table_lines(tables: list[TableFacts]) -> Iterator[str]:
    for table in tables:
        yield f"{table.name:32} {table.rows or 0:>14,} rows {table.bytes or 0:>18,} bytes"


def _fill(settings: Settings) -> str:
    local = settings.target == "local"
    return "`invoke ingest DUMP` or `invoke sample` fills it" if local else f"Check {variable('raw_schema')}"
