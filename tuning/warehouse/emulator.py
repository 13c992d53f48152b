"""The local BigQuery: one server per home, in the background, started where it is needed.

Its process is `tuning.warehouse.server`; its data, state file and log lie under ``HOME/warehouse``.
"""

import contextlib
import os
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import msgspec
import psutil

from tuning.errors import TuningError
from tuning.settings import Settings, variable
from tuning.storage import locked
from tuning.warehouse import identity

STATE = "server.json"  # written by the server once both ports answer, removed when it ends
START_SECONDS = 120  # a start takes 2 s; replaying the log of a killed server takes longer
STOP_SECONDS = 60
_MODULE = "tuning.warehouse.server"


@dataclass(frozen=True)
class Server:
    """A server that runs. `started` is its process's start in seconds since 1970, which tells a reused pid."""

    home: Path
    pid: int
    rest_port: int
    grpc_port: int
    started: float

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.rest_port}"


def ensure(settings: Settings) -> Server:
    """The home's server, started if it does not run.

    It listens on ``settings.bigquery_port``, or where that is another home's on a free port, and then prints the
    variable that points plain `dbt` at it. Raises TuningError when the port is taken by anything else and when the
    server does not start, with the last lines of its log.
    """
    if settings.target != "local":
        raise TuningError("the local BigQuery is of target local only", "Leave --target out")
    server = running(settings)
    if server is None or not identity.is_recorded(settings, server.endpoint):
        with _start_lock(settings):
            server = running(settings) or _start(settings, _choose_port(settings))
            if server.rest_port != settings.bigquery_port:
                print(f"for plain dbt: export {variable('bigquery_endpoint')}={server.endpoint}")
            identity.record(settings, server.endpoint)
    return server


def running(settings: Settings) -> Server | None:
    """The home's server, or None; a state file whose process is gone, or is another program by now, counts for nothing.

    Looks at the process, not at an answer: a server that loads a large file does not answer until it is done.
    """
    try:
        state = (settings.warehouse_dir / STATE).read_bytes()
    except FileNotFoundError:
        return None
    server = msgspec.json.decode(state, type=Server, dec_hook=lambda kind, text: kind(text))
    return server if _process(server) else None


def stop(settings: Settings) -> bool:
    """End the home's server and wait for it; False when none ran. Its data stays."""
    with _start_lock(settings):
        server = running(settings)
        process = _process(server) if server else None
        if process is None:
            return False
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except psutil.TimeoutExpired:
            process.kill()  # what was committed is in DuckDB's log and is there after the next start
            process.wait()
        (settings.warehouse_dir / STATE).unlink(missing_ok=True)
    return True


def log_file(settings: Settings) -> Path:
    return settings.warehouse_dir / "server.log"


def _start_lock(settings: Settings) -> contextlib.AbstractContextManager[None]:
    return locked(settings.warehouse_dir / "start.lock", "the start of the local BigQuery", START_SECONDS)


def _start(settings: Settings, port: int) -> Server:
    log = log_file(settings)
    if log.exists():
        log.replace(log.with_suffix(".previous.log"))
    command = [sys.executable, "-m", _MODULE, str(settings.home), settings.project, str(port)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BQEMU_")}
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environment,
            start_new_session=True,  # it outlives the command that started it, and that command's Ctrl-C
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
        f"The log is {log}; is its folder in use, full or gone?",
    )


def _choose_port(settings: Settings) -> int:
    """The port to listen on; 0 (any free one) where the default port is another home's."""
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
            f"port {port} for the local BigQuery is taken by another program",
            f"Stop that program, or set {variable('bigquery_port')} to a free port",
        )
    print(f"port {port} is the local BigQuery of {other}: taking a free one")
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
