"""Wait for operations of Vertex AI.

The clients' own methods ask at ``/ui/…`` if their transport is REST, which no discovery document has.
"""

import time
from typing import Any

from tuning.errors import TuningError
from tuning.gcs.access import backoff, session, vertex_url
from tuning.settings import Settings


class OperationFailedError(TuningError):
    """Say why Google ended an operation without a result."""


def result_of(settings: Settings, operation: str, longest: float) -> dict[str, Any]:
    """Wait for an operation in the setting `region`, and return its result.

    Raises OperationFailedError if Google reports an error, TuningError after `longest` seconds, and requests.HTTPError
    if Google refuses to answer.
    """
    deadline = time.monotonic() + longest
    while not (state := _ask(settings, operation)).get("done"):
        if time.monotonic() > deadline:
            raise TuningError(f"{operation} is still not done", "Run the same command again later")
        time.sleep(min(settings.poll_seconds, 5))
    if "error" in state:
        raise OperationFailedError(f"{operation} failed: {state['error'].get('message', 'no reason given')}")
    result: dict[str, Any] = state["response"]
    return result


def running(settings: Settings, resource: str) -> list[str]:
    """Return the names of the operations of a resource in the setting `region` that have not ended.

    Raises requests.HTTPError if Google refuses to answer.
    """
    found: list[dict[str, Any]] = []
    query: dict[str, str] = {}
    while True:
        page = _ask(settings, f"{resource}/operations", query)
        found += page.get("operations", [])
        if not page.get("nextPageToken"):
            return [str(one["name"]) for one in found if not one.get("done")]
        query = {"pageToken": page["nextPageToken"]}


def _ask(settings: Settings, path: str, query: dict[str, str] | None = None) -> dict[str, Any]:
    http: Any = session(settings.vertex_endpoint, settings)

    def attempt() -> dict[str, Any]:
        response = http.get(f"{vertex_url(settings, settings.region)}/v1/{path}", params=query, timeout=60)
        response.raise_for_status()
        answer: dict[str, Any] = response.json()
        return answer

    return backoff()(attempt)()
