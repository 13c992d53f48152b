"""Everyday queries of analysts give what Google's reference engine gives: rows, types and names of columns."""

import decimal
import math
from pathlib import Path
from typing import Any

import pytest
from google.api_core.exceptions import BadRequest
from google.cloud import bigquery

from tests.warehouse.local.reference_engine import RefusedError, reference
from tuning.warehouse.client import query

_TEXT = (Path(__file__).parent / "everyday_queries.sql").read_text(encoding="utf-8")
EVERYDAY = dict(block.split("\n", 1) for block in _TEXT.removeprefix("-- ").split("\n\n-- "))
REFUSED = [
    "select cast('2.5' as int64)",
    "select [1, 2][offset(5)]",
    "select regexp_extract('ab', r'(a)(b)')",
    "select '1' = 1",
    "select len('abc')",
    "select list_transform([1], x -> x)",
    "select 'a' ilike 'A'",
    "select 'a''b'",
    r"select 'a\q'",
    "select foo from (select 1 a)",
    "select timestamp_diff(timestamp '2024-01-02', timestamp '2024-01-01', month)",
    "select date_trunc(date '2024-01-02', hour)",
    "select substr('abc', 1, -1)",
    "select a, count(*) from (select 1 a, 2 b) group by b",
    "select 1 / 0",
    "select format('%d')",
    "pragma version",
    "values (1)",
    "select * from (values (1))",
    "select * from range(3)",
    "select * from duckdb_tables()",
    "select * from sqlite_master",
    "explain select 1",
    "create macro m(a) as a + 1",
    "select cast('99999999999999999999999999999' as numeric) * cast('99999999999' as numeric)",
    "select div(5, x) from unnest([0]) x",
    "select mod(5, 0)",
    "select max(x) as x from unnest([1, 2]) x group by x",
    "select timestamp_add(timestamp '2024-01-31', interval 1 month)",
    "select time_sub(time '10:00:00', interval 1 day)",
    "select extract(hour from date '2024-01-01')",
]


def plain(value: Any) -> Any:
    """A value that can be compared: floats to 12 digits, JSON as Python."""
    if isinstance(value, float):
        return "NaN" if math.isnan(value) else float(f"{value:.12g}")
    if isinstance(value, decimal.Decimal):
        return value.normalize()
    if isinstance(value, list):
        return [plain(one) for one in value]
    if isinstance(value, dict):
        return [(name, plain(one)) for name, one in value.items()]
    return value


@pytest.mark.parametrize("name", EVERYDAY)
def test_an_everyday_query_gives_what_the_reference_engine_gives(client: bigquery.Client, name: str) -> None:
    got = [dict(row.items()) for row in query(client, EVERYDAY[name])]
    assert plain(got) == plain(reference(EVERYDAY[name]))


@pytest.mark.parametrize("sql", REFUSED)
def test_what_the_reference_engine_refuses_is_refused(client: bigquery.Client, sql: str) -> None:
    with pytest.raises(RefusedError):
        reference(sql)
    with pytest.raises(BadRequest):
        query(client, sql)


# The reference engine has none of these. The answers are those of Google's documentation:
# https://cloud.google.com/bigquery/docs/reference/standard-sql/approximate_aggregate_functions
@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        (
            "select approx_top_count(x, 2) as t from unnest(['apple', 'apple', 'pear', 'pear', 'pear', 'banana']) as x",
            [{"value": "pear", "count": 3}, {"value": "apple", "count": 2}],
        ),
        ("select approx_quantiles(x, 2) as t from unnest([1, 1, 1, 4, 5, 6, 7, 8, 9, 10]) as x", [1, 5, 10]),
        ("select approx_quantiles(x, 100)[offset(90)] as t from unnest([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]) as x", 9),
        ("select approx_count_distinct(x) as t from unnest([0, 1, 1, 2, 3, 5]) as x", 5),
        ("select json_value(parse_json('{\"a\": [1]}').a[0]) as t", "1"),
    ],
)
def test_approximate_aggregates_are_exact(client: bigquery.Client, sql: str, expected: Any) -> None:
    assert query(client, sql)[0].t == expected


@pytest.mark.parametrize(
    "sql",
    [
        "select approx_top_sum(x, 1, 2) from unnest([1]) x",
        "select date '2024-01-05' - date '2024-01-01'",
        "select instr('banana', 'a', -1)",
        "select format(x, 1) from unnest(['%d']) x",
        "select * from unnest([struct(1 as a)]) with offset",
        "select format('%t', struct(1, 2))",
        "select bignumeric '1.5'",
        "select cast('1' as bignumeric)",
        "select parse_bignumeric('1')",
        "declare x bignumeric default 1; select x",
        "select parse_timestamp('%Y%z', '2024+0100', 'UTC')",
        "select _partitiontime from (select 1 a)",
    ],
)
def test_what_cannot_be_correct_is_refused_with_a_way_out(client: bigquery.Client, sql: str) -> None:
    with pytest.raises(BadRequest, match=r"The local BigQuery does not support .+\. \w+"):
        query(client, sql)


@pytest.mark.parametrize("sql", ["select 1 a, 2 A", "select t.a, u.a from (select 1 a) t, (select 1 a) u"])
def test_two_columns_with_the_same_name_are_refused(client: bigquery.Client, sql: str) -> None:
    with pytest.raises(BadRequest, match=r"Duplicate column names .* Found duplicate\(s\): a"):
        query(client, sql)
