"""Every change of bqemulator still finds its place, and is still needed: this version answers wrongly without it."""

import importlib
import subprocess
import sys

import sqlglot

from tests.dbt_project.google_analyzer import Tables
from tuning.warehouse.local.sql.functions import _SHARED, foreign

# What the process prints must differ from what BigQuery gives. If it does not, remove the change from patches.py.
NEEDED = {
    "numbers inside texts": (
        "from bqemulator.sql.translator import SQLTranslator as T;"
        "print(\"'CC BY-SA 2.5'\" in T().translate(\"-- it's\\nselect 'CC BY-SA 2.5' as a\").value)",
        "True",
    ),
    "parameters inside texts": (
        "from bqemulator.sql.parameters import bind_parameters as b;"
        "p = {'name': 'x', 'parameterType': {'type': 'INT64'}, 'parameterValue': {'value': '1'}};"
        "print(b(\"select '@x'\", [p])[0])",
        "select '@x'",
    ),
    "casts": (
        "from bqemulator.sql.translator import SQLTranslator as T; import duckdb;"
        "print(duckdb.sql(T().translate('select cast(2.5 as int64) as a').value).fetchall()[0][0])",
        "3",
    ),
    "statuses that clients repeat": (
        "from bqemulator.domain.errors import UnsupportedFeatureError as E; print(E('x').http_status)",
        "400",
    ),
    "types of JSON columns": (
        "from bqemulator.catalog import ddl_sync; import inspect;"
        "print('JSON' if 'JSON' in inspect.getsource(ddl_sync._introspect_schema) else 'STRING')",
        "JSON",
    ),
    "facts of created tables": (
        "from bqemulator.catalog import ddl_sync; import inspect;"
        "print('kept' if 'clustering' in inspect.getsource(ddl_sync) else 'forgotten')",
        "kept",
    ),
    "groups that have the name of a column": (
        "import sqlglot;"
        "sql = 'select q.id as id from q join a on true group by q.id order by q.id';"
        "print(sqlglot.parse_one(sql, read='bigquery').sql('bigquery').split('GROUP BY ')[1])",
        "q.id ORDER BY q.id",
    ),
    "decimals of NUMERIC": (
        "import sqlglot; print(sqlglot.transpile('select cast(a as numeric)', read='bigquery', write='duckdb')[0])",
        "SELECT CAST(a AS DECIMAL(38, 9))",
    ),
    "casts to NUMERIC with decimals": (
        "import sqlglot; print(sqlglot.parse_one('select cast(a as numeric(5, 2))', read='bigquery').sql('bigquery'))",
        "SELECT CAST(a AS NUMERIC(5, 2))",
    ),
    "zeros at the end of a NUMERIC": (
        "from bqemulator.storage.arrow_bridge import _format_bq_value as f; import decimal, pyarrow;"
        "print(f(decimal.Decimal('1.50'), pyarrow.decimal128(38, 2)))",
        "1.5",
    ),
    "types of products of NUMERIC": (
        "from bqemulator.jobs.executor import _arrow_type_to_bq_type as f; import pyarrow;"
        "print(f(pyarrow.decimal128(38, 18)))",
        "NUMERIC",
    ),
    "types of parameters": (
        "p = {'name': 'x', 'parameterType': {'type': 'BYTES'}, 'parameterValue': {'value': 'YQ=='}};"
        "print(b('select @x', [p])[1])",
        "[b'a']",
    ),
    "parses of one text": (
        "from sqlglot.dialects.dialect import Dialect as D; seen, parse = [], D.parse;"
        "D.parse = lambda self, sql, **options: seen.append(sql) or parse(self, sql, **options);"
        "T().translate('select 1 as a'); D.parse = parse; print(len(seen) == len(set(seen)))",
        "True",
    ),
    "reasons that clients do not know": (
        "from bqemulator.domain.errors import OutOfRangeError as E; print(E('x').bq_reason)",
        "invalidQuery",
    ),
    "tables without partitions": (
        "from bqemulator.storage import partition_state; import inspect;"
        "print('NULL' if '__NULL__' not in inspect.getsource(partition_state._list_unpartitioned) else '__NULL__')",
        "NULL",
    ),
}


def test_each_change_is_still_needed() -> None:
    """One process runs them all, because the import of bqemulator takes a second."""
    lines = printed("\n".join(code for code, _ in NEEDED.values()))
    rights = [right for _, right in NEEDED.values()]
    assert len(lines) == len(rights)
    assert not [name for name, line, right in zip(NEEDED, lines, rights, strict=True) if line == right]


def test_all_changes_find_their_place() -> None:
    places = (
        "print({f.__module__.split('.')[0] for f in [executor.bind_parameters, interpreter.bind_parameters,"
        " translator.rewrite_decimal_literals, translator.sql_parse_error, inner_query.rewrite_for_row_access,"
        " executor.rewrite_and_translate_statement, interpreter.rewrite_and_translate_statement,"
        " executor.translate_runtime_error, error_mapper.translate_runtime_error, jobs.execute_query_job,"
        " ddl_sync._introspect_schema, partition_state._list_unpartitioned,"
        " executor.sync_created_table, interpreter.sync_created_table,"
        " *[getattr(interpreter.ScriptInterpreter, name) for name in ('run', '_exec_sql', '_exec_declare')]]})"
    )
    code = (
        "from bqemulator.jobs import executor, error_mapper; from bqemulator.sql import inner_query, translator\n"
        "from bqemulator.storage import partition_state\n"
        "from bqemulator.scripting import interpreter; from bqemulator.catalog import ddl_sync\n"
        f"from bqemulator.api.routes import jobs\n{places}\n"
        f"from tuning.warehouse.local import patches; patches.apply()\n{places}"
    )
    assert printed(code) == ["{'bqemulator'}", "{'tuning'}"]


def printed(code: str) -> list[str]:
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return [line for line in run.stdout.splitlines() if "[debug" not in line]


def test_the_list_of_functions_has_all_that_google_has() -> None:
    service = importlib.import_module(
        "zetasql.core"
    ).ZetaSqlLocalService  # after google_analyzer, as in reference_engine
    answer = service.get_instance().get_builtin_functions(language_options=Tables().language)
    names = {function.name_path[-1].lower() for function in answer.function if len(function.name_path) == 1}
    assert len(names) > 400
    assert not names & foreign()
    assert {"max_by", "count"} <= _SHARED


def test_sqlglot_still_leaves_code_points_in_texts_alone() -> None:
    assert sqlglot.parse_one(r"select '\u0041'", read="bigquery").expressions[0].this != "A"
