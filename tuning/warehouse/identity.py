"""Whose local BigQuery answers on a port: every server says its home, over HTTP and to SQL.

SQL reads it in the one-row table ``PROJECT.tuning_server.home``, so that a plain `dbt run` can refuse another home's.
"""

from pathlib import Path
from typing import Any

from tuning.settings import Settings

HOME_PATH = "/tuning/home"
DATASET = "tuning_server"
TABLE = "home"
_SECONDS = 600  # one statement at a time: an answer waits for a load that is under way


def home_at(endpoint: str, seconds: float = 2) -> Path | None:
    """The home whose server answers at `endpoint`; None when nothing, or something else, does."""
    import requests

    try:
        answer = requests.get(endpoint + HOME_PATH, timeout=seconds)
        return Path(answer.json()["home"]) if answer.ok else None
    except (requests.RequestException, ValueError, KeyError, TypeError):
        return None


def is_recorded(settings: Settings, endpoint: str) -> bool:
    import requests

    answer = requests.get(f"{_table(settings, endpoint)}/data", timeout=_SECONDS)
    if answer.status_code == 404:
        return False
    answer.raise_for_status()
    rows = answer.json().get("rows", [])
    return bool([row["f"][0]["v"] for row in rows] == [str(settings.home)])


def record(settings: Settings, endpoint: str) -> None:
    """Write the project's table anew: where a home was moved it is wrong, in another project it is missing."""
    import requests

    reference = {"projectId": settings.project, "datasetId": DATASET}
    dataset = requests.post(
        f"{_project(settings, endpoint)}/datasets", json={"datasetReference": reference}, timeout=_SECONDS
    )
    if dataset.status_code != 409:  # it exists
        dataset.raise_for_status()
    requests.delete(_table(settings, endpoint), timeout=_SECONDS)
    fields = [{"name": "path", "type": "STRING"}]
    _post(
        _table(settings, endpoint).removesuffix(f"/{TABLE}"),
        {"tableReference": reference | {"tableId": TABLE}, "schema": {"fields": fields}},
    )
    _post(f"{_table(settings, endpoint)}/insertAll", {"rows": [{"json": {"path": str(settings.home)}}]})


def _project(settings: Settings, endpoint: str) -> str:
    return f"{endpoint}/bigquery/v2/projects/{settings.project}"


def _table(settings: Settings, endpoint: str) -> str:
    return f"{_project(settings, endpoint)}/datasets/{DATASET}/tables/{TABLE}"


def _post(url: str, body: dict[str, Any]) -> None:
    import requests

    answer = requests.post(url, json=body, timeout=_SECONDS)
    answer.raise_for_status()
    if answer.json().get("insertErrors"):
        raise RuntimeError(f"{url}: {answer.text}")
