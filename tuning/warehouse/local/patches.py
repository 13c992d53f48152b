"""Change bqemulator where it answers differently from BigQuery. Here is every place, and why.

bqemulator is pinned. `tests/warehouse/local/test_patches.py` fails if a new version no longer has one of these places,
or no longer needs the change.
"""

import dataclasses
from typing import Any

from bqemulator.api.routes import jobs as jobs_routes
from bqemulator.catalog import ddl_sync
from bqemulator.catalog.models import TableSchema
from bqemulator.domain.errors import InternalError, OutOfRangeError, QuotaExceededError, UnsupportedFeatureError
from bqemulator.jobs import error_mapper, executor
from bqemulator.scripting import interpreter
from bqemulator.sql import inner_query, translator
from bqemulator.sql.rewriter.decimal_literals import rewrite_decimal_literals
from bqemulator.storage import arrow_bridge, partition_state
from bqemulator.storage.sql_identifiers import quoted_table_ref
from sqlglot import exp, transforms
from sqlglot.dialects.dialect import Dialect
from sqlglot.generators.bigquery import BigQueryGenerator
from sqlglot.generators.duckdb import DuckDBGenerator

from tuning.warehouse.local import errors, jobs, numerics, query_parameters, script_parameters, table_facts
from tuning.warehouse.local.parse_once import remembering
from tuning.warehouse.local.sql.default_dataset import qualified
from tuning.warehouse.local.sql.literals import outside_text
from tuning.warehouse.local.sql.rewrite import corrected


def apply() -> None:
    """Apply all changes to the translation of SQL."""
    # It also changes numbers inside texts and comments ('CC BY-SA 2.5').
    translator.__dict__["rewrite_decimal_literals"] = outside_text(rewrite_decimal_literals)
    # It also replaces '@name' inside texts, and forgets the types of some parameters.
    for module in (executor, interpreter):
        module.__dict__["bind_parameters"] = query_parameters.bound
    # Every statement, alone or in a script, goes through these functions. The first puts views into the statement.
    expand, translate = inner_query.__dict__["rewrite_for_row_access"], inner_query.rewrite_and_translate_statement

    def expand_and_correct(bq_sql: str, *, project_id: str, catalog: Any, **options: Any) -> str:
        expanded = expand(bq_sql, project_id=project_id, catalog=catalog, **options)
        return corrected(expanded, project_id, catalog)

    async def qualify_and_translate(bq_sql: str, **options: Any) -> str:
        return str(await translate(qualified(bq_sql), **options))

    inner_query.__dict__["rewrite_for_row_access"] = expand_and_correct
    for module in (executor, interpreter):
        module.__dict__["rewrite_and_translate_statement"] = qualify_and_translate
    _patch_scripts()
    _patch_sqlglot()
    # It shows the zeros at the end of a NUMERIC, and calls a product of two BIGNUMERIC.
    for module, name, rule in (
        (arrow_bridge, "_BQ_TYPE_FORMATTERS", numerics.FORMATTER),
        (executor, "_ARROW_TO_BQ_RULES", numerics.TYPE),
    ):
        module.__dict__[name] = (rule, *module.__dict__[name])
    # Arrow has no type for JSON, so the catalog would say STRING.
    introspect = ddl_sync.__dict__["_introspect_schema"]

    def introspect_json(project: str, dataset: str, table: str, context: Any) -> Any:
        name = quoted_table_ref(project, dataset, table)
        columns = context.engine.execute(f"SELECT * FROM {name} LIMIT 0").description  # noqa: S608 - a quoted name
        kinds = {name: str(kind) for name, kind, *_ in columns}
        fields = introspect(project, dataset, table, context).fields
        json = {"type": "JSON"}
        return TableSchema(fields=tuple(f.model_copy(update=json) if kinds[f.name] == "JSON" else f for f in fields))

    ddl_sync.__dict__["_introspect_schema"] = introspect_json
    # It forgets clustering, labels and most kinds of partitioning.
    for module in (executor, interpreter):
        module.__dict__["sync_created_table"] = table_facts.remembering(ddl_sync.sync_created_table)
    # A table without partitions has one whose ID is NULL, and not '__NULL__'.
    partition_state.__dict__["_list_unpartitioned"] = table_facts.unpartitioned(
        partition_state.__dict__["_list_unpartitioned"]
    )
    # The result of a query may have a destination, and must be one that BigQuery could give.
    jobs_routes.__dict__["execute_query_job"] = jobs.executing(executor.execute_query_job)
    # Messages show DuckDB's words and the translated statement.
    for module in (executor, error_mapper):
        module.__dict__["translate_runtime_error"] = errors.translate
    translator.__dict__["sql_parse_error"] = errors.syntax_error
    # Google's client repeats what fails with these statuses (501, 429 and 500), or with a reason it does not know.
    for kind, reason in (
        (UnsupportedFeatureError, "invalidQuery"),
        (InternalError, "invalidQuery"),
        (OutOfRangeError, "invalidQuery"),
        (QuotaExceededError, "resourcesExceeded"),
    ):
        kind.http_status, kind.bq_reason, kind.grpc_status_name = 400, reason, "INVALID_ARGUMENT"


def _patch_sqlglot() -> None:
    """Keep what sqlglot would change in a statement."""
    # It writes GROUP BY id for GROUP BY q.id if the result has a column id. With two tables, that is ambiguous.
    BigQueryGenerator.TRANSFORMS[exp.Select] = transforms.preprocess(
        [
            transforms.explode_projection_to_unnest(),
            transforms.unqualify_unnest,
            transforms.eliminate_distinct_on,
            transforms.eliminate_semi_and_anti_joins,
        ]
    )
    # DECIMAL alone has 18 digits and 3 decimals in DuckDB. BigQuery's NUMERIC has 38 and 9.
    decimal = {exp.DataType.Type.DECIMAL: ((38, 9), (38, 38))}
    DuckDBGenerator.TYPE_PARAM_SETTINGS = DuckDBGenerator.TYPE_PARAM_SETTINGS | decimal
    # It writes CAST(x AS NUMERIC) for CAST(x AS NUMERIC(5, 2)).
    BigQueryGenerator.TRANSFORMS.pop(exp.Cast, None)
    # bqemulator parses a statement about 25 times, which takes most of the time of a small one.
    Dialect.parse = remembering(Dialect.parse)  # type: ignore[method-assign]


def _patch_scripts() -> None:
    """Give scripts the default dataset, parameters and the declared types of variables."""
    interpreter_class: Any = interpreter.ScriptInterpreter
    run, run_sql, declare = interpreter_class.run, interpreter_class._exec_sql, interpreter_class._exec_declare

    async def run_with_parameters(self: Any, source: str) -> Any:
        script_parameters.declare(self._frames)
        return await run(self, source)

    async def qualify_and_run(self: Any, sql: str) -> None:
        await run_sql(self, qualified(sql))  # it also registers the tables that the statement makes, by their names

    async def cast_and_declare(self: Any, statement: Any) -> None:
        if statement.default_expr is not None and statement.type_name:
            cast = f"CAST(({statement.default_expr}) AS {statement.type_name})"
            statement = dataclasses.replace(statement, default_expr=cast)
        await declare(self, statement)

    interpreter_class.run = run_with_parameters
    interpreter_class._exec_sql = qualify_and_run
    interpreter_class._exec_declare = cast_and_declare
