"""Give dbt's BigQuery client the limits and the restart of this project's client.

Without them, a dbt command that a person runs waits for more than ten minutes if the local BigQuery ends, and some wait
as long if it does not run.
"""

import functools
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tuning.errors import TuningError
from tuning.gcs.access import credentials as our_credentials
from tuning.gcs.access import is_loopback
from tuning.settings import Settings
from tuning.target import find_target
from tuning.warehouse import emulator
from tuning.warehouse.client import LOCAL_PATIENCE, find_warehouse

if TYPE_CHECKING:
    from google.cloud import bigquery

    from tuning.warehouse.restart.revival import Revival

WATCHED = "PYTHON_QA_DBT_IS_WATCHED"  # set if our own command runs dbt: that command starts server and dbt again
# The commands that always send a request. The others send one only with some options or models.
ALWAYS_CONNECT = frozenset({"build", "clone", "freshness", "retry", "run", "seed", "show", "snapshot", "test"})


def install(settings: Settings, say: Callable[[str], None]) -> None:
    """Let dbt's adapter make its clients with `_client`. All of them together start the server again once."""
    from dbt.adapters.bigquery import clients

    from tuning.warehouse.restart.revival import Revival

    @functools.cache
    def revival(address: str) -> "Revival | None":
        server = emulator.newest(settings)
        return Revival(settings, server, say) if server is not None and server.is_at(address) else None

    clients.__dict__["BigQueryClient"] = functools.partial(_client, settings, revival)


def require_server(settings: Settings, address: str) -> None:
    """Raise DbtRuntimeError, which dbt prints as one line, if the local BigQuery neither runs nor will be revived.

    The same holds if that of another home answers, because it has the port that profiles.yml names. Servers elsewhere
    and target gcp are not checked.
    """
    from dbt_common.exceptions import DbtRuntimeError

    if not is_loopback(address) or os.environ.get(WATCHED):
        return
    try:
        find_warehouse(settings).require_running(address)
    except TuningError as error:
        raise DbtRuntimeError(str(error)) from None


def _client(
    settings: Settings, revival: "Callable[[str], Revival | None]", project: str, credentials: Any, **options: Any
) -> "bigquery.Client":
    """Return a client for dbt. It is Google's own for a server elsewhere, and if our own command watches dbt."""
    from google.cloud import bigquery

    from tuning.warehouse.restart.bounded_client import BoundedClient

    address = options["client_options"].api_endpoint or ""
    if is_loopback(address) and not find_target(settings).has_own_bigquery and settings.access_token:
        credentials = our_credentials(address, settings)
    if not is_loopback(address) or os.environ.get(WATCHED):
        return bigquery.Client(project, credentials, **options)
    return BoundedClient(
        project,
        credentials,
        patience=LOCAL_PATIENCE,
        seconds=settings.job_timeout,
        revival=revival(address),
        check=functools.partial(require_server, settings, address),
        **options,
    )
