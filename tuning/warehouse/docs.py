"""Generate and serve dbt's documentation as one page: every model, its columns and types, and the lineage graph."""

import shutil
from collections.abc import Callable
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tuning.errors import TuningError
from tuning.settings import Settings
from tuning.storage import atomic_file
from tuning.warehouse.client import connect
from tuning.warehouse.contract import contract
from tuning.warehouse.dbt_process import dbt_files, run_dbt
from tuning.warehouse.variables import Variables


def make_docs(settings: Settings) -> Path:
    """Write the page for the build with the default variables, and return its path.

    Raises TuningError if nothing is built yet, because dbt reads the column types from the tables.
    """
    from google.cloud.exceptions import NotFound

    variables = Variables()
    try:
        connect(settings).get_table(contract(settings, variables).build)
    except NotFound:
        raise TuningError("there are no tables to document yet", "Run `invoke build` first") from None
    run_dbt(settings, ["docs", "generate", "--static"], variables)
    page = settings.home / "docs" / "index.html"
    with (dbt_files(settings, variables).target / "static_index.html").open("rb") as source, atomic_file(page) as file:
        shutil.copyfileobj(source, file)
    return page


def page_server(page: Path, port: int = 0) -> ThreadingHTTPServer:
    """Return an HTTP server for the page's folder. Only this machine can reach it. Port 0 means any free port."""
    return ThreadingHTTPServer(("127.0.0.1", port), partial(_Quiet, directory=str(page.parent)))


def serve(page: Path, ready: Callable[[str], None]) -> None:
    """Serve the page until Ctrl-C. Call `ready` with its URL."""
    with page_server(page) as server:
        ready(f"http://127.0.0.1:{server.server_port}/")
        server.serve_forever()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Log nothing. The page requests icons that do not exist, and each request would log an error."""
