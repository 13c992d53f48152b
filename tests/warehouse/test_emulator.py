"""The local BigQuery in the background: one per home, found again, ended cleanly, its data kept."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from tuning.errors import TuningError
from tuning.settings import Settings
from tuning.warehouse import emulator
from tuning.warehouse.client import connect, query

NewHome = Callable[..., Settings]


def count_rows(settings: Settings) -> int:
    return int(query(connect(settings), "select count(*) as n from notes.words")[0].n)


def write_three_rows(settings: Settings) -> None:
    client = connect(settings)
    client.create_dataset("notes")
    query(client, "create table notes.words as select word from unnest(['a', 'b', 'c']) as word")


def test_a_server_listens_on_loopback_only_on_the_port_of_the_settings(warehouse: Settings) -> None:
    server = emulator.ensure(warehouse)
    assert server.rest_port == warehouse.bigquery_port
    listening = {
        (connection.laddr.ip.removeprefix("::ffff:"), connection.laddr.port)
        for connection in psutil.Process(server.pid).net_connections()
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening == {("127.0.0.1", server.rest_port), ("127.0.0.1", server.grpc_port)}


def test_a_server_that_runs_is_found_not_started_again(warehouse: Settings) -> None:
    assert emulator.ensure(warehouse) == emulator.ensure(warehouse) == emulator.running(warehouse)


def test_two_starts_at_once_make_one_server(new_home: NewHome) -> None:
    settings = new_home()
    script = (
        "from tuning.settings import load_settings; from tuning.warehouse import emulator;"
        "print(emulator.ensure(load_settings()).pid)"
    )
    settings_of_it = {"TUNING_HOME": str(settings.home), "TUNING_BIGQUERY_PORT": str(settings.bigquery_port)}

    def start(_: int) -> subprocess.CompletedProcess[str]:
        environment = os.environ | settings_of_it
        return subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)

    with ThreadPoolExecutor(2) as pool:
        starts = list(pool.map(start, range(2)))
    assert [start.stderr for start in starts] == ["", ""]
    assert len({start.stdout for start in starts}) == 1


def test_it_outlives_the_process_that_started_it_ends_on_stop_with_its_data_kept_and_is_no_program_of_its_old_pid(
    new_home: NewHome,
) -> None:
    settings = new_home()
    write_three_rows(settings)
    server = emulator.ensure(settings)
    assert os.getsid(server.pid) == server.pid != os.getsid(0)
    state = json.loads((settings.warehouse_dir / emulator.STATE).read_text())
    assert emulator.stop(settings) is True
    assert not psutil.pid_exists(server.pid)
    assert emulator.running(settings) is None
    assert emulator.stop(settings) is False
    for pid in (os.getpid(), server.pid):  # another program's by now, or nobody's
        (settings.warehouse_dir / emulator.STATE).write_text(json.dumps(state | {"pid": pid}))
        assert emulator.running(settings) is None
    assert emulator.stop(settings) is False
    assert emulator.ensure(settings).pid != server.pid
    assert count_rows(settings) == 3


def test_a_server_whose_command_was_killed_while_it_started_is_stopped_although_the_state_names_an_earlier_one(
    new_home: NewHome,
) -> None:
    settings = new_home("home")
    earlier = emulator.ensure(settings)
    state = settings.warehouse_dir / emulator.STATE
    content = state.read_bytes()
    for restart in (lambda: emulator.ensure(settings), lambda: emulator.start_again(settings, earlier, print)):
        os.kill(emulator.newest(settings).pid, signal.SIGKILL)
        unrecorded = emulator.ensure(settings)
        state.write_bytes(content)
        server = restart()
        assert not psutil.pid_exists(unrecorded.pid)
        assert server.rest_port == earlier.rest_port
        assert [row.one for row in query(connect(settings), "select 1 as one")] == [1]


def test_where_the_port_is_another_homes_it_takes_a_free_one_and_says_so(
    new_home: NewHome, capsys: pytest.CaptureFixture[str]
) -> None:
    first = new_home("first")
    second = new_home("second", bigquery_port=first.bigquery_port)
    write_three_rows(first)
    write_three_rows(second)
    server = emulator.ensure(second)
    assert server.rest_port != first.bigquery_port
    said = capsys.readouterr().out
    assert f"port {first.bigquery_port} is in use by the local BigQuery of {first.home}" in said
    assert f"export TUNING_BIGQUERY_ENDPOINT={server.endpoint}" in said
    query(connect(second), "delete from notes.words where word = 'a'")
    assert (count_rows(first), count_rows(second)) == (3, 2)


def test_a_port_of_another_program_is_one_line_that_says_what_to_set(new_home: NewHome) -> None:
    port = new_home("without").bigquery_port
    with socket.create_server(("127.0.0.1", port)), pytest.raises(TuningError) as refused:
        emulator.ensure(new_home(bigquery_port=port))
    assert str(refused.value) == (
        f"port {port} for the local BigQuery is in use by another program. "
        "Stop that program, or set TUNING_BIGQUERY_PORT to a free port"
    )


def test_a_folder_that_another_process_holds_is_one_line_with_the_logs_last_words(
    new_home: NewHome, tmp_path: Path
) -> None:
    settings = new_home()
    settings.warehouse_dir.mkdir(parents=True)
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()",
            str(settings.warehouse_dir / "bqemulator.duckdb"),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    try:
        with pytest.raises(TuningError) as refused:
            emulator.ensure(settings)
    finally:
        holder.communicate("")
    message = str(refused.value)
    assert "the local BigQuery did not start" in message
    assert f"PID {holder.pid}" in message
    assert str(emulator.log_file(settings)) in message
    assert "\n" not in message


def test_a_server_gets_no_access_token_and_its_extension_is_the_installed_packages(
    new_home: NewHome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))
    monkeypatch.setenv("TUNING_ACCESS_TOKEN", "a-planted-token")
    settings = new_home()
    (point,) = query(connect(settings), "select st_astext(st_geogpoint(1, 2)) as text")
    assert point.text == "POINT (1 2)"
    assert not (tmp_path / "nobody").exists()
    process = psutil.Process(emulator.ensure(settings).pid)
    assert not any("a-planted-token" in text for text in (*process.environ().values(), *process.cmdline()))


def test_a_server_that_was_killed_is_started_again_once_by_the_clients_next_request_with_what_was_written(
    new_home: NewHome, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = new_home()
    write_three_rows(settings)
    client, server = connect(settings), emulator.ensure(settings)
    os.kill(server.pid, signal.SIGKILL)
    psutil.wait_procs([psutil.Process(server.pid)] if psutil.pid_exists(server.pid) else [], timeout=30)
    assert emulator.running(settings) is None
    start = time.monotonic()
    assert query(client, "select count(*) as n from notes.words")[0].n == 3
    assert time.monotonic() - start < 60
    new = emulator.ensure(settings)
    assert (new.pid != server.pid, new.endpoint) == (True, server.endpoint)
    said = capsys.readouterr().out
    assert f"the local BigQuery (pid {server.pid}) ended unexpectedly and was started again; its log is " in said


def test_a_copied_home_has_no_server_and_a_moved_home_takes_its_own(
    new_home: NewHome, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, copy = new_home("first"), new_home("copy")
    write_three_rows(first)
    server = emulator.ensure(first)
    copy.warehouse_dir.mkdir(parents=True)
    shutil.copy(first.warehouse_dir / emulator.STATE, copy.warehouse_dir)
    assert emulator.running(copy) is None
    assert emulator.stop(copy) is False
    assert emulator.running(first) == server
    first.home.rename(tmp_path / "moved")
    moved = new_home("moved")
    assert emulator.running(moved) is None
    assert count_rows(moved) == 3
    assert not psutil.pid_exists(server.pid)
    assert f"stopping the local BigQuery of {first.home}, which is {moved.home} now" in capsys.readouterr().out
