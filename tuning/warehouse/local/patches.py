"""Change bqemulator where it answers differently from BigQuery. Here is every place, and why.

bqemulator is pinned. `tests/warehouse/local/test_patches.py` fails if a new version no longer has one of these places,
or no longer needs the change.
"""

from typing import Any

from bqemulator.jobs import executor
from bqemulator.scripting import interpreter
from bqemulator.sql import inner_query, parameters, translator
from bqemulator.sql.rewriter.decimal_literals import rewrite_decimal_literals

from tuning.warehouse.local.catalog import table_columns
from tuning.warehouse.local.literals import outside_duckdb_text, outside_text
from tuning.warehouse.local.rewrite import corrected


def apply() -> None:
    """Apply all changes to the translation of SQL."""
    # It also changes numbers inside texts and comments ('CC BY-SA 2.5').
    translator.__dict__["rewrite_decimal_literals"] = outside_text(rewrite_decimal_literals)
    # It also replaces '@name' inside texts.
    for module in (executor, interpreter):
        module.__dict__["bind_parameters"] = bind_outside_text
    # Every statement, alone or in a script, goes through this function before it is translated.
    translate = inner_query.rewrite_and_translate_statement

    async def correct_and_translate(bq_sql: str, *, project_id: str, ctx: Any, **options: Any) -> str:
        columns = table_columns(bq_sql, project_id, ctx.catalog)
        return str(await translate(corrected(bq_sql, columns), project_id=project_id, ctx=ctx, **options))

    for module in (executor, interpreter):
        module.__dict__["rewrite_and_translate_statement"] = correct_and_translate


def bind_outside_text(sql: str, given: list[dict[str, Any]] | None = None) -> tuple[str, list[Any]]:
    """Put placeholders for the parameters into a statement of DuckDB, and return it with the values in order."""
    if not given or not given[0].get("name"):
        return parameters.bind_parameters(sql, given)  # type: ignore[no-any-return]
    parts, bound = [], []
    for is_code, part in outside_duckdb_text(sql):
        text, values = parameters.bind_parameters(part, given) if is_code else (part, [])
        parts.append(text)
        bound += values
    return "".join(parts), bound
