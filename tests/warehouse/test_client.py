"""Where a client connects, what its queries carry, and that no wait is endless."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from unittest.mock import Mock

import msgspec
import pytest

from tuning.errors import TuningError
from tuning.settings import Settings
from tuning.warehouse import emulator
from tuning.warehouse.client import connect, find_warehouse, query, quoted
from tuning.warehouse.fingerprint import source


class Recorded(BaseHTTPRequestHandler):
    """A server that keeps what it is sent and answers every request with status 503."""

    bodies: list[dict[str, object]]
    status = 503

    def do_POST(self) -> None:
        self.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(self.status)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def recorder() -> Iterator[tuple[str, list[dict[str, object]]]]:
    class Handler(Recorded):
        bodies: list[dict[str, object]] = []  # noqa: RUF012 - one server, one list
        status = 400

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", Handler.bodies
        server.shutdown()
        thread.join()


@pytest.mark.cloud
def test_locally_it_is_the_homes_own_server_on_gcp_googles_own(warehouse: Settings) -> None:
    assert find_warehouse(warehouse).endpoint() == emulator.ensure(warehouse).endpoint
    google = find_warehouse(Settings(target="gcp"))
    assert google.endpoint() == ""
    assert google.own_server() is None
    with pytest.raises(TuningError, match=r"works only with target local\. Omit --target"):
        google.start()
    elsewhere = Settings(target="gcp", bigquery_endpoint="http://127.0.0.1:1/")
    assert find_warehouse(elsewhere).endpoint() == "http://127.0.0.1:1"


@pytest.mark.cloud
def test_each_target_says_what_its_source_tables_allow(settings: Settings) -> None:
    google = find_warehouse(Settings(target="gcp"))
    assert google.how_to_fill() == "Check TUNING_RAW_SCHEMA"
    with pytest.raises(TuningError, match=r"the raw tables are Google's bigquery-public-data, which is read-only"):
        google.require_writable()
    mine = find_warehouse(Settings(target="gcp", raw_database="mine"))
    mine.require_writable()
    assert mine.how_to_fill() == "Check TUNING_RAW_SCHEMA, or load data: `invoke ingest DUMP --target gcp`"
    here = find_warehouse(settings)
    assert here.how_to_fill() == "Run `invoke ingest DUMP` or `invoke sample` to load data"
    here.require_writable()
    assert (here.is_new(), google.is_new()) == (True, False)
    assert not find_warehouse(msgspec.structs.replace(settings, bigquery_endpoint="http://127.0.0.1:1")).is_new()
    settings.warehouse_dir.mkdir(parents=True)
    assert not here.is_new()


@pytest.mark.cloud
def test_every_query_carries_labels_byte_limit_and_timeout(
    recorder: tuple[str, list[dict[str, object]]], tmp_path: Path
) -> None:
    address, bodies = recorder
    settings = Settings(
        home=tmp_path,
        target="gcp",
        project="mine",
        bigquery_endpoint=address,
        maximum_bytes_billed=12345,
        job_timeout=77,
        location="EU",
    )
    with pytest.raises(Exception, match="400"):
        query(connect(settings), "select 1")
    (body,) = bodies
    assert body["jobReference"]["projectId"] == "mine"  # type: ignore[index]
    assert body["jobReference"]["location"] == "EU"  # type: ignore[index]
    configuration = body["configuration"]
    assert configuration["labels"] == {"application": "python-qa-tuning"}  # type: ignore[index]
    assert configuration["jobTimeoutMs"] == "77000"  # type: ignore[index]
    assert configuration["query"]["maximumBytesBilled"] == "12345"  # type: ignore[index]
    assert configuration["query"]["query"] == "select 1"  # type: ignore[index]


@pytest.mark.cloud
def test_no_advice_on_target_gcp_names_the_local_server() -> None:
    elsewhere = Settings(target="gcp", project="mine", bigquery_endpoint="http://127.0.0.1:1")
    with pytest.raises(TuningError) as refused:
        connect(elsewhere)
    assert str(refused.value).endswith("Start it, or unset TUNING_BIGQUERY_ENDPOINT to use Google's")


@pytest.mark.cloud
def test_empty_source_tables_on_target_gcp_are_not_filled_with_the_sample() -> None:
    client = Mock()
    client.get_table.return_value.num_rows = 0
    with pytest.raises(TuningError) as refused:
        source(Settings(target="gcp", raw_database="mine"), client)
    assert "`invoke ingest DUMP --target gcp`" in str(refused.value)
    assert "sample" not in str(refused.value)


def test_no_server_at_the_endpoint_is_one_line(new_home: Callable[..., Settings]) -> None:
    address = f"http://127.0.0.1:{new_home().bigquery_port}"
    with pytest.raises(TuningError) as refused:
        connect(new_home(bigquery_endpoint=address))
    assert str(refused.value).startswith(f"no BigQuery server answers at {address}")
    assert str(refused.value).endswith("Start it (`invoke warehouse.up`), or unset TUNING_BIGQUERY_ENDPOINT")


def test_another_homes_server_is_refused_naming_both(warehouse: Settings, new_home: Callable[..., Settings]) -> None:
    mine = new_home(bigquery_endpoint=emulator.ensure(warehouse).endpoint)
    with pytest.raises(TuningError, match="belongs to") as refused:
        connect(mine)
    assert str(warehouse.home) in str(refused.value)
    assert str(mine.home) in str(refused.value)
    own = msgspec.structs.replace(warehouse, bigquery_endpoint=emulator.ensure(warehouse).endpoint)
    assert query(connect(own), "select 1 as one")[0].one == 1


def test_sql_can_read_whose_server_it_is(warehouse: Settings) -> None:
    for project in ("local-project", "another-project"):
        settings = msgspec.structs.replace(warehouse, project=project)
        rows = query(connect(settings), f"select path from `{project}`.tuning_server.home")  # noqa: S608
        assert [row.path for row in rows] == [str(warehouse.home)]


@pytest.mark.cloud
def test_target_gcp_without_a_project_of_ones_own_is_one_line() -> None:
    with pytest.raises(TuningError, match=r"no Google Cloud project is set\. Set TUNING_PROJECT"):
        connect(Settings(target="gcp"))


def test_a_statement_that_fails_inside_a_script_is_an_error(warehouse: Settings) -> None:
    with pytest.raises(Exception, match="no_such_dataset"):
        query(connect(warehouse), "select 1; select * from no_such_dataset.t")


@pytest.mark.parametrize("table", ["a.b", "a.b.c.d", "a.b.c`; drop table x; --", "a.b.", "a b.c.d"])
def test_only_a_tables_name_gets_into_sql(table: str) -> None:
    assert quoted("my-project.data_set.table_1") == "`my-project.data_set.table_1`"
    with pytest.raises(TuningError, match="is not a table name"):
        quoted(table)


def test_strings_after_an_apostrophe_in_a_comment_are_left_alone(warehouse: Settings) -> None:
    (row,) = query(
        connect(warehouse),
        "-- Python's licence\n"
        "select 'CC BY-SA 2.5' as a, 2.5 as b, /* it's */ '''it's 3.0''' as c, # don't\n"
        '"4.0" as d',
    )
    assert tuple(row.values()) == ("CC BY-SA 2.5", 2.5, "it's 3.0", "4.0")
