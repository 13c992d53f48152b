"""Find out which home a local BigQuery server belongs to, and which home a request comes from.

Each server reports its home over HTTP and in the one-row table ``PROJECT.tuning_server.home``. A dbt command names its
home in each request, and the server refuses the requests of another home.
"""

from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from tuning.settings import Settings

HOME_PATH = "/tuning/home"
DATASET = "tuning_server"
TABLE = "home"
_SECONDS = 600  # to wait for a response; the server runs one statement at a time, so a request may wait for a load


def home_at(endpoint: str, seconds: float = 2) -> Path | None:
    """Return the home of the server at `endpoint`, or None if no local BigQuery answers within `seconds`."""
    import requests

    try:
        answer = requests.get(endpoint + HOME_PATH, timeout=seconds)
        return Path(answer.json()["home"]) if answer.ok else None
    except (requests.RequestException, ValueError, KeyError, TypeError):
        return None


def home_of_request(authorization: str) -> Path | None:
    """Return the home that a request of dbt comes from, or None if the request does not name one.

    `authorization` is the request's header. profiles.yml writes its bearer token: TUNING_HOME, the folder of
    profiles.yml, and the working folder, as in the query of a URL. Without TUNING_HOME, the home is the folder `var`
    next to the folder of profiles.yml.
    """
    sent = {name: values[0] for name, values in parse_qs(authorization.removeprefix("Bearer ")).items()}
    if "profiles" not in sent:
        return None
    folder = Path(sent.get("folder", "/"))
    home = Path(sent["home"]).expanduser() if "home" in sent else Path(sent["profiles"], "..", "var")
    return (folder / home).resolve()


def refusal(authorization: str, home: Path) -> str:
    """Return why the server of `home` refuses a request with this header, or '' if it does not."""
    other = home_of_request(authorization)
    if other is None or other == home.resolve():
        return ""
    return (
        f"this local BigQuery belongs to the home {home}, but the command runs for the home {other}: run "
        "`invoke warehouse.up` for that home and export the TUNING_BIGQUERY_ENDPOINT that it prints, or set TUNING_HOME"
    )


def is_recorded(settings: Settings, endpoint: str) -> bool:
    """Return whether the project's table `home` contains the current home."""
    import requests

    answer = requests.get(f"{_table(settings, endpoint)}/data", timeout=_SECONDS)
    if answer.status_code == 404:
        return False
    answer.raise_for_status()
    rows = answer.json().get("rows", [])
    return bool([row["f"][0]["v"] for row in rows] == [str(settings.home)])


def record(settings: Settings, endpoint: str) -> None:
    """Write the current home to the project's table ``tuning_server.home``, and replace the table of a moved home."""
    import requests

    reference = {"projectId": settings.project, "datasetId": DATASET}
    dataset = requests.post(
        f"{_project(settings, endpoint)}/datasets", json={"datasetReference": reference}, timeout=_SECONDS
    )
    if dataset.status_code != 409:  # 409: the dataset already exists
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
