"""The review in a real browser: decisions by keyboard go to the file, and nobody else can send any."""

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import uvicorn
from playwright.sync_api import Page
from starlette.testclient import TestClient

from tests.browser import open_browser
from tests.pipelines.small_dataset import write_dataset
from tests.site.invented_home import planted_dataset
from tuning.dataset.decisions import Decision, read_decisions, write_decisions
from tuning.errors import TuningError
from tuning.serving.server import listening
from tuning.site.review import PER_PAGE, make_app, review

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("review")


@pytest.fixture(scope="module")
def file(folder: Path) -> Path:
    return folder / "decisions.jsonl"


@pytest.fixture(scope="module")
def address(folder: Path, file: Path) -> Iterator[str]:
    write_decisions(file, {"9-9": Decision(example_id="9-9", decision="keep", reason="of another dataset")})
    config = uvicorn.Config(make_app(planted_dataset(folder / "d1"), file), port=0, log_level="warning", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        thread.join(0.05)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()


@pytest.fixture
def page() -> Iterator[Page]:
    with open_browser() as browser:
        yield browser.new_page(viewport={"width": 390, "height": 900})


def decided(file: Path) -> dict[str, tuple[str, str]]:
    return {name: (one.decision, one.reason) for name, one in read_decisions(file).items() if name != "9-9"}


def test_examples_are_kept_and_rejected_by_keyboard(address: str, file: Path, page: Page) -> None:
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(address)
    assert page.locator("article").count() == PER_PAGE
    for keys in ("j", "y"):
        page.keyboard.press(keys)
    page.get_by_text("Saved: keep.").wait_for()
    page.keyboard.press("j")
    page.keyboard.press("x")
    page.keyboard.type("jumps <b>around</b>")
    with page.expect_response("**/decisions"):
        page.keyboard.press("Enter")
    page.get_by_text("Saved: reject.").wait_for()
    assert decided(file) == {"1000-1001": ("keep", ""), "1001-1002": ("reject", "jumps <b>around</b>")}
    assert page.locator("#decided").inner_text() == "2"
    page.keyboard.press("k")
    page.keyboard.press("u")
    page.get_by_text("Saved: taken back.").wait_for()
    page.reload()
    assert decided(file) == {"1001-1002": ("reject", "jumps <b>around</b>")}
    second = page.locator("article").nth(1)
    assert second.get_by_role("button", name="reject").get_attribute("aria-pressed") == "true"
    assert second.get_by_label("reason").input_value() == "jumps <b>around</b>"
    assert read_decisions(file)["9-9"].reason == "of another dataset"
    assert said == []


def test_the_planted_example_does_nothing_and_the_page_fits(address: str, page: Page) -> None:
    page.goto(f"{address}/?page=999")
    assert page.locator("article").count() == 111 % PER_PAGE
    assert page.locator("main img").count() == 0
    assert page.title() != "planted"
    assert page.evaluate("document.documentElement.scrollWidth - window.innerWidth") == 0


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        ({"example_id": "1000-1001", "decision": "reject"}, {"Origin": "http://evil.example"}, 403),
        ({"example_id": "1000-1001", "decision": "reject"}, {}, 403),
        ({"example_id": "1000-1001", "decision": "reject"}, {"Origin": "", "Host": "evil.example"}, 403),
        ({"example_id": "1000-1001", "decision": "drop"}, None, 400),
        ({"example_id": "1000-1001"}, None, 400),
        ({"example_id": "7-7", "decision": "keep"}, None, 404),
        ({"example_id": "1000-1001", "decision": "keep", "reason": "x" * 20_000}, None, 413),
    ],
)
def test_other_requests_change_nothing(
    address: str, file: Path, body: dict[str, str], headers: dict[str, str] | None, status: int
) -> None:
    before = file.read_bytes()
    sent = {"Origin": address} if headers is None else headers
    assert httpx.post(f"{address}/decisions", json=body, headers=sent).status_code == status
    assert file.read_bytes() == before


def test_decisions_that_others_write_meanwhile_stay(tmp_path: Path) -> None:
    file = tmp_path / "decisions.jsonl"
    dataset = write_dataset(tmp_path / "d", train=3, evaluation=1)
    chosen = next(iter(dataset.attributions("train"))).example_id
    app = make_app(dataset, file)
    other = "x" * 4_000 + ":1"  # of own data in a deep folder
    write_decisions(file, {other: Decision(example_id=other, decision="keep")})
    with TestClient(app, base_url="http://localhost") as client:
        sent = {"json": {"example_id": chosen, "decision": "reject"}, "headers": {"Origin": "http://localhost"}}
        assert client.post("/decisions", **sent).status_code == 200
        assert set(read_decisions(file)) == {chosen, other}
        file.write_text("{")
        assert client.post("/decisions", **sent).status_code == 500
        assert file.read_text() == "{"


def test_a_client_that_leaves_early_is_no_error_of_the_server(address: str, caplog: pytest.LogCaptureFixture) -> None:
    head = f"POST /decisions HTTP/1.1\r\nHost: {address[7:]}\r\nOrigin: {address}\r\nContent-Length: 100\r\n\r\n{{"
    with socket.create_connection(("127.0.0.1", int(address.rpartition(":")[2]))) as client:
        client.sendall(head.encode())
    assert httpx.get(address).status_code == 200
    time.sleep(0.2)  # the server notices it
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_a_page_of_another_host_is_refused(address: str) -> None:
    assert httpx.get(address, headers={"Host": "evil.example"}).status_code == 403


def test_a_port_in_use_and_a_wrong_file_are_one_line(tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "d", train=3, evaluation=1)
    with listening(0, "a test") as other:
        port = other.getsockname()[1]
        with pytest.raises(TuningError, match=rf"another program uses port {port} .* another `invoke review`"):
            review(dataset, tmp_path / "decisions", port, print)
    (tmp_path / "decisions").write_text("{")
    with pytest.raises(TuningError, match=r"line 1 of .*decisions is damaged"):
        review(dataset, tmp_path / "decisions", port, print)
