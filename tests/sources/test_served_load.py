"""Homes that share a BigQuery dataset share the table of served answers, and none replaces the rows of another."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.dbt_project.google_analyzer import Tables
from tests.homes import free_port
from tuning.records import encode_record
from tuning.settings import Settings
from tuning.sources.served.answers import ServedAnswer, log_file, log_files, log_folder, today
from tuning.sources.served.load import columns, load_served, merge_statement, table_name
from tuning.warehouse import emulator
from tuning.warehouse.client import connect, query


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    settings = Settings(home=tmp_path_factory.mktemp("home"), bigquery_port=free_port())
    emulator.ensure(settings)
    yield settings
    emulator.stop(settings)


@pytest.fixture
def shared(server: Settings, request: pytest.FixtureRequest) -> Settings:
    """A BigQuery dataset without the table."""
    return msgspec.structs.replace(server, bigquery_dataset=request.node.name)


class Home:
    """A home on the shared dataset. Its log is in the folder of the server's home while it loads."""

    def __init__(self, shared: Settings, folder: Path) -> None:
        self.settings, self._mine = shared, folder

    def serve(self, *answers: str, age: int = 0, text: str = "So.") -> None:
        day = today() - timedelta(days=age)
        path = self._mine / log_file(self.settings, day).name
        path.parent.mkdir(exist_ok=True)
        with path.open("ab") as file:
            for name in answers:
                file.write(encode_record(answer(name, age, text)) + b"\n")

    def load(self) -> str:
        place = log_folder(self.settings)
        if self._mine.exists():
            self._mine.rename(place)
        try:
            return load_served(self.settings)
        finally:
            if place.exists():
                place.rename(self._mine)

    def forget_all(self) -> None:
        for path in self._mine.glob("answers-*"):
            path.unlink()


def answer(name: str, age: int, text: str) -> ServedAnswer:
    values: dict[str, Any] = dict.fromkeys(("prompt_tokens", "answer_tokens", "milliseconds", "characters"), 1)
    values |= dict.fromkeys(("has_code", "is_refusal", "is_empty", "is_loop", "is_truncated"), False)
    at = datetime.now(UTC) - timedelta(days=age)
    texts = {"model_version": "v1", "question": "How?", "answer": text, "finish_reason": "STOP"}
    return ServedAnswer(answer_id=name, answered_at=at, **values, **texts)


def rows(settings: Settings) -> list[tuple[str, str]]:
    found = query(connect(settings), f"select answer_id, answer from `{table_name(settings)}` order by 1")  # noqa: S608
    return [tuple(row.values()) for row in found]


def names(settings: Settings) -> list[str]:
    return [name for name, _ in rows(settings)]


def test_each_home_changes_its_own_rows_only(shared: Settings, tmp_path: Path) -> None:
    one, other = Home(shared, tmp_path / "one"), Home(shared, tmp_path / "other")
    assert one.load() == ""
    one.serve("a", "b")
    other.serve("c")
    assert one.load() == f"2 served answers in {table_name(shared)}"
    other.load()
    other.load()
    assert names(shared) == ["a", "b", "c"]
    one.forget_all()  # as the retention does
    one.serve("d")
    one.load()
    assert names(shared) == ["c", "d"]
    one.forget_all()
    assert one.load().startswith("0 served answers")
    assert names(shared) == ["c"]


def test_an_answer_that_is_loaded_again_is_there_once(shared: Settings, tmp_path: Path) -> None:
    home = Home(shared, tmp_path / "one")
    home.serve("a", "a")
    home.load()
    (tmp_path / "one" / "log_id").write_text("' or true --")  # damaged: the log gets another ID
    home.serve("a", text="So it is.")
    home.load()
    assert rows(shared) == [("a", "So it is.")]


@pytest.mark.timeout(120)
def test_a_pipe_in_place_of_the_id_of_the_log_is_replaced(shared: Settings, tmp_path: Path) -> None:
    home = Home(shared, tmp_path / "one")
    home.serve("a")
    os.mkfifo(tmp_path / "one" / "log_id")
    home.load()
    home.load()
    assert (names(shared), (tmp_path / "one" / "log_id").is_file()) == (["a"], True)


def test_rows_of_a_home_that_is_gone_end_with_their_day(shared: Settings, tmp_path: Path) -> None:
    gone, other = Home(shared, tmp_path / "gone"), Home(shared, tmp_path / "other")
    gone.serve("old", age=shared.serve_log_days + 1)
    gone.serve("young", age=shared.serve_log_days - 1)
    gone.load()
    other.serve("c")
    other.load()
    assert names(shared) == ["c", "young"]


def test_a_table_of_an_earlier_version_is_made_again(shared: Settings, tmp_path: Path) -> None:
    client = connect(shared)
    client.create_dataset(table_name(shared).rpartition(".")[0])
    query(client, f"create table `{table_name(shared)}` as select 'x' as answer_id, 'old' as answer")
    home = Home(shared, tmp_path / "one")
    home.serve("a")
    home.load()
    assert names(shared) == ["a"]
    assert [field.name for field in client.get_table(table_name(shared)).schema] == [*columns()]
    assert not any(log_files(shared))


def test_googles_analyzer_takes_the_statement() -> None:
    tables = Tables()
    for name in ("p.d.answers", "p.d.staged"):
        tables.declare(name, {column: kind.lower() for column, kind in columns().items()})
    assert tables.check(merge_statement("`p.d.answers`", "`p.d.staged`", "0" * 32)) == {}
