"""Google's own SQL analyzer as the judge of what dbt compiled: names, signatures and types as BigQuery checks them.

ZetaSQL is the parser and analyzer that BigQuery is built on; `zetasql` runs it as WebAssembly.
"""

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import wasmtime

from tests.dbt_project.compiled_project import Compiled, Node

_make_config = wasmtime.Config


def _cached_config() -> Any:
    """wasmtime's configuration with its cache on: a start then takes one second, not twelve."""
    config = _make_config()
    config.cache = True
    return config


wasmtime.Config = _cached_config  # type: ignore[assignment,misc]  # before zetasql reads it

from zetasql.api import Analyzer, CatalogBuilder, TableBuilder, TypeFactory  # noqa: E402
from zetasql.core.exceptions import ZetaSQLError  # noqa: E402
from zetasql.types import (  # noqa: E402
    AnalyzerOptions,
    LanguageOptions,
    ProductMode,
    TypeKind,
    ZetaSQLBuiltinFunctionOptions,
)

_OWN_NAMES = {"float64": "double"}  # types that the analyzer calls otherwise than BigQuery
Columns = dict[str, str]  # BigQuery types in lower case by column, in order


class NotBigQueryError(Exception):
    """The analyzer refuses the query."""


class Tables:
    """The tables that queries may read, each by ``project.dataset.table``."""

    def __init__(self) -> None:
        self.language = LanguageOptions.maximum_features()
        self.language.product_mode = ProductMode.PRODUCT_EXTERNAL
        self.tables: dict[str, Columns] = {}

    def declare(self, name: str, columns: Mapping[str, str]) -> None:
        self.tables[name] = dict(columns)

    def check(self, sql: str) -> Columns:
        """The columns that the statement gives; raises NotBigQueryError with the analyzer's reason."""
        query = dotted(sql)
        used = tuple((name, tuple(columns.items())) for name, columns in self.tables.items() if name in query)
        return dict(_checked(query, used))


@functools.cache
def _checked(query: str, tables: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]) -> Columns:
    """Check a query once: most of a project is the same in all its copies and targets."""
    language = Tables().language
    catalog = CatalogBuilder("warehouse").with_builtin_functions(
        ZetaSQLBuiltinFunctionOptions(language_options=language)
    )
    for name, columns in tables:
        table = TableBuilder(name)
        for column, kind in columns:
            table = table.add_column(column, _type(kind))
        catalog = catalog.add_table(table.build())
    try:
        statement = Analyzer(AnalyzerOptions(language_options=language), catalog.build()).analyze_statement(query)
    except ZetaSQLError as error:
        raise NotBigQueryError(str(error)) from error
    given = getattr(statement, "output_column_list", ())  # a statement that changes a table gives none
    return {column.name: _name(column.column.type) for column in given}


def dotted(sql: str) -> str:
    """`` `p`.`d`.`t` `` as `` `p.d.t` ``: the analyzer's catalog is flat."""
    return re.sub(r"`([^`]+)`\.`([^`]+)`\.`([^`]+)`", r"`\1.\2.\3`", sql)


def relation(node: Node) -> str:
    return node["relation_name"].replace("`", "")


@dataclass(frozen=True)
class Analysis:
    columns: dict[str, Columns]  # of each model
    refused: list[str]  # "node: reason"
    tables: Tables  # sources, seeds and models


def analyze(compiled: Compiled) -> Analysis:
    """Analyze everything: models in order, each seen by the next ones with the columns that the analyzer gave it, then
    tests and analyses.
    """
    tables = Tables()
    for table in [*compiled.sources, *compiled.of_type("seed")]:
        tables.declare(relation(table), declared(table))
    models: dict[str, Columns] = {}
    refused = []
    for node in [*compiled.parents_first(), *compiled.of_type("test", "analysis")]:
        try:
            columns = tables.check(node["compiled_code"])
        except NotBigQueryError as reason:
            refused.append(f"{node['name']}: {reason}")
            columns = declared(node)
        if node["resource_type"] == "model":
            models[node["name"]] = columns
            tables.declare(relation(node), columns)
    return Analysis(models, refused, tables)


def declared(node: Node) -> Columns:
    """Columns and types as the YAML says."""
    return {name: str(column["data_type"]).lower() for name, column in node["columns"].items()}


def _type(kind: str) -> Any:
    if kind.startswith("array<"):
        return TypeFactory.create_array_type(_type(kind[len("array<") : -1]))
    return TypeFactory.create_simple_type(getattr(TypeKind, f"TYPE_{_OWN_NAMES.get(kind, kind).upper()}"))


def _name(kind: Any) -> str:
    name = str(TypeKind(kind.type_kind).name).removeprefix("TYPE_").lower()
    name = next((ours for ours, theirs in _OWN_NAMES.items() if theirs == name), name)
    return f"array<{_name(kind.array_type.element_type)}>" if name == "array" else name
