"""Limit how long Google's BigQuery client waits.

By default, the client retries for ten minutes if the server does not answer or answers with status 500.
"""

from collections.abc import Callable
from typing import Any

import requests
from google.api_core.exceptions import GoogleAPICallError, RetryError
from google.cloud import bigquery
from google.cloud.bigquery.retry import DEFAULT_JOB_RETRY


class BoundedClient(bigquery.Client):
    """Represent a client that retries a request for `patience` seconds and waits `seconds` for each response.

    The local BigQuery answers a load job only after the job is done, so `seconds` must cover the longest job. If its
    process has ended, `revive` starts it again and returns True. The request is then sent once more.
    """

    def __init__(
        self, *, patience: float, seconds: float, revive: Callable[[], bool] | None = None, **options: Any
    ) -> None:
        super().__init__(**options)
        self._patience = patience
        self._seconds = seconds
        self._revive = revive

    def _call_api(self, retry: Any, *args: Any, timeout: float | None = None, **kwargs: Any) -> Any:
        """Send a request with these limits.

        Since 2019, every method of Google's client sends its requests through this method.
        """
        bounded = retry and retry.with_timeout(self._patience)
        try:
            return super()._call_api(bounded, *args, timeout=timeout or self._seconds, **kwargs)
        except (requests.ConnectionError, GoogleAPICallError, RetryError):
            revive, self._revive = self._revive, None  # once: a request that ends the server must not do it for ever
            if revive is None or not revive():
                self._revive = revive
                raise
        return super()._call_api(bounded, *args, timeout=timeout or self._seconds, **kwargs)

    def query(self, query: str, *args: Any, **kwargs: Any) -> Any:
        """Run a query. Also limit the client's second retry loop, which restarts the whole job."""
        kwargs.setdefault("job_retry", DEFAULT_JOB_RETRY.with_timeout(self._patience))
        return super().query(query, *args, **kwargs)
