"""Run the local BigQuery server: bqemulator, without access to the files of this machine.

`tuning.warehouse.emulator` starts it as ``python -m tuning.warehouse.server HOME PROJECT PORT`` and never imports it.
bqemulator runs DuckDB. By default, SQL in DuckDB can read and write any file of the machine, and load extensions from
the network. Here, DuckDB can access only its own database and the folder that replaces Cloud Storage, and no statement
can change that. This module replaces names inside bqemulator, so the version of bqemulator is pinned.
"""

import asyncio
import contextlib
import importlib.resources
import os
import signal
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import bqemulator.server
import psutil
from bqemulator.config import LogFormat, LogLevel, PersistenceMode
from bqemulator.config import Settings as EmulatorSettings
from bqemulator.domain.errors import InvalidQueryError
from bqemulator.jobs import executor
from bqemulator.storage.engine import DuckDBEngine

from tuning.records import write_record
from tuning.settings import Settings
from tuning.storage import remove
from tuning.warehouse.emulator import DATABASE, STATE
from tuning.warehouse.identity import HOME_PATH, refusal
from tuning.warehouse.local import jobs, patches
from tuning.warehouse.local.errors import ResourcesExceededError
from tuning.warehouse.local.limits import LimitError, Limits, machine_memory
from tuning.warehouse.local.sql import macros

LOOPBACK = "127.0.0.1"


def main(home: str, project: str, port: str, job_timeout: str) -> None:
    """Configure and run the server until SIGTERM or SIGINT. With port 0, REST uses any free port. gRPC always does.

    A statement may run `job_timeout` seconds, or less if its job says so.
    """
    settings = Settings(home=Path(home), project=project, bigquery_port=max(int(port), 1), job_timeout=int(job_timeout))
    shut(settings)
    os.chdir(settings.gcs_dir)  # for the relative paths of `shut`
    patches.apply()
    options = EmulatorSettings(
        rest_host=LOOPBACK,
        rest_port=int(port),
        grpc_host=LOOPBACK,
        grpc_port=0,
        persistence_mode=PersistenceMode.PERSISTENT,
        data_dir=settings.warehouse_dir,
        default_project_id=project,
        gcs_local_root=settings.gcs_dir,
        upload_staging_dir=settings.gcs_dir / ".uploads",
        time_travel_retention_days=0,  # otherwise, each change keeps a copy of the changed table
        enable_format_extensions=False,  # bqemulator would download them
        metrics_enabled=False,
        log_level=LogLevel.WARNING,
        log_format=LogFormat.CONSOLE,
    )
    asyncio.run(serve(settings, options))


async def serve(settings: Settings, options: EmulatorSettings) -> None:
    """Run the server until SIGTERM or SIGINT. The state file exists while both ports are open."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    server = bqemulator.server.EmulatorServer(options)
    await server.start()
    state = settings.warehouse_dir / STATE
    process = psutil.Process()
    try:
        write_record(
            state,
            {
                "home": str(settings.home),
                "pid": process.pid,
                "started": process.create_time(),
                "rest_port": server.rest_port,
                "grpc_port": server.grpc_port,
                "inode": (settings.warehouse_dir / DATABASE).stat().st_ino,
            },
        )
        await stop.wait()
    finally:
        await server.stop()
        remove(state)


def shut(settings: Settings) -> None:
    """Restrict bqemulator to its database and the files of ``gs://``, and to requests from local programs."""
    gcs, home = settings.gcs_dir, settings.home
    gcs.mkdir(parents=True, exist_ok=True)

    class ShutEngine(DuckDBEngine):
        limits = Limits(seconds=settings.job_timeout, memory=machine_memory() // 2)

        async def start(self) -> None:
            self._thread, self._own = threading.get_ident(), threading.local()
            await super().start()
            self.execute("SET GLOBAL TimeZone = 'UTC'")  # for the connections of other threads too
            macros.install(self.connection)
            folder = str(gcs.resolve()).replace("'", "''")
            self.execute(f"SET allowed_directories = ['{folder}']")
            # Otherwise, a table name in SQL can refer to a Python variable of this process.
            self.execute("SET python_enable_replacements = false")
            self.execute("SET enable_external_access = false")
            self.execute("SET lock_configuration = true")

        @property
        def connection(self) -> Any:
            """Return the connection, or in another thread a new one, which is the same during one statement.

            DuckDB keeps one result per connection. FastAPI reads the rows of tables in threads of its own, which would
            get each other's results or none.
            """
            shared = super().connection
            if threading.get_ident() == self._thread:
                return shared
            return getattr(self._own, "connection", None) or shared.cursor()

        def execute(self, sql: str, parameters: list[Any] | None = None) -> Any:
            with self._limited():
                return super().execute(sql, parameters)

        def fetch_arrow(self, sql: str, parameters: list[Any] | None = None) -> Any:
            with self._limited():
                return super().fetch_arrow(sql, parameters)

        @contextlib.contextmanager
        def _limited(self) -> Iterator[None]:
            before, self._own.connection = getattr(self._own, "connection", None), self.connection
            try:
                with self.limits.statement(self._own.connection):
                    yield
            except LimitError as error:
                raise ResourcesExceededError(f"Resources exceeded: {error}") from error
            finally:
                self._own.connection = before

        def _load_spatial(self) -> None:
            """Load the extension from the installed package, without a download and without the folder ~/.duckdb."""
            package = importlib.resources.files("duckdb_extension_spatial") / "extensions"
            (extension,) = Path(str(package)).glob("*/spatial.duckdb_extension")
            self.execute(f"LOAD '{str(extension).replace(chr(39), chr(39) * 2)}'")

    def resolve(uri: str, context: Any) -> str:
        """Allow only gs:// URIs in jobs. bqemulator itself also allows file:// URIs and paths of this machine.

        The path is relative, because DuckDB reads a folder named ``a=b`` above it as a column, and ``*`` as a pattern.
        """
        path = Path(resolve_any(uri, context)).resolve()
        if gcs.resolve() not in path.parents:
            raise InvalidQueryError(f"{uri!r} is not an address of the form gs://BUCKET/NAME")
        return str(path.relative_to(gcs.resolve()))

    def create_app(context: Any) -> Any:
        app = create_open_app(context)
        jobs.install(app, context)

        @app.middleware("http")  # type: ignore[untyped-decorator]
        async def local_programs_only(request: Any, call: Callable[[Any], Awaitable[Any]]) -> Any:
            from starlette.responses import JSONResponse, PlainTextResponse

            # Refuse web pages. Their POST requests always have an Origin header. If a page uses DNS rebinding to reach
            # this server, the host in its request is not a loopback name.
            if "origin" in request.headers or request.url.hostname not in (LOOPBACK, "localhost"):
                return PlainTextResponse("web pages cannot use the local BigQuery", status_code=403)
            if request.url.path == HOME_PATH:
                return JSONResponse({"home": str(home), "pid": os.getpid()})
            if why := refusal(request.headers.get("authorization", ""), home):
                # 400, because dbt ignores 403 and 404 when it lists tables.
                error = {"message": why, "domain": "global", "reason": "invalid"}
                return JSONResponse({"error": {"code": 400, "message": why, "errors": [error]}}, status_code=400)
            return await call(request)

        return app

    resolve_any, create_open_app = executor._resolve_uri, bqemulator.server.__dict__["create_app"]
    executor.__dict__["_resolve_uri"] = resolve
    bqemulator.server.__dict__.update(create_app=create_app, DuckDBEngine=ShutEngine)


if __name__ == "__main__":
    main(*sys.argv[1:])
