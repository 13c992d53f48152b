"""Requests at once: each gets its own rows."""

from concurrent.futures import ThreadPoolExecutor

from google.cloud import bigquery

from tuning.settings import Settings
from tuning.warehouse.client import connect, query

ROWS = 2_000


def test_rows_that_are_listed_while_others_list_and_query_are_those_of_the_table(
    warehouse: Settings, client: bigquery.Client
) -> None:
    for number in range(3):
        client.create_dataset("at_once", exists_ok=True)
        query(
            client,
            f"create or replace table at_once.t{number} as "  # noqa: S608 - a number
            f"select {number} as table_number, timestamp('2026-01-01') as at, n "
            f"from unnest(generate_array(1, {ROWS})) as n",
        )

    def read(number: int) -> set[tuple[int, str]]:
        own = connect(warehouse)
        table = f"at_once.t{number % 3}"
        rows = (
            own.list_rows(own.get_table(table), page_size=500) if number % 4 else query(own, f"select * from {table}")  # noqa: S608 - a number
        )
        found = [(row["table_number"], row["at"].isoformat()) for row in rows]
        assert len(found) == ROWS
        return set(found)

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(read, range(120)))
    assert results == [{(number % 3, "2026-01-01T00:00:00+00:00")} for number in range(120)]
