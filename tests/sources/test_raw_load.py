"""Dumps and the sample in a running local BigQuery: replaced whole, or left as they were."""

import contextlib
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.homes import free_port
from tests.sources.dumps import answer, document, posts_file, question
from tests.sources.loaded import read_origin
from tuning.errors import TuningError
from tuning.settings import PROJECT_ROOT, Settings
from tuning.sources.ingest import ingest
from tuning.sources.load_sample import load_sample, load_sample_if_empty
from tuning.sources.origin import table_id
from tuning.sources.schemas import TABLES, bigquery_schema
from tuning.warehouse import emulator
from tuning.warehouse.client import connect
from tuning.warehouse.fingerprint import source


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A local BigQuery of this module's own."""
    settings = Settings(home=tmp_path_factory.mktemp("sources") / "home", bigquery_port=free_port())
    yield settings
    emulator.stop(settings)


def rows(settings: Settings, table: str) -> int:
    return connect(settings).get_table(table_id(settings, table)).num_rows


def test_an_empty_warehouse_gets_the_sample_and_a_full_one_keeps_what_it_has(warehouse: Settings) -> None:
    assert read_origin(warehouse) is None
    report = load_sample_if_empty(warehouse)
    assert report is not None
    origin = read_origin(warehouse)
    assert origin == report.origin
    assert (origin.site, origin.kind, origin.license) == ("python-qa-tuning", "synthetic", "Apache-2.0")
    assert origin.base_url == "urn:python-qa-tuning"
    assert rows(warehouse, "posts_questions") == origin.questions == 250
    assert rows(warehouse, "posts_answers") == origin.answers == 345
    assert load_sample_if_empty(warehouse) is None
    assert load_sample(warehouse, 250).origin.digest == origin.digest


def test_a_smaller_sample_is_part_of_a_larger_one_and_a_larger_one_than_there_is_is_noted(warehouse: Settings) -> None:
    first = load_sample(warehouse, 3)
    assert (first.origin.questions, first.notes) == (3, ())
    table = table_id(warehouse, "posts_questions")
    query = f"select id, owner_display_name from `{table}` order by id"  # noqa: S608
    found = connect(warehouse).query(query).result()
    assert [tuple(row) for row in found] == [
        (1_000_000_000_000 + 10 * number, "the authors of python-qa-tuning") for number in range(3)
    ]
    assert load_sample(warehouse, 251).notes == ("fewer than the requested 251 questions: the sample has no more",)
    with pytest.raises(TuningError, match="--rows 0 is less than 1"):
        load_sample(warehouse, 0)
    assert rows(warehouse, "posts_questions") == 250


def test_a_dump_replaces_all_tables_and_says_where_it_comes_from(warehouse: Settings, real_data: Path) -> None:
    report = ingest(warehouse, real_data / "cardano.stackexchange.com.7z")
    origin = read_origin(warehouse)
    assert origin == report.origin
    assert (origin.site, origin.name) == ("cardano.stackexchange.com", "Cardano Stack Exchange")
    assert origin.source == "cardano.stackexchange.com.7z"
    assert {table: rows(warehouse, table) for table in report.rows} == report.rows
    client = connect(warehouse)
    for table in TABLES:
        found = [(field.name, field.field_type) for field in client.get_table(table_id(warehouse, table)).schema]
        # The server gives integers their older name.
        expected = [
            (field.name, {"INT64": "INTEGER"}.get(field.field_type, field.field_type))
            for field in bigquery_schema(table)
        ]
        assert [(name, {"INT64": "INTEGER"}.get(kind, kind)) for name, kind in found] == expected
    assert ingest(warehouse, real_data / "cardano.stackexchange.com.7z").origin.digest == origin.digest


def test_tables_of_an_earlier_version_are_to_be_loaded_again(warehouse: Settings, tmp_path: Path) -> None:
    ingest(warehouse, posts_file(tmp_path, question(1), answer(2, 1)))
    client, table = connect(warehouse), table_id(warehouse, "origin")
    assert source(warehouse, client)["exclude_user"] == ""
    client.query(f"create or replace table `{table}` as select * except (exclude_user) from `{table}`").result()  # noqa: S608
    with pytest.raises(TuningError, match="were loaded by an earlier version"):
        source(warehouse, client)


def test_a_dump_that_cannot_be_read_to_its_end_leaves_what_was_there(warehouse: Settings, tmp_path: Path) -> None:
    before = ingest(warehouse, posts_file(tmp_path, question(1), answer(2, 1)), "cardano").origin
    (tmp_path / "cut.xml").write_bytes(document([question(3), question(4)])[:-30])
    (tmp_path / "none.7z").write_bytes(b"no archive")
    for name in ("cut.xml", "none.7z", "missing.xml"):
        with pytest.raises(TuningError):
            ingest(warehouse, tmp_path / name)
    assert read_origin(warehouse) == before
    assert rows(warehouse, "posts_questions") == 1
    assert not (warehouse.home / "sources").exists()


@pytest.mark.slow
def test_an_ingest_killed_at_any_moment_is_finished_by_the_next(warehouse: Settings, real_data: Path) -> None:
    dump = real_data / "cardano.stackexchange.com.7z"
    code = f"""
from pathlib import Path
from tuning.settings import Settings
from tuning.sources.ingest import ingest
ingest(Settings(home=Path({str(warehouse.home)!r}), bigquery_port={warehouse.bigquery_port}), Path({str(dump)!r}))
"""
    started = time.monotonic()
    subprocess.run([sys.executable, "-c", code], cwd=PROJECT_ROOT, check=True)
    seconds = time.monotonic() - started
    chance = random.Random(11)  # noqa: S311
    for _ in range(4):
        process = subprocess.Popen([sys.executable, "-c", code], cwd=PROJECT_ROOT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=chance.uniform(0.3, 1) * seconds)  # its first third is spent on imports
        process.kill()
        process.wait()
    whole = ingest(warehouse, dump)
    assert read_origin(warehouse) == whole.origin
    assert {table: rows(warehouse, table) for table in whole.rows} == whole.rows
    assert whole.rows["posts_answers"] > 1_000
    assert not (warehouse.home / "sources").exists()
