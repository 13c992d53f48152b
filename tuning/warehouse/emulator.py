"""Start and stop the local BigQuery: one background server per home, which starts on demand.

The process runs `tuning.warehouse.server`. Its data, state file and log are in ``HOME/warehouse``.
"""

import contextlib
import functools
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from tuning.errors import TuningError
from tuning.records import read_record
from tuning.settings import PREFIX, Settings, variable
from tuning.storage import locked, remove
from tuning.warehouse import identity
from tuning.warehouse.local.start_errors import explained, last_lines

STATE = "server.json"  # the server writes it when both ports are open, and deletes it when it stops
DATABASE = "bqemulator.duckdb"
START_SECONDS = 120  # a start takes about 2 s; after a kill it takes longer, because DuckDB replays its log
STOP_SECONDS = 60
_END_SECONDS = 10
_LOOK_SECONDS = 1.0  # between looks at a server's process
_MODULE = "tuning.warehouse.server"


@dataclass(frozen=True)
class Server:
    """Describe a running server.

    `started` is the start time of its process, in seconds since 1970. It shows whether another process reuses the pid.
    `inode` is that of its database file. It shows whether the folder at `home` still is the one that the server uses.
    """

    home: Path
    pid: int
    rest_port: int
    grpc_port: int
    started: float
    inode: int

    @property
    def endpoint(self) -> str:
        """Return the URL of the REST API."""
        return f"http://127.0.0.1:{self.rest_port}"

    def is_at(self, address: str) -> bool:
        """Return whether the URL is that of this server."""
        parts = urlsplit(address)
        return parts.hostname in ("127.0.0.1", "localhost") and parts.port == self.rest_port


def ensure(settings: Settings) -> Server:
    """Return the home's server. Start it if it is not running.

    The server listens on ``settings.bigquery_port``. If the server of another home uses that port, the new server uses
    a free port, and this function prints the environment variable that you need to run `dbt` directly. Raises
    TuningError if another program uses the port, or, with the end of the log, if the server does not start.
    """
    import requests

    server = None
    for _ in range(2):
        with contextlib.suppress(TuningError):  # a damaged state file: below, the server starts again
            server = running(settings)
        try:
            if server is not None and identity.is_recorded(settings, server.endpoint):
                return server
            with _start_lock(settings):
                _stop_unrecorded(settings)
                server = running(settings) or _start_or_restart(settings)
                if server.rest_port != settings.bigquery_port:
                    print(f"to run dbt directly: export {variable('bigquery_endpoint')}={server.endpoint}")
                identity.record(settings, server.endpoint)
        except requests.RequestException as error:
            if server is None or not is_gone(server):
                raise TuningError(
                    f"the local BigQuery does not answer: {type(error).__name__}", _see(log_file(settings))
                ) from error
        else:
            return server
    raise ended_again(settings, server)


def running(settings: Settings) -> Server | None:
    """Return the home's server, or None if it is not running.

    A state file is ignored if its process has ended, if another program has the same pid, or if it came with a copy of
    another home. This function sends no request, because a server that loads a large file does not answer until the
    load is done. Raises TuningError if the state file is damaged.
    """
    server = newest(settings)
    if server is None or is_gone(server):
        return None
    _watch(server)
    return server


def newest(settings: Settings) -> Server | None:
    """Return the home's server, also if it has ended unexpectedly, or None if it never ran or was stopped in order."""
    server = _recorded(settings)
    is_ours = server is not None and _is_same(server.home, settings.home) and not _has_lost_its_home(server)
    return server if is_ours else None


def is_gone(server: Server) -> bool:
    """Return whether the server's process has ended."""
    return _process(server) is None


def start_again(settings: Settings, server: Server, say: Callable[[str], None]) -> Server:
    """Start the home's server, whose process has ended, again on the same port. Return it, and `say` so.

    If another command has started it, return that one. Raises TuningError if `server` was stopped by
    `invoke warehouse.down`, or if it does not start.
    """
    with _start_lock(settings):
        new = running(settings)
        if new is None:
            if _recorded(settings) is None:  # only a server that ends in order deletes its state file
                raise TuningError(
                    f"the local BigQuery of {settings.home} was stopped while this command used it",
                    "Run the command again",
                )
            _stop_unrecorded(settings)
            _wait_until_ended(server)
            new = _start(settings, server.rest_port)
            identity.record(settings, new.endpoint)
            say(_started_again(settings, server))
    if new.rest_port != server.rest_port:
        raise TuningError(
            f"the local BigQuery ended and was started again on another port, {new.rest_port}", "Run the command again"
        )
    return new


def ended_again(settings: Settings, server: Server | None) -> TuningError:
    """Return the error for a server that ended a second time during one command."""
    pid = f" (pid {server.pid})" if server else ""
    log = log_file(settings)
    return TuningError(f"the local BigQuery{pid} ended unexpectedly for the second time: {last_lines(log)}", _see(log))


def stop(settings: Settings) -> bool:
    """Stop the home's server and wait until it ends. Return False if it was not running. Its data stays.

    Raises TuningError if another process is starting the server at the moment and does not finish.
    """
    with _start_lock(settings):
        if _stop_unrecorded(settings):
            return True
        server = running(settings)
        process = _process(server) if server else None
        if process is None:
            return False
        _end(process)
        remove(settings.warehouse_dir / STATE)
    return True


def log_file(settings: Settings) -> Path:
    """Return the log file of the home's server."""
    return settings.warehouse_dir / "server.log"


def _previous_log(settings: Settings) -> Path:
    return log_file(settings).with_suffix(".previous.log")


def _recorded(settings: Settings) -> Server | None:
    """Return the server in the home's state file, or None if there is no such file. Raises TuningError if damaged."""
    state = settings.warehouse_dir / STATE
    return (
        read_record(state, Server, "Run `invoke warehouse.up`, which starts the server again")
        if state.exists()
        else None
    )


def _stop_unrecorded(settings: Settings) -> bool:
    """Stop a server of this home that its state file does not name. Return whether there was one.

    It was started by a command that was killed before the server was ready. The state file can still name a server that
    ended before it. Call this with the start lock, so that no other command is starting a server.
    """
    recorded = None
    with contextlib.suppress(TuningError):
        recorded = _recorded(settings)
    if recorded is None:
        remove(settings.warehouse_dir / STATE)
    elif not is_gone(recorded):
        return False
    stopped = False
    for process in psutil.process_iter(["cmdline"]):
        command = process.info["cmdline"] or []
        if _MODULE in command[:-1] and _is_same(Path(command[command.index(_MODULE) + 1]), settings.home):
            print(f"stopping the local BigQuery (pid {process.pid}), because no state file names it")
            _end(process)
            stopped = True
    return stopped


def _is_same(one: Path, other: Path) -> bool:
    with contextlib.suppress(OSError, ValueError):  # ValueError: a null character in a damaged state file
        return one.samefile(other)
    return one == other


def _has_lost_its_home(server: Server) -> bool:
    """Return whether the server's home was moved, deleted or replaced, so that its database file is not there."""
    try:
        return (server.home / "warehouse" / DATABASE).stat().st_ino != server.inode
    except OSError:
        return True


def _stop_without_home(settings: Settings) -> None:
    """Stop a server that the state file names and that has lost its home: this home was moved or replaced."""
    server = _recorded(settings)
    process = _process(server) if server is not None and _has_lost_its_home(server) else None
    if server is not None and process is not None:
        now = "whose files were replaced" if server.home == settings.home else f"which is {settings.home} now"
        print(f"stopping the local BigQuery of {server.home}, {now}")
        _end(process)


def _end(process: psutil.Process) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        process.terminate()
        process.resume()  # a suspended process gets the signal only then
        try:
            process.wait(STOP_SECONDS)
        except psutil.TimeoutExpired:
            process.kill()  # committed data is in DuckDB's log, which the next start replays
            process.wait()


@functools.cache
def _watch(server: Server) -> None:
    """Start a thread that wakes the server if its process is suspended (SIGSTOP), so that no wait for it is endless."""

    def watch() -> None:
        while process := _process(server):
            with contextlib.suppress(psutil.Error):
                if process.status() == psutil.STATUS_STOPPED:
                    process.resume()
                    print(f"the local BigQuery (pid {server.pid}) was suspended; it goes on now", file=sys.stderr)
            time.sleep(_LOOK_SECONDS)

    threading.Thread(target=watch, name="local BigQuery", daemon=True).start()


def _started_again(settings: Settings, server: Server) -> str:
    log = _previous_log(settings)
    return f"the local BigQuery (pid {server.pid}) ended unexpectedly and was started again; its log is {log}"


def _see(log: Path) -> str:
    return f"See its log {log}, and run the command again"


def _start_lock(settings: Settings) -> contextlib.AbstractContextManager[None]:
    return locked(settings.warehouse_dir / "start.lock", "the start of the local BigQuery", START_SECONDS)


def _start_or_restart(settings: Settings) -> Server:
    """Start the server. If the state file names one that ended without deleting it, say that it ended unexpectedly."""
    before = newest(settings)
    if before is not None:
        _wait_until_ended(before)
    server = _start(settings, _choose_port(settings))
    if before is not None:
        print(_started_again(settings, before))
    return server


def _start(settings: Settings, port: int) -> Server:
    log = log_file(settings)
    arguments = [str(settings.home), settings.project, str(port), str(settings.job_timeout)]
    # Its settings are arguments. Among our own variables are secrets, which it must not get.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("BQEMU_", PREFIX))}
    try:
        if log.exists():
            log.replace(_previous_log(settings))
        output = log.open("wb")
    except OSError as error:
        raise TuningError(
            f"the local BigQuery cannot write its log {log} ({error.strerror})",
            f"Make the folder {log.parent} writable for you, or delete what is at {log}",
        ) from None
    with output:
        process = subprocess.Popen(
            [sys.executable, "-m", _MODULE, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environment,
            start_new_session=True,  # so that the end of the command or Ctrl-C does not stop the server
        )
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        server = running(settings)
        if server is not None and server.pid == process.pid:
            return server
        time.sleep(0.05)
    process.kill()
    process.wait()
    if port and not _is_free(port):  # taken since it was chosen
        return _start(settings, _choose_port(settings))
    raise explained(log)


def _wait_until_ended(server: Server) -> None:
    """Wait until a killed server has closed its port: its threads, and with them its files, end a moment later."""
    deadline = time.monotonic() + _END_SECONDS
    while not _is_free(server.rest_port) and time.monotonic() < deadline:
        time.sleep(0.05)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _choose_port(settings: Settings) -> int:
    """Return ``settings.bigquery_port``, or 0 (any free port) if the server of another home uses that port.

    Stop a server there that has lost this home. Raises TuningError if another program uses the port.
    """
    _stop_without_home(settings)
    other = home_at_port(settings)
    if other is None:
        return settings.bigquery_port
    print(f"port {settings.bigquery_port} is in use by the local BigQuery of {other}; using a free port")
    return 0


def home_at_port(settings: Settings) -> Path | None:
    """Return the home whose server uses ``settings.bigquery_port``, or None if the port is free.

    Raises TuningError if another program uses the port.
    """
    port = settings.bigquery_port
    if _is_free(port):
        return None
    other = _home_by_command_line(port) or identity.home_at(f"http://127.0.0.1:{port}")
    if other is None:
        raise TuningError(
            f"port {port} for the local BigQuery is in use by another program",
            f"Stop that program, or set {variable('bigquery_port')} to a free port",
        )
    return other


def _home_by_command_line(port: int) -> Path | None:
    """Return the home of the server that was started for this port. One that starts or works may not answer yet."""
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if _MODULE in words and words[words.index(_MODULE) + 3 :][:1] == [str(port)]:
            return Path(words[words.index(_MODULE) + 1])
    return None


def _process(server: Server) -> psutil.Process | None:
    try:
        process = psutil.Process(server.pid)
        words = process.cmdline()
        is_server = _MODULE in words and str(server.home) in words
        same = is_server and abs(process.create_time() - server.started) < 1
        return process if same and process.status() != psutil.STATUS_ZOMBIE else None
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return None
