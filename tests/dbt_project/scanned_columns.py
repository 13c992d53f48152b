"""Which columns of which tables a query makes BigQuery scan.

Views are put in place, and columns that nothing asks for are dropped, as BigQuery itself does.
"""

import functools

import sqlglot
from sqlglot import exp
from sqlglot.optimizer.pushdown_projections import pushdown_projections
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import traverse_scope

from tests.dbt_project.compiled_project import Compiled, Node
from tests.dbt_project.google_analyzer import declared, dotted, relation

Scans = dict[str, set[str]]  # columns by "project.dataset.table"


def scans(project: Compiled, node: Node) -> Scans:
    """Columns read by the node's own query, through views down to tables."""
    views = {
        relation(model): _parsed(model["compiled_code"])
        for model in project.models
        if model["config"]["materialized"] == "view" and model["unique_id"] != node["unique_id"]
    }
    tables = [*project.sources, *project.of_type("seed"), *project.models]
    schema = {relation(table): declared(table) for table in tables}
    query = qualify(
        _in_place(_parsed(node["compiled_code"]).copy(), views),
        schema={name: columns for name, columns in schema.items() if name not in views},
        dialect="bigquery",
        quote_identifiers=False,
        validate_qualify_columns=False,
    )
    found: Scans = {}
    for scope in traverse_scope(pushdown_projections(query)):
        for name, source in scope.sources.items():
            if isinstance(source, exp.Table):
                used = {column.name for column in scope.columns if column.table == name}
                found.setdefault(source.name, set()).update(used)
    return found


@functools.cache
def _parsed(sql: str) -> exp.Query:
    """The tree of one node's query, which every node that reads it shares: copy it before a change."""
    query = sqlglot.parse_one(dotted(sql), dialect="bigquery")
    for table in query.find_all(exp.Table):
        table.set("this", exp.to_identifier(".".join(part.name for part in table.parts), quoted=True))
        table.set("db", None)
        table.set("catalog", None)
    assert isinstance(query, exp.Query)
    return query


def _in_place(query: exp.Query, views: dict[str, exp.Query]) -> exp.Query:
    """The query with each view's own query where its name stood."""
    for table in list(query.find_all(exp.Table)):
        if table.name in views:
            inner = _in_place(views[table.name].copy(), views)
            table.replace(inner.subquery(alias=table.alias or "view"))
    return query
