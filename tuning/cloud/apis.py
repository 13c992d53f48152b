"""Call Google APIs for which this project has no client library."""

from collections.abc import Mapping
from typing import Any

import requests

from tuning.gcs.access import TRY_AGAIN, backoff, google_url, session
from tuning.settings import Settings


def call(
    settings: Settings,
    method: str,
    url: str,
    body: Mapping[str, Any] | None = None,
    query: Mapping[str, str | list[str]] | None = None,
) -> dict[str, Any]:
    """Send one JSON request to ``https://HOST/PATH`` and return the JSON response.

    Retries temporary errors. Raises requests.HTTPError if the response is an error, and TuningError if there are no
    usable credentials.
    """
    http: Any = session(settings.google_endpoint, settings)

    def attempt() -> requests.Response:
        url_sent = google_url(settings, url)
        response: requests.Response = http.request(method, url_sent, json=body, params=query, timeout=60)
        if response.status_code in TRY_AGAIN:
            response.raise_for_status()
        return response

    response: requests.Response = backoff()(attempt)()
    response.raise_for_status()
    content: dict[str, Any] = response.json()
    return content
