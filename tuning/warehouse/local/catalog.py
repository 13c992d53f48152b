"""Look up the tables that a statement names."""

from typing import Any

import sqlglot
from sqlglot import exp

from tuning.warehouse.local.kinds import Columns, bigquery_name


def table_columns(sql: str, project: str, catalog: Any) -> Columns:
    """Return the types of the columns of all tables that the statement names, by column name in lower case."""
    found: Columns = {}
    try:
        trees = sqlglot.parse(sql, read="bigquery")
    except sqlglot.errors.SqlglotError:
        return found
    for tree in trees:
        for table in tree.find_all(exp.Table) if tree is not None else ():
            meta = catalog.get_table(table.catalog or project, table.db, table.name) if table.db else None
            for field in meta.schema_.fields if meta is not None else ():
                kind = "ARRAY" if field.mode == "REPEATED" else bigquery_name(field.type)
                found.setdefault(field.name.lower(), set()).add(kind)
    return found
