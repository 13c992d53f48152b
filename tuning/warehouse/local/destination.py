"""Write the result of a query into its destination table."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from bqemulator.catalog.ddl_sync import sync_created_table
from bqemulator.domain.errors import AlreadyExistsError, InvalidQueryError, NotFoundError
from bqemulator.jobs import executor
from bqemulator.storage.sql_identifiers import quoted_table_ref

FIELDS = ("destinationTable", "writeDisposition", "createDisposition", "schemaUpdateOptions")
_VIEW = "tuning_destination"


@dataclass(frozen=True)
class Target:
    """Name a destination table, and how to write to it."""

    project: str
    dataset: str
    table: str
    write: str  # WRITE_EMPTY, WRITE_TRUNCATE or WRITE_APPEND
    create: bool
    has_options: bool

    @property
    def path(self) -> tuple[str, str, str]:
        """Return project, dataset and table."""
        return self.project, self.dataset, self.table


_query: ContextVar[dict[str, Any] | None] = ContextVar("configuration of a query", default=None)


@contextmanager
def writing_to(query: dict[str, Any] | None) -> Iterator[None]:
    """Write the result of the query inside to the destination of this configuration; None: to none."""
    token = _query.set(query)
    try:
        yield
    finally:
        _query.reset(token)


def current(project: str) -> Target | None:
    """Return the destination table of the current query, or None if the client did not name one."""
    query = _query.get() or {}
    table = query.get("destinationTable")
    if not table or table.get("datasetId", "").startswith("_bqemu"):
        return None
    return Target(
        project=table.get("projectId") or project,
        dataset=table["datasetId"],
        table=table["tableId"],
        write=query.get("writeDisposition") or "WRITE_EMPTY",
        create=query.get("createDisposition") != "CREATE_NEVER",
        has_options=bool(query.get("schemaUpdateOptions")),
    )


def check(target: Target, context: Any) -> None:
    """Raise an error before the query runs if its result could not be written."""
    name = f"{target.project}:{target.dataset}.{target.table}"
    if "$" in target.table:
        raise InvalidQueryError("The local BigQuery cannot write one partition. Name the table without $")
    if target.has_options:
        raise InvalidQueryError("The local BigQuery has no schemaUpdateOptions. Use ALTER TABLE ADD COLUMN")
    if context.catalog.get_dataset(target.project, target.dataset) is None:
        raise NotFoundError(f"Not found: Dataset {target.project}:{target.dataset} was not found in location US")
    exists = context.catalog.get_table(*target.path) is not None
    if not exists and not target.create:
        raise NotFoundError(f"Not found: Table {name} was not found in location US")
    if exists and target.write == "WRITE_EMPTY":
        (count,) = context.engine.execute(f"SELECT count(*) FROM {quoted_table_ref(*target.path)}").fetchone()  # noqa: S608
        if count:
            raise AlreadyExistsError(f"Already Exists: Table {name}")


def write(target: Target, job: str, project: str, context: Any) -> None:
    """Write the rows of the finished query into the destination table, and make them visible in the catalog."""
    rows, name = executor.JOB_RESULTS[job], quoted_table_ref(*target.path)
    meta = context.catalog.get_table(*target.path)
    appends = target.write == "WRITE_APPEND" and meta is not None
    columns = ", ".join(f'"{field.name}"' for field in rows.schema)
    known = {field.name.lower() for field in meta.schema_.fields} if appends else set()
    for field in rows.schema if appends else ():
        if field.name.lower() not in known:
            raise InvalidQueryError(f"Invalid schema update. Cannot add fields (field: {field.name})")
    context.engine.connection.register(_VIEW, rows)
    try:
        if appends:
            context.engine.execute(f"INSERT INTO {name} ({columns}) SELECT {columns} FROM {_VIEW}")  # noqa: S608
        else:
            typed = ", ".join(f'CAST("{field.name}" AS {_kind(field)}) AS "{field.name}"' for field in rows.schema)
            context.engine.execute(f"CREATE OR REPLACE TABLE {name} AS SELECT {typed} FROM {_VIEW}")  # noqa: S608
    finally:
        context.engine.connection.unregister(_VIEW)
    sync_created_table(f"CREATE OR REPLACE TABLE `{'`.`'.join(target.path)}` AS SELECT 1", project, context)


def _kind(field: Any) -> str:
    """Return the DuckDB type of a result's column, which Arrow alone does not tell."""
    kind = str((field.metadata or {})[b"bqemu.duckdb_type"].decode())
    return {"INTEGER": "BIGINT", "HUGEINT": "BIGINT"}.get(kind, kind)
