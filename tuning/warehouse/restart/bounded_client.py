"""Limit how long Google's BigQuery client waits.

By default, the client retries for ten minutes if the server does not answer or answers with status 500.
"""

from collections.abc import Callable
from typing import Any

import requests
from google.api_core.exceptions import GoogleAPICallError, InternalServerError, NotFound, RetryError
from google.cloud import bigquery
from google.cloud.bigquery.retry import DEFAULT_JOB_RETRY

from tuning.warehouse.restart.revival import Revival

_MOST_BROKEN = 3  # connections that break during one request, although the server lives


class BoundedClient(bigquery.Client):
    """Represent a client that retries a request for `patience` seconds and waits `seconds` for each response.

    The local BigQuery answers a load job only after the job is done, so `seconds` must cover the longest job. If its
    process has ended, `revival` starts it again, and the request is sent once more. `check` is called before each
    request, and may raise.
    """

    def __init__(
        self,
        *args: Any,
        patience: float,
        seconds: float,
        revival: Revival | None = None,
        check: Callable[[], None] = lambda: None,
        **options: Any,
    ) -> None:
        super().__init__(*args, **options)
        self._patience = patience
        self._seconds = seconds
        self._revival = revival
        self._check = check

    def _call_api(self, retry: Any, *args: Any, timeout: float | None = None, **kwargs: Any) -> Any:
        """Send a request with these limits.

        Since 2019, every method of Google's client sends its requests through this method.
        """
        self._check()
        bounded = retry and retry.with_timeout(self._patience)
        # A request waits until the local server has done what came before it, so no shorter limit may end it.
        limit = max(timeout or 0, self._seconds) if self._revival else timeout or self._seconds
        broken = 0
        while True:  # until it fails for another reason, or `revive` raises
            used = self._revival.server if self._revival else None
            try:
                return super()._call_api(bounded, *args, timeout=limit, **kwargs)
            except NotFound as error:
                if self._revival is None or not self._revival.was_used or "Not found: job:" not in str(error):
                    raise
                # The job ended with the server. With this reason, Google's client and dbt run the whole job again.
                lost = [{"reason": "jobBackendError"}]
                why = "the local BigQuery ended before it answered"
                raise InternalServerError(why, errors=lost) from error  # type: ignore[no-untyped-call]
            except (requests.RequestException, GoogleAPICallError, RetryError) as error:
                if self._revival is None or used is None:
                    raise
                if self._revival.revive(used):
                    continue
                # A busy server closes connections that were idle, and a request on one may learn it after `patience`.
                broken += 1
                if broken == _MOST_BROKEN or not isinstance(getattr(error, "cause", error), requests.ConnectionError):
                    raise

    def query(self, query: str, *args: Any, **kwargs: Any) -> Any:
        """Run a query. Also limit the client's second retry loop, which restarts the whole job."""
        kwargs.setdefault("job_retry", DEFAULT_JOB_RETRY.with_timeout(self._patience))
        return super().query(query, *args, **kwargs)
