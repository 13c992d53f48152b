"""Look up the tables that a statement names."""

import re
from typing import Any

import sqlglot
from bqemulator.domain.errors import NotFoundError
from sqlglot import exp

from tuning.warehouse.local.sql.kinds import Columns, bigquery_name
from tuning.warehouse.local.sql.refusals import refuse, refuse_unsupported

_SCHEMA_VIEW = re.compile(r"`(INFORMATION_SCHEMA\.\w+)`", re.IGNORECASE)
_INFORMATION = "INFORMATION_SCHEMA"
_VIEWS = {"SCHEMATA", "TABLES", "COLUMNS", "TABLE_OPTIONS", "PARTITIONS", "VIEWS", "ROUTINES", "MATERIALIZED_VIEWS"}


def parsed(sql: str) -> exp.Expression | None:
    """Return the tree of one statement, or None if sqlglot cannot parse it or it is not one statement."""
    try:
        trees = sqlglot.parse(sql, read="bigquery")
    except sqlglot.errors.SqlglotError:
        return None
    tree = trees[0] if len(trees) == 1 else None
    return tree if isinstance(tree, exp.Expression) and not isinstance(tree, exp.Command) else None


def written(tree: exp.Expression) -> str:
    """Return the statement as text. bqemulator finds INFORMATION_SCHEMA only without quotes around the view."""
    for table in tree.find_all(exp.Table):
        if _INFORMATION in table.alias.upper():  # sqlglot's own alias
            table.set("alias", None)
    return _SCHEMA_VIEW.sub(r"\1", tree.sql(dialect="bigquery"))


def table_columns(tree: exp.Expression, project: str, catalog: Any) -> Columns:
    """Return the types of the columns of all tables that the statement names, by column name in lower case.

    Raises NotFoundError for a table whose name differs in capitals: BigQuery's names of tables are case-sensitive.
    """
    found: Columns = {}
    for table in list(tree.find_all(exp.Table)):
        owner, dataset, name = table.catalog or project, table.db, table.name
        if name.upper().startswith(f"{_INFORMATION}."):
            _check_information(name.upper(), owner, dataset, catalog)
            continue
        if not table.db or not isinstance(table.this, exp.Identifier):
            continue
        if name == "__TABLES__":
            _list_tables(table, catalog.list_tables(owner, dataset))
            continue
        meta = catalog.get_table(owner, dataset, name)
        if meta is None and any(one.table_id.lower() == name.lower() for one in catalog.list_tables(owner, dataset)):
            raise NotFoundError(f"Not found: Table {owner}:{dataset}.{name} was not found in location US")
        for field in meta.schema_.fields if meta is not None else ():
            kind = "ARRAY" if field.mode == "REPEATED" else bigquery_name(field.type)
            found.setdefault(field.name.lower(), set()).add(kind)
    return found


def _check_information(name: str, project: str, dataset: str, catalog: Any) -> None:
    """Refuse a view of INFORMATION_SCHEMA that bqemulator lacks, or would answer with no rows."""
    view = name.removeprefix(f"{_INFORMATION}.")
    if view not in _VIEWS:
        refuse_unsupported(name, f"It has {', '.join(sorted(_VIEWS))}.")
    if dataset.lower().startswith("region-"):
        refuse_unsupported(f"{name} of a region", f"Name a dataset: `{project}.DATASET.{name}`.")
    if not dataset and view != "SCHEMATA":
        refuse(f'Table "{name}" must be qualified with a dataset (e.g. dataset.{name})')
    if dataset and catalog.get_dataset(project, dataset) is None:
        raise NotFoundError(f"Not found: Dataset {project}:{dataset} was not found in location US")


def _list_tables(table: exp.Table, tables: Any) -> None:
    """Put the rows of ``__TABLES__`` in the place of its name."""
    rows = [
        exp.select(
            *(
                exp.Alias(this=value, alias=exp.to_identifier(name))
                for name, value in (
                    ("project_id", exp.Literal.string(one.project_id)),
                    ("dataset_id", exp.Literal.string(one.dataset_id)),
                    ("table_id", exp.Literal.string(one.table_id)),
                    ("creation_time", exp.Literal.number(int(one.creation_time.timestamp() * 1000))),
                    ("last_modified_time", exp.Literal.number(int(one.last_modified_time.timestamp() * 1000))),
                    ("row_count", _rows(one)),
                    ("size_bytes", exp.Literal.number(one.num_bytes)),
                    ("type", exp.Literal.number(2 if one.table_type == "VIEW" else 1)),
                )
            )
        )
        for one in tables
    ]
    if not rows:
        raise NotFoundError(f"Not found: Dataset {table.db} was not found in location US, or has no tables")
    alias = table.args.get("alias") or exp.TableAlias(this=exp.to_identifier("__TABLES__"))
    table.replace(exp.Subquery(this=exp.union(*rows, distinct=False) if len(rows) > 1 else rows[0], alias=alias.copy()))


def _rows(table: Any) -> exp.Expression:
    """Return the number of rows as SQL. The catalog's own number is that of the creation."""
    if table.table_type == "VIEW":
        return exp.Literal.number(0)
    name = exp.table_(table.table_id, table.dataset_id, table.project_id, quoted=True)
    return exp.select(exp.Count(this=exp.Star())).from_(name).subquery()
