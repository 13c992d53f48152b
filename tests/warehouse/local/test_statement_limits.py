"""No statement takes more time or memory than it may, and the server lives on."""

import resource
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest
from google.api_core.exceptions import BadRequest
from google.cloud import bigquery

from tuning.settings import Settings
from tuning.warehouse import emulator
from tuning.warehouse.client import connect, query
from tuning.warehouse.local.limits import LimitError, Limits

ENDLESS = "select count(*) from unnest(generate_array(1, 1000000)) a, unnest(generate_array(1, 1000000)) b"


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("select length(repeat('x', 2000000000))", "Output of REPEAT exceeds max allowed output size of 1MB"),
        ("select length(repeat(x, 1000000)) from unnest(['abc']) x", "Output of REPEAT exceeds"),
        ("select length(lpad('x', 2000000000, 'y'))", "Output of LPAD exceeds"),
        ("select array_length(generate_array(1, 10000000000))", "GENERATE_ARRAY produced too many elements"),
        ("select replace(repeat('x', 1000000), 'x', repeat('y', 1000000))", "Output of REPLACE is too large"),
        ("select regexp_replace(repeat('x', 99999), 'x', repeat('y', 99999))", "Output of REGEXP_REPLACE is too large"),
    ],
)
def test_a_function_with_a_huge_output_is_refused_before_it_runs(
    warehouse: Settings, client: bigquery.Client, sql: str, message: str
) -> None:
    process = psutil.Process(emulator.ensure(warehouse).pid)
    before = process.memory_info().rss
    with pytest.raises(BadRequest, match=message):
        query(client, sql)
    assert process.memory_info().rss - before < 100 << 20
    assert query(client, "select 1 as one")[0].one == 1


@pytest.mark.parametrize("sql", [ENDLESS, "loop select 1; end loop"])
def test_a_job_ends_at_its_timeout_and_the_server_lives_on(client: bigquery.Client, sql: str) -> None:
    start = time.monotonic()
    with pytest.raises(BadRequest, match=r"ran longer than its limit of 0\.5 seconds"):
        client.query(sql, job_config=bigquery.QueryJobConfig(job_timeout_ms=500)).result()
    assert time.monotonic() - start < 10
    assert query(client, "select 1 as one")[0].one == 1


def test_a_statement_that_takes_too_much_memory_is_interrupted() -> None:
    import duckdb

    limits = Limits(seconds=60, memory=200 << 20)
    with duckdb.connect() as connection:
        with pytest.raises(LimitError, match=r"more memory than its limit of 0\.2 GiB"), limits.statement(connection):
            connection.execute("select list(a || 'some text to fill the memory') from range(100000000) t(a)").fetchall()
        with limits.statement(connection):
            assert connection.execute("select 1").fetchall() == [(1,)]


def test_each_of_several_statements_ends_at_its_limit_and_leaves_the_limit_of_the_system() -> None:
    import duckdb

    limits, before = Limits(seconds=1, memory=1 << 30), resource.getrlimit(resource.RLIMIT_DATA)
    endless = "select count(*) from range(10000000) a(x), range(10000000) b(y) where x + y = -1"

    def run(number: int) -> str:
        time.sleep(number / 5)  # so that none begins or ends with another
        with duckdb.connect() as connection, pytest.raises(LimitError) as stopped, limits.statement(connection):
            connection.execute(endless).fetchall()
        return str(stopped.value)

    with ThreadPoolExecutor(3) as pool:
        messages = list(pool.map(run, range(3)))
    assert [message.partition(".")[0] for message in messages] == [
        "the query ran longer than its limit of 1 seconds"
    ] * 3
    assert resource.getrlimit(resource.RLIMIT_DATA) == before


def test_a_listing_that_takes_too_long_ends_with_the_limit(new_home: Callable[..., Settings]) -> None:
    settings = new_home(job_timeout=5)
    emulator.ensure(settings)
    client = connect(settings)
    client.create_dataset("listed")
    query(client, "create table listed.numbers as select 1 as n")
    query(client, "create view listed.endless as select count(*) as n from listed.numbers a, listed.numbers b")
    query(client, "insert into listed.numbers select n from unnest(generate_array(1, 1000000)) as n")
    start = time.monotonic()
    with pytest.raises(BadRequest, match=r"ran longer than its limit of 5 seconds"):
        list(client.list_rows("local-project.listed.endless", timeout=60))
    assert time.monotonic() - start < 30
    assert query(client, "select 1 as one")[0].one == 1
