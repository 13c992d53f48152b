"""Google's BigQuery client with every wait bounded: its own retries an absent server, or a 500, for ten minutes."""

from typing import Any

from google.cloud import bigquery
from google.cloud.bigquery.retry import DEFAULT_JOB_RETRY


class BoundedClient(bigquery.Client):
    """Retries for `patience` seconds, and waits `seconds` for one answer: a local load job answers when it is done."""

    def __init__(self, *, patience: float, seconds: float, **options: Any) -> None:
        super().__init__(**options)
        self._patience = patience
        self._seconds = seconds

    def _call_api(self, retry: Any, *args: Any, timeout: float | None = None, **kwargs: Any) -> Any:
        """Every method of the client makes its requests through this one, which has been so since 2019."""
        bounded = retry and retry.with_timeout(self._patience)
        return super()._call_api(bounded, *args, timeout=timeout or self._seconds, **kwargs)

    def query(self, query: str, *args: Any, **kwargs: Any) -> Any:
        """A query has a second retry around the first."""
        kwargs.setdefault("job_retry", DEFAULT_JOB_RETRY.with_timeout(self._patience))
        return super().query(query, *args, **kwargs)
