"""Read table names without a dataset as tables of the job's default dataset."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import sqlglot
from sqlglot import exp

from tuning.warehouse.local.sql.catalog import parsed, written
from tuning.warehouse.local.sql.refusals import refuse_faulty_statement, refuse_foreign_statement

_NONE: tuple[str, str] = ("", "")
_default: ContextVar[tuple[str, str]] = ContextVar("default dataset", default=_NONE)
_temporary: ContextVar[frozenset[str]] = ContextVar("temporary tables", default=frozenset())


@contextmanager
def default_dataset(project: str, dataset: str, script: str) -> Iterator[None]:
    """Use this default dataset for all statements inside. Temporary tables of the `script` keep their names."""
    tokens = _default.set((project, dataset)), _temporary.set(_temporary_tables(script))
    try:
        yield
    finally:
        _default.reset(tokens[0])
        _temporary.reset(tokens[1])


def qualified(sql: str) -> str:
    """Return one statement with the default dataset in each table name that has none.

    Raises InvalidQueryError for a statement that BigQuery would refuse. Only here is the statement as it was sent.
    """
    refuse_foreign_statement(sql)
    tree = parsed(sql)
    if tree is None:
        return sql
    refuse_faulty_statement(tree)
    project, dataset = _default.get()
    if not dataset:
        return sql
    changed = [_qualify(table, project, dataset) for table in list(tree.find_all(exp.Table))]
    return written(tree) if any(changed) else sql


def _qualify(table: exp.Table, project: str, dataset: str) -> bool:
    name = table.name
    if table.db or table.catalog or not isinstance(table.this, exp.Identifier):
        return False
    if name.upper().startswith("INFORMATION_SCHEMA."):
        made = exp.to_table(f"`{project}`.`{dataset}`.{name}", dialect="bigquery")
        for part in ("this", "db", "catalog"):
            table.set(part, made.args.get(part))
        return True
    if name.lower() in _temporary.get() or _is_cte(table, name):
        return False
    table.set("db", exp.to_identifier(dataset, quoted=True))
    table.set("catalog", exp.to_identifier(project, quoted=True))
    return True


def _is_cte(table: exp.Table, name: str) -> bool:
    """Return whether a WITH around the table defines the name. A CTE sees the ones before it, and not itself."""
    node: Any = table
    inside: Any = None
    while node is not None:
        if isinstance(node, exp.CTE):
            inside = node
        with_ = node.args.get("with_") or node.args.get("with")
        for cte in with_.expressions if with_ else ():
            if cte is inside and not with_.args.get("recursive"):
                break
            if cte.alias.lower() == name.lower():
                return True
        node = node.parent
    return False


def _temporary_tables(script: str) -> frozenset[str]:
    try:
        trees = sqlglot.parse(script, read="bigquery", error_level=sqlglot.ErrorLevel.IGNORE)
    except sqlglot.errors.SqlglotError:
        return frozenset()
    temporary = [tree for tree in trees if isinstance(tree, exp.Create) and tree.find(exp.TemporaryProperty)]
    return frozenset(table.name.lower() for tree in temporary for table in [tree.find(exp.Table)] if table)
