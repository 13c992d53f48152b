"""Calls of Google's smaller APIs, for which this project carries no client of their own."""

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
    """One call of ``https://HOST/PATH``; raises requests.HTTPError for an answer that is an error."""
    http: Any = session(settings.google_endpoint, settings)

    def attempt() -> requests.Response:
        answer: requests.Response = http.request(method, google_url(settings, url), json=body, params=query, timeout=60)
        if answer.status_code in TRY_AGAIN:
            answer.raise_for_status()
        return answer

    answer: requests.Response = backoff()(attempt)()
    answer.raise_for_status()
    found: dict[str, Any] = answer.json()
    return found
