"""Which home a server serves, and what a start that fails says: copies, replaced folders, ports, broken state."""

import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import psutil
import pytest

from tuning import resource_errors
from tuning.errors import TuningError
from tuning.settings import Settings, load_settings
from tuning.storage import write_json
from tuning.warehouse import emulator
from tuning.warehouse.client import connect, find_warehouse, query
from tuning.warehouse.local.start_errors import explained
from tuning.warehouse.restart.revival import Revival

NewHome = Callable[..., Settings]


def kill(server: emulator.Server) -> None:
    os.kill(server.pid, signal.SIGKILL)
    while not emulator.is_gone(server):
        time.sleep(0.01)


def test_a_server_that_ends_twice_is_one_line_with_its_log_and_one_stopped_on_purpose_stays_stopped(
    new_home: NewHome, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = new_home()
    said: list[str] = []
    first = emulator.ensure(settings)
    revival = Revival(settings, first, said.append)
    kill(first)
    assert revival.revive(first) is True
    assert revival.revive(first) is True  # another thread's request, which failed on the first one too
    second = revival.server
    assert (second.pid != first.pid, revival.revive(second), len(said)) == (True, False, 1)
    kill(second)
    with pytest.raises(TuningError) as refused:
        revival.revive(second)
    message = str(refused.value)
    assert message.startswith(f"the local BigQuery (pid {second.pid}) ended unexpectedly for the second time: ")
    assert str(emulator.log_file(settings)) in message
    third = emulator.ensure(settings)
    assert third.pid not in (first.pid, second.pid)
    assert f"(pid {second.pid}) ended unexpectedly and was started again" in capsys.readouterr().out
    revival = Revival(settings, third)
    emulator.stop(settings)
    with pytest.raises(TuningError, match="was stopped while this command used it"):
        revival.revive(third)
    assert emulator.running(settings) is None


def test_a_suspended_server_goes_on_and_can_be_stopped(new_home: NewHome, capsys: pytest.CaptureFixture[str]) -> None:
    settings = new_home()
    client, server = connect(settings), emulator.ensure(settings)
    os.kill(server.pid, signal.SIGSTOP)
    started = time.monotonic()
    assert query(client, "select 1 as one")[0].one == 1
    os.kill(server.pid, signal.SIGSTOP)
    assert emulator.stop(settings) is True
    assert time.monotonic() - started < 40
    assert f"the local BigQuery (pid {server.pid}) was suspended; it goes on now" in capsys.readouterr().err


def test_a_copy_in_the_place_of_the_original_does_not_use_the_server_of_deleted_files(
    new_home: NewHome, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = new_home()
    server = emulator.ensure(settings)
    shutil.copytree(settings.home, tmp_path / "copy")
    shutil.rmtree(settings.home)
    (tmp_path / "copy").rename(settings.home)
    assert emulator.running(settings) is None
    assert emulator.ensure(settings).pid != server.pid
    assert not psutil.pid_exists(server.pid)
    assert f"stopping the local BigQuery of {settings.home}, whose files were replaced" in capsys.readouterr().out


def test_a_home_behind_a_symlink_is_the_same_home(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    assert load_settings(environ={"TUNING_HOME": str(tmp_path / "link")}).home == tmp_path / "real"


def test_the_endpoint_that_a_person_exports_is_watched_too(warehouse: Settings) -> None:
    server = emulator.ensure(warehouse)
    for address in (server.endpoint, f"http://localhost:{server.rest_port}/"):
        assert find_warehouse(msgspec.structs.replace(warehouse, bigquery_endpoint=address)).own_server() == server
    elsewhere = msgspec.structs.replace(warehouse, bigquery_endpoint="http://127.0.0.1:1")
    assert find_warehouse(elsewhere).own_server() is None


def test_a_port_that_is_taken_between_the_choice_and_the_start_is_not_used(
    warehouse: Settings, new_home: NewHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = new_home("second", bigquery_port=emulator.ensure(warehouse).rest_port)
    chosen = iter([second.bigquery_port, 0])
    monkeypatch.setattr(emulator, "_choose_port", lambda _: next(chosen))
    assert emulator.ensure(second).rest_port != second.bigquery_port


def test_a_server_that_starts_or_is_busy_is_known_by_its_command_line(warehouse: Settings, new_home: NewHome) -> None:
    server = emulator.ensure(warehouse)
    os.kill(server.pid, signal.SIGSTOP)  # no answer at all
    second = new_home("second", bigquery_port=server.rest_port)
    try:
        assert emulator._home_by_command_line(second.bigquery_port) == warehouse.home
        assert emulator._choose_port(second) == 0
    finally:
        os.kill(server.pid, signal.SIGCONT)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[]", b'{"home": 1}'])
def test_a_damaged_state_file_is_named(new_home: NewHome, content: bytes) -> None:
    settings = new_home()
    settings.warehouse_dir.mkdir(parents=True)
    (settings.warehouse_dir / emulator.STATE).write_bytes(content)
    with pytest.raises(TuningError, match=r"server\.json .*`invoke warehouse.up`, which starts the server again"):
        emulator.running(settings)


def test_a_state_file_with_a_home_that_no_folder_can_be_names_no_server(new_home: NewHome) -> None:
    settings = new_home()
    state = {"home": "a\0b", "pid": os.getpid(), "rest_port": 1, "grpc_port": 1, "started": 0.0, "inode": 1}
    write_json(settings.warehouse_dir / emulator.STATE, state)
    assert emulator.running(settings) is None


def test_a_damaged_database_is_one_line_with_the_commands_that_make_it_again(new_home: NewHome) -> None:
    settings = new_home()
    settings.warehouse_dir.mkdir(parents=True)
    (settings.warehouse_dir / emulator.DATABASE).write_bytes(b"not a database" * 1000)
    with pytest.raises(TuningError) as refused:
        emulator.ensure(settings)
    message = str(refused.value)
    assert f"cannot read its database {settings.warehouse_dir}" in message
    assert f"`rm -r {settings.warehouse_dir}`" in message
    assert "`invoke sample`, or `invoke ingest DUMP`" in message
    assert "\n" not in message


def test_a_start_on_a_full_disk_names_the_disk_though_the_log_is_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "server.log"
    log.write_text("")
    assert str(explained(log)).startswith("the local BigQuery did not start: its log does not say why. ")
    monkeypatch.setattr(resource_errors, "_free", lambda _: 0)
    said = str(explained(log))
    assert said.startswith("the local BigQuery did not start: the disk became full: ")
    assert said.endswith(
        " has 0.0 MB free now. Free some space (`invoke clean` deletes left-overs), "
        "then run the command again to resume."
    )


def test_a_log_that_cannot_be_written_is_one_line(new_home: NewHome) -> None:
    settings = new_home()
    emulator.log_file(settings).mkdir(parents=True)
    emulator.log_file(settings).with_suffix(".previous.log").write_text("")
    with pytest.raises(TuningError, match="cannot write its log"):
        emulator.ensure(settings)
