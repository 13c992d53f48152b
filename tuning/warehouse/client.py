"""Connect to BigQuery: Google's, the local one, or a server at an endpoint."""

import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tuning.errors import TuningError
from tuning.gcs.access import credentials
from tuning.settings import Settings, variable
from tuning.target import command_in_words, find_target
from tuning.warehouse import emulator, identity

if TYPE_CHECKING:
    from google.cloud import bigquery

LABELS = {"application": "python-qa-tuning"}  # on every job, to find its cost in the billing export
LOCAL_PATIENCE = 10  # seconds of retries against the local server, or one at TUNING_BIGQUERY_ENDPOINT
GOOGLE_PATIENCE = 120  # seconds of retries against Google
_PUBLIC = "bigquery-public-data"


@dataclass(frozen=True)
class Warehouse:
    """Reach BigQuery in the cloud: Google's, or the server that TUNING_BIGQUERY_ENDPOINT names."""

    settings: Settings

    def start(self) -> emulator.Server:
        """Return the home's own server. Start it if it is not running. Raises TuningError if the target has none."""
        raise TuningError("the local BigQuery works only with target local", "Omit --target")

    def endpoint(self) -> str:
        """Return the address of the BigQuery server, or '' for Google's."""
        return self.settings.bigquery_endpoint.rstrip("/")

    def own_server(self) -> emulator.Server | None:
        """Return the running server of the home, or None if the settings name another one."""
        return None

    def is_new(self) -> bool:
        """Return whether there is nothing to read, because the home's own server has never run."""
        return False

    def how_to_fill(self) -> str:
        """Return what helps if there are no source tables."""
        check = f"Check {variable('raw_schema')}"
        own = self.settings.raw_database != _PUBLIC
        return f"{check}, or load data: {command_in_words(self.settings, 'ingest DUMP')}" if own else check

    def require_writable(self) -> None:
        """Raise TuningError if the source tables are Google's public dataset."""
        if self.settings.raw_database == _PUBLIC:
            raise TuningError(
                f"the raw tables are Google's {_PUBLIC}, which is read-only",
                f"Set {variable('raw_database')} to your own project, or omit --target",
            )

    def require_answer(self, address: str, seconds: float = 2) -> None:  # noqa: ARG002 - for the home's own server
        """Raise TuningError with the command that helps if no server listens at the address.

        On target local, do so too if another home's server answers there. One that does not answer within `seconds` is
        not judged.
        """
        parts = urlsplit(address)
        try:
            socket.create_connection((parts.hostname or "", parts.port or 443), timeout=5).close()
        except (OSError, ValueError) as error:
            raise TuningError(f"no BigQuery server answers at {address} ({error})", self._remedy()) from None

    def require_running(self, address: str) -> None:
        """Raise TuningError if the home's own server should be at the address, and neither runs nor can be revived."""

    def _remedy(self) -> str:
        return f"Start it, or unset {variable('bigquery_endpoint')} to use Google's"


class HomeWarehouse(Warehouse):
    """Reach the home's own BigQuery server, also if TUNING_BIGQUERY_ENDPOINT names it or another one."""

    def start(self) -> emulator.Server:
        """Return the home's server. Start it if it is not running. Raises TuningError if it cannot start."""
        return emulator.ensure(self.settings)

    def endpoint(self) -> str:
        """Return the address of the server. Without a setting for it, start the home's. Raises as `start` does."""
        return super().endpoint() or self.start().endpoint

    def own_server(self) -> emulator.Server | None:
        """Return the running server of the home, or None if the settings name another one."""
        server, named = emulator.running(self.settings), super().endpoint()
        return server if server is not None and (not named or server.is_at(named)) else None

    def is_new(self) -> bool:
        """Return whether the home's server has never run, and no other one is named."""
        return not super().endpoint() and not self.settings.warehouse_dir.exists()

    def how_to_fill(self) -> str:
        """Return the commands that load data."""
        return "Run `invoke ingest DUMP` or `invoke sample` to load data"

    def require_writable(self) -> None:
        """Do nothing: the home has its own tables, whatever the name of their project is."""

    def require_answer(self, address: str, seconds: float = 2) -> None:
        """Raise TuningError with the command that helps if no server, or that of another home, is at the address."""
        super().require_answer(address)
        other = identity.home_at(address, seconds)
        if other is None or other.resolve() == self.settings.home.resolve():
            return
        named = f"Unset {variable('bigquery_endpoint')}, or set {variable('home')}={other}"
        raise TuningError(
            f"the BigQuery server at {address} belongs to {other}, not to {self.settings.home}",
            named if self.settings.bigquery_endpoint else self._remedy(),
        )

    def require_running(self, address: str) -> None:
        """Raise TuningError if the home's server is not at the address, as `require_answer` does."""
        server = emulator.newest(self.settings)
        if server is None or not server.is_at(address):
            self.require_answer(address)

    def _remedy(self) -> str:
        if server := emulator.running(self.settings):
            here = f"`export {variable('bigquery_endpoint')}={server.endpoint}`"
            return f"The one of this home runs elsewhere: {here}"
        if self.settings.bigquery_endpoint:
            return f"Start it (`invoke warehouse.up`), or unset {variable('bigquery_endpoint')}"
        return "Start it: `invoke warehouse.up`"


def find_warehouse(settings: Settings) -> Warehouse:
    """Return the BigQuery that the target selects."""
    return HomeWarehouse(settings) if find_target(settings).has_own_bigquery else Warehouse(settings)


def connect(settings: Settings) -> "bigquery.Client":
    """Return a client whose queries have the job labels, the job timeout and the limit of billed bytes.

    Raises TuningError if no server answers at the endpoint, if the server belongs to another home, if no project is
    set, or if there are no credentials.
    """
    from google.cloud import bigquery

    from tuning.warehouse.restart.bounded_client import BoundedClient
    from tuning.warehouse.restart.revival import Revival

    warehouse = find_warehouse(settings)
    address, server = warehouse.endpoint(), warehouse.own_server()
    if address and server is None:
        warehouse.require_answer(address, settings.job_timeout)
    elif not address and settings.project == Settings().project:
        raise TuningError("no Google Cloud project is set", f"Set {variable('project')}")
    return BoundedClient(
        revival=Revival(settings, server) if server else None,
        patience=LOCAL_PATIENCE if address else GOOGLE_PATIENCE,
        seconds=settings.job_timeout,
        project=settings.project,
        location=settings.location,
        credentials=credentials(address, settings),
        client_options={"api_endpoint": address} if address else None,
        default_query_job_config=bigquery.QueryJobConfig(
            labels=LABELS,
            maximum_bytes_billed=settings.maximum_bytes_billed,
            job_timeout_ms=settings.job_timeout * 1000,
        ),
    )


def query(client: "bigquery.Client", sql: str, parameters: Sequence[Any] = ()) -> list["bigquery.Row"]:
    """Run one SQL statement and return its rows. `parameters` are bigquery.ScalarQueryParameter objects and similar.

    This does not use ``client.query_and_wait``, because on the local server that method hides errors of scripts.
    """
    from google.cloud import bigquery

    job = client.query(sql, job_config=bigquery.QueryJobConfig(query_parameters=parameters))
    return list(job.result())


def quoted(table: str) -> str:
    """Return the table name quoted for SQL. Raises TuningError if it is not of the form project.dataset.table."""
    if not re.fullmatch(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_]+\.[A-Za-z0-9_-]+", table):
        raise TuningError(f"{table!r} is not a table name of the form project.dataset.table")
    return f"`{table}`"
