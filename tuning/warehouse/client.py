"""Connect to BigQuery: Google's, the local one, or a server at an endpoint."""

import re
import socket
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tuning.errors import TuningError
from tuning.gcs.access import credentials
from tuning.settings import Settings, variable
from tuning.target import find_target
from tuning.warehouse import emulator, identity

if TYPE_CHECKING:
    from google.cloud import bigquery

LABELS = {"application": "python-qa-tuning"}  # on every job, to find its cost in the billing export
LOCAL_PATIENCE = 10  # seconds of retries against the local server, or one at TUNING_BIGQUERY_ENDPOINT
GOOGLE_PATIENCE = 120  # seconds of retries against Google


def endpoint(settings: Settings) -> str:
    """Return the address of the BigQuery server, or '' for Google's.

    For target local without an endpoint, start the home's server if it is not running. Raises TuningError if the
    server cannot start.
    """
    if settings.bigquery_endpoint:
        return settings.bigquery_endpoint.rstrip("/")
    return emulator.ensure(settings).endpoint if find_target(settings).has_own_bigquery else ""


def connect(settings: Settings) -> "bigquery.Client":
    """Return a client whose queries have the job labels, the job timeout and the limit of billed bytes.

    Raises TuningError if no server answers at the endpoint, if the server belongs to another home, if no project is
    set, or if there are no credentials.
    """
    from google.cloud import bigquery

    from tuning.warehouse.restart.bounded_client import BoundedClient
    from tuning.warehouse.restart.revival import Revival

    address = endpoint(settings)
    server = own_server(settings)
    if address and server is None:
        require_answer(settings, address)
        if find_target(settings).has_own_bigquery:
            require_own_home(settings, address, settings.job_timeout)
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


def own_server(settings: Settings) -> emulator.Server | None:
    """Return the running server of the home, or None if the settings name another one."""
    server = _home_server(settings)
    named = settings.bigquery_endpoint
    return server if server is not None and (not named or server.is_at(named)) else None


def _home_server(settings: Settings) -> emulator.Server | None:
    return emulator.running(settings) if find_target(settings).has_own_bigquery else None


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


def require_answer(settings: Settings, address: str) -> None:
    """Raise TuningError with the command that helps if no server listens at the address."""
    parts = urlsplit(address)
    try:
        socket.create_connection((parts.hostname or "", parts.port or 443), timeout=5).close()
    except (OSError, ValueError) as error:
        raise TuningError(f"no BigQuery server answers at {address} ({error})", _remedy(settings)) from None


def _remedy(settings: Settings) -> str:
    server = _home_server(settings)
    if server is not None:
        return f"The one of this home runs elsewhere: `export {variable('bigquery_endpoint')}={server.endpoint}`"
    if settings.bigquery_endpoint:
        return f"Start it (`invoke warehouse.up`), or unset {variable('bigquery_endpoint')}"
    return "Start it: `invoke warehouse.up`"


def require_own_home(settings: Settings, address: str, seconds: float = 2) -> None:
    """Raise TuningError with the command that helps if another home's local BigQuery answers at the address.

    A server that does not answer within `seconds` is not judged.
    """
    other = identity.home_at(address, seconds)
    if other is None or other.resolve() == settings.home.resolve():
        return
    remedy = _remedy(settings)
    if settings.bigquery_endpoint:
        remedy = f"Unset {variable('bigquery_endpoint')}, or set {variable('home')}={other}"
    raise TuningError(f"the BigQuery server at {address} belongs to {other}, not to {settings.home}", remedy)
