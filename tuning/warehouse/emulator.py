"""Start and stop the local BigQuery: one background server per home, which starts on demand.

The process runs `tuning.warehouse.server`. Its data, state file and log are in ``HOME/warehouse``.
"""

import contextlib
import os
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from tuning.errors import TuningError
from tuning.records import read_record
from tuning.settings import PREFIX, Settings, variable
from tuning.storage import locked, remove
from tuning.warehouse import identity

STATE = "server.json"  # the server writes it when both ports are open, and deletes it when it stops
START_SECONDS = 120  # a start takes about 2 s; after a kill it takes longer, because DuckDB replays its log
STOP_SECONDS = 60
_MODULE = "tuning.warehouse.server"


@dataclass(frozen=True)
class Server:
    """Describe a running server.

    `started` is the start time of its process, in seconds since 1970. It shows whether another process reuses the pid.
    """

    home: Path
    pid: int
    rest_port: int
    grpc_port: int
    started: float

    @property
    def endpoint(self) -> str:
        """Return the URL of the REST API."""
        return f"http://127.0.0.1:{self.rest_port}"


def ensure(settings: Settings) -> Server:
    """Return the home's server. Start it if it is not running.

    The server listens on ``settings.bigquery_port``. If the server of another home uses that port, the new server uses
    a free port, and this function prints the environment variable that you need to run `dbt` directly. Raises
    TuningError if another program uses the port, if the target is not local, or, with the end of the log, if the server
    does not start.
    """
    if settings.target != "local":
        raise TuningError("the local BigQuery works only with target local", "Omit --target")
    server = None
    with contextlib.suppress(TuningError):  # a damaged state file: below, the server starts again
        server = running(settings)
    if server is None or not identity.is_recorded(settings, server.endpoint):
        with _start_lock(settings):
            _stop_unrecorded(settings)
            server = running(settings) or _start(settings, _choose_port(settings))
            if server.rest_port != settings.bigquery_port:
                print(f"to run dbt directly: export {variable('bigquery_endpoint')}={server.endpoint}")
            identity.record(settings, server.endpoint)
    return server


def running(settings: Settings) -> Server | None:
    """Return the home's server, or None if it is not running.

    A state file is ignored if its process has ended, if another program has the same pid, or if it came with a copy of
    another home. This function sends no request, because a server that loads a large file does not answer until the
    load is done. Raises TuningError if the state file is damaged.
    """
    server = _recorded(settings)
    return server if server is not None and _is_same(server.home, settings.home) and _process(server) else None


def is_gone(server: Server) -> bool:
    """Return whether the server's process has ended."""
    return _process(server) is None


def revive(settings: Settings, server: Server) -> bool:
    """Start the home's server again on the same port if its process has ended, and print that. Return whether it had.

    Raises TuningError if it does not start.
    """
    if not is_gone(server):
        return False
    with _start_lock(settings):
        if running(settings) is None:
            _start(settings, server.rest_port)
            identity.record(settings, server.endpoint)
            log = _previous_log(settings)
            print(f"the local BigQuery (pid {server.pid}) ended unexpectedly and was started again; its log is {log}")
    return True


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


def _end(process: psutil.Process) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except psutil.TimeoutExpired:
            process.kill()  # committed data is in DuckDB's log, which the next start replays
            process.wait()


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
    """Stop a server of this home that its state file does not name. Return whether there was one."""
    with contextlib.suppress(TuningError):
        if _recorded(settings) is not None:
            return False
    remove(settings.warehouse_dir / STATE)
    stopped = False
    for process in psutil.process_iter(["cmdline"]):
        command = process.info["cmdline"] or []
        if _MODULE in command[:-1] and _is_same(Path(command[command.index(_MODULE) + 1]), settings.home):
            print(f"stopping the local BigQuery (pid {process.pid}), because its state file is missing or damaged")
            _end(process)
            stopped = True
    return stopped


def _is_same(one: Path, other: Path) -> bool:
    with contextlib.suppress(OSError):
        return one.samefile(other)
    return one == other


def _stop_under_old_name(settings: Settings) -> None:
    """Stop a server that still runs on this home's data, under the name that the home had before it was moved."""
    server = _recorded(settings)
    process = _process(server) if server is not None and not _is_same(server.home, settings.home) else None
    if server is None or process is None:
        return
    with contextlib.suppress(psutil.Error):
        data = {Path(file.path).parent.resolve() for file in process.open_files()}
        if settings.warehouse_dir.resolve() in data:
            print(f"stopping the local BigQuery of {server.home}, which is {settings.home} now")
            process.terminate()
            process.wait(STOP_SECONDS)


def _start_lock(settings: Settings) -> contextlib.AbstractContextManager[None]:
    return locked(settings.warehouse_dir / "start.lock", "the start of the local BigQuery", START_SECONDS)


def _start(settings: Settings, port: int) -> Server:
    log = log_file(settings)
    _stop_under_old_name(settings)
    if log.exists():
        log.replace(_previous_log(settings))
    arguments = [str(settings.home), settings.project, str(port), str(settings.job_timeout)]
    # Its settings are arguments. Among our own variables is the access token, which it must not get.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("BQEMU_", PREFIX))}
    with log.open("wb") as output:
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
    raise TuningError(
        f"the local BigQuery did not start: {_last_lines(log)}",
        f"See the log {log}. Check that its folder exists, no other process uses that folder, and the disk is not full",
    )


def _choose_port(settings: Settings) -> int:
    """Return ``settings.bigquery_port``, or 0 (any free port) if the server of another home uses that port.

    Raises TuningError if another program uses it.
    """
    port = settings.bigquery_port
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            pass
        else:
            return port
    other = identity.home_at(f"http://127.0.0.1:{port}")
    if other is None or other == settings.home:
        raise TuningError(
            f"port {port} for the local BigQuery is in use by another program",
            f"Stop that program, or set {variable('bigquery_port')} to a free port",
        )
    print(f"port {port} is in use by the local BigQuery of {other}; using a free port")
    return 0


def _process(server: Server) -> psutil.Process | None:
    try:
        process = psutil.Process(server.pid)
        same = abs(process.create_time() - server.started) < 1 and _MODULE in process.cmdline()
        return process if same and process.status() != psutil.STATUS_ZOMBIE else None
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return None


def _last_lines(log: Path, count: int = 3) -> str:
    lines = [line.strip()[:300] for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return " | ".join(lines[-count:]) or "it wrote nothing to its log"
