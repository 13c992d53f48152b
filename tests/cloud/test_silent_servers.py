"""Servers at the endpoints that do not answer: one line in seconds, or a line that says who is waited for."""

import http.server
import threading
from collections.abc import Callable

import msgspec
import pytest

from tests.cloud.servers.loopback import Fault, Loopback
from tests.homes import free_port
from tuning.cloud.apis import call
from tuning.cloud.check import check
from tuning.errors import TuningError
from tuning.gcs.access import backoff, google_errors
from tuning.gcs.storage import find_storage
from tuning.pipelines.vertex.jobs import get_job
from tuning.settings import Settings
from tuning.tuners.gemini.client import connect
from tuning.warehouse.client import connect as connect_to_bigquery
from tuning.warehouse.fingerprint import source

MANAGER = "https://cloudresourcemanager.googleapis.com/v3/projects/mine"


def count_tokens(settings: Settings) -> object:
    client = connect(settings, "us-central1")
    with google_errors("counting tokens"):
        return backoff()(client.models.count_tokens)(model="gemini-3.5-flash-lite", contents="text")


@pytest.mark.parametrize(
    ("setting", "ask", "doing"),
    [
        ("storage_endpoint", lambda one: find_storage(one).read("gs://bucket/name"), "reading gs://bucket/name"),
        ("storage_endpoint", lambda one: find_storage(one).open("gs://bucket/name"), "reading gs://bucket/name"),
        ("vertex_endpoint", lambda one: get_job(one, "job"), "reading the pipeline job"),
        ("vertex_endpoint", count_tokens, "counting tokens"),
        ("google_endpoint", lambda one: list(check(one)), "checking the project"),
    ],
    ids=["storage", "storage, to be read on", "Vertex AI", "Gemini", "Google's other APIs"],
)
def test_a_server_on_this_machine_that_does_not_run_is_one_line_and_not_tried_again(
    cloud: Settings, monkeypatch: pytest.MonkeyPatch, setting: str, ask: Callable[[Settings], object], doing: str
) -> None:
    monkeypatch.setattr("tuning.gcs.access.FIRST_DELAY", 600.0)  # a second try would end this test by its time limit
    monkeypatch.setattr("tuning.gcs.access.LONGEST_DELAY", 600.0)
    monkeypatch.setattr("tuning.gcs.access.GIVE_UP_AFTER", 6000.0)
    port = free_port()
    nobody = msgspec.structs.replace(cloud, **{setting: f"http://127.0.0.1:{port}"})
    with pytest.raises(TuningError) as raised:
        ask(nobody)
    assert str(raised.value) == (
        f"{doing}: no server runs at 127.0.0.1:{port}. "
        "Start it, or change the TUNING_*_ENDPOINT that names it (`invoke config`)"
    )


@pytest.mark.parametrize(("how", "said"), [(503, "answers with HTTP 503"), ("drop", "does not answer")])
def test_a_line_says_that_a_server_is_tried_again_but_only_once(
    cloud: Settings,
    google_api: Loopback,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    how: int | str,
    said: str,
) -> None:
    google_api.faults = [Fault("GET", "/projects/mine$", how, 2)]  # type: ignore[arg-type]
    call(cloud, "GET", MANAGER)
    assert capsys.readouterr().err == ""  # it was soon over
    monkeypatch.setattr("tuning.gcs.access.SAY_AFTER", 0.0)
    google_api.faults = [Fault("GET", "/projects/mine$", how, 3)]  # type: ignore[arg-type]
    call(cloud, "GET", MANAGER)
    where = google_api.url.removeprefix("http://")
    assert capsys.readouterr().err == f"{where} {said}; trying again for up to 5 s\n"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("<html></html>", "the server's answer is no JSON"),
        ("{}", "the server is not Google's"),
        ("[]", "is not Google's"),
    ],
)
def test_a_server_that_is_not_bigquery_is_one_line(cloud: Settings, answer: str, said: str) -> None:
    class Other(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(answer.encode())

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Other) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        other = msgspec.structs.replace(cloud, bigquery_endpoint=f"http://127.0.0.1:{server.server_port}")
        with pytest.raises(TuningError, match=said):
            source(other, connect_to_bigquery(other))
        server.shutdown()
