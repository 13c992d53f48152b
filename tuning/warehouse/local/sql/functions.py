"""Refuse functions that only DuckDB has. BigQuery would not find them."""

import functools
import re

from sqlglot import exp

from tuning.warehouse.local.sql.literals import outside_text
from tuning.warehouse.local.sql.refusals import refuse

# Names that both have, as functions or, in BigQuery, as keywords.
_SHARED = frozenset(
    """
    abs acos acosh add any_value apply approx_count_distinct array_agg array_concat array_filter array_length
    array_reverse array_slice array_to_string array_transform array_zip ascii asin asinh atan atan2 atanh avg
    bit_and bit_count bit_or bit_xor cbrt ceil ceiling char_length character_length chr concat corr cos cosh cot
    count countif covar_pop covar_samp cume_dist current_date date_add date_diff date_sub date_trunc day
    dense_rank ends_with error exp filter first first_value flatten floor format from_base64 from_hex greatest
    instr json json_array json_contains json_extract json_keys json_object json_type json_value lag last last_day
    last_value lead least left length ln log log10 lower lpad ltrim max max_by md5 min min_by mod month nth_value
    ntile nullif octet_length percent_rank pi pow power quarter range rank regexp_extract regexp_extract_all
    regexp_replace repeat replace reverse right round row_number rpad rtrim session_user sha1 sha256 sign sin sinh
    split sqrt st_asbinary st_astext starts_with stddev stddev_pop stddev_samp string_agg strpos substr substring
    sum tan tanh to_base64 to_hex to_json translate trim trunc typeof unicode unnest upper var_pop var_samp
    variance week year
    """.split()  # noqa: SIM905 - a list of words, not of 130 lines
)
_TABLE_FUNCTIONS = frozenset(
    """
    external_query external_object_transform appends changes gap_fill range_sessionize vector_search unnest
    """.split()  # noqa: SIM905 - a list of words
)
_CALL = re.compile(r"(?<![\w.`@$])([A-Za-z_]\w*)\s*\(")
_BEFORE_A_NAME = re.compile(
    r"\b(?:into|table|exists|view|with|recursive|from|join|update|merge|index)\s+$", re.IGNORECASE
)


def refuse_foreign_functions(sql: str, tree: exp.Expression) -> None:
    """Raise InvalidQueryError if an expression calls a function of DuckDB that BigQuery does not have."""
    tables = [table.this for table in tree.find_all(exp.Table) if isinstance(table.this, (exp.Anonymous, exp.Func))]
    names = {function.name.lower() for function in tables}
    names |= {alias.alias.lower() for alias in tree.find_all(exp.CTE, exp.Window)}
    found: list[str] = []

    def look(part: str) -> str:
        for match in _CALL.finditer(part):
            name = match.group(1).lower()
            if name in foreign() and name not in names and not _BEFORE_A_NAME.search(part[: match.start()]):
                found.append(match.group(1))
        return part

    outside_text(look)(sql)
    if found:
        refuse(f"Function not found: {found[0]}")


def refuse_foreign_tables(tree: exp.Expression) -> None:
    """Raise InvalidQueryError if a statement reads a table function or a view that only DuckDB has."""
    known = {cte.alias.lower() for cte in tree.find_all(exp.CTE)}
    for table in tree.find_all(exp.Table):
        if table.db or isinstance(table.this, exp.Dot):
            continue
        name = table.name.lower()
        if isinstance(table.this, exp.Func) and not isinstance(table.this, exp.Identifier):
            name = (table.this.name if isinstance(table.this, exp.Anonymous) else table.this.sql_name()).lower()
            if name not in _TABLE_FUNCTIONS:
                instead = ". Use UNNEST(GENERATE_ARRAY(...))" if name in ("range", "generate_series") else ""
                refuse(f"Table-valued function not found: {name}{instead}")
        elif name in _catalogs() and name not in known:
            refuse(f'Table "{table.name}" must be qualified with a dataset (e.g. dataset.table)')


@functools.cache
def _catalogs() -> frozenset[str]:
    """Return the names of DuckDB's own views that need no schema."""
    import duckdb

    sql = "select lower(view_name) from duckdb_views() where internal and schema_name in ('main', 'pg_catalog')"
    with duckdb.connect() as connection:
        return frozenset(name for (name,) in connection.execute(sql).fetchall())


@functools.cache
def foreign() -> frozenset[str]:
    """Return the names of DuckDB's functions that are no functions and no keywords of BigQuery."""
    import duckdb

    with duckdb.connect() as connection:
        rows = connection.execute("select distinct lower(function_name) from duckdb_functions()").fetchall()
    return frozenset(name for (name,) in rows if name.isidentifier()) - _SHARED
