"""Clients that send or read slowly, send nothing or are too many keep nobody from an answer."""

import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator

import httpx
import pytest

from tests.serving.conftest import Serve, Server, register_toy
from tuning.registry import registry
from tuning.serving import limits, model
from tuning.serving.model import ServedModel
from tuning.serving.server import _Server, listening, make_app
from tuning.settings import Settings

SECONDS = 1.0  # of a client of `quick`
HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"


def body(question: str, stream: bool = False) -> bytes:
    asked = {"model": "v1", "messages": [{"role": "user", "content": question}], "max_tokens": 900, "stream": stream}
    return json.dumps(asked).encode()


def whole(content: bytes) -> bytes:
    return HEAD + b"Content-Length: %d\r\n\r\n" % len(content) + content


def connect(port: int, sent: bytes = b"", receives: int = 0) -> socket.socket:
    client = socket.socket()
    if receives:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receives)
    client.settimeout(20)
    client.connect(("127.0.0.1", port))
    client.sendall(sent)
    return client


def reply(client: socket.socket) -> bytes:
    """What comes until it contains the end of a short answer."""
    received = b""
    while b"warnings" not in received:
        part = client.recv(1 << 16)
        assert part, received
        received += part
    return received


def rest(client: socket.socket) -> bytes:
    """What comes until the server ends the connection."""
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while part := client.recv(1 << 16):
            received += part
    return received


def is_open(client: socket.socket) -> bool:
    """Whether the server has not ended the connection, on which it has nothing to say."""
    client.setblocking(False)
    try:
        return client.recv(1) != b""
    except BlockingIOError:
        return True
    except ConnectionResetError:
        return False


def answers(port: int) -> str:
    """The answer to a question. It takes a moment, and not until a slow client is gone."""
    headers = {"Content-Type": "application/json"}
    address = f"http://127.0.0.1:{port}/v1/chat/completions"
    return str(httpx.post(address, content=body("How?"), headers=headers, timeout=5).json())


@pytest.fixture
def quick(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The port of a server in this process that gives a client one second."""
    register_toy(settings, "one")
    monkeypatch.setattr(limits, "SECONDS", SECONDS)
    monkeypatch.setattr(model, "_MOST_WAITING", 3)
    served = ServedModel(settings, "v1")
    with listening(0, "invoke serve") as listener:
        server = _Server(limits.limited(make_app(served)))
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        yield listener.getsockname()[1]
        served.stop()
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive()


def test_a_request_that_does_not_arrive_in_time_ends_its_connection(quick: int) -> None:
    begun = time.monotonic()
    silent = connect(quick)
    head, content = connect(quick, HEAD[:9]), connect(quick, HEAD + b"Content-Length: 99\r\n\r\n{")
    chunks = connect(quick, HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n")
    refused = connect(quick, whole(b"{").replace(b"application/json", b"text/plain").replace(b": 1\r", b": 99\r"))
    drips = {head: b"x", content: b" ", chunks: b"1\r\n \r\n", refused: b" "}
    with contextlib.suppress(ConnectionError):  # one part each 0.1 s, which is in time for itself
        while time.monotonic() - begun < 5 * SECONDS:
            for client, part in drips.items():
                client.sendall(part)
            time.sleep(0.1)
            assert "one: How?" in answers(quick)
    assert time.monotonic() - begun < 4 * SECONDS
    for client in (silent, head, content, chunks):
        assert rest(client) == b""
    assert b" 415 " in rest(refused)


def test_a_client_that_is_answered_has_all_the_time(quick: int) -> None:
    with connect(quick, whole(body("count"))[:-1]) as client:
        time.sleep(SECONDS / 2)
        client.sendall(b"}")
        time.sleep(2 * SECONDS)
        assert client.send(b"") == 0
        client.settimeout(0.1)
        with pytest.raises(TimeoutError):
            client.recv(1)


def test_a_client_that_stops_reading_is_let_go(quick: int) -> None:
    with connect(quick, whole(body("x" * 30_000, stream=True)), receives=4096) as client:
        assert "one: How?" in answers(quick)
        time.sleep(3 * SECONDS)
        assert b"[DONE]" not in rest(client)


def test_a_question_beyond_those_that_wait_is_told_so_and_one_whose_client_left_does_not_wait(quick: int) -> None:
    counting = connect(quick, whole(body("count", stream=True)))
    counting.recv(1)
    waiting = [connect(quick, whole(body("How?"))) for _ in range(2)]
    time.sleep(0.3)
    assert "3 questions are open already. Ask again later" in answers(quick)
    assert httpx.get(f"http://127.0.0.1:{quick}/health").status_code == 200
    waiting.pop().close()
    time.sleep(0.3)
    waiting.append(connect(quick, whole(body("Who?"))))
    time.sleep(0.3)
    counting.close()
    assert b"one: How?" in reply(waiting[0])
    assert b"one: Who?" in reply(waiting[1])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, serve: Serve) -> Server:
    settings = Settings(home=tmp_path_factory.mktemp("slow") / "home")
    register_toy(settings, "one")
    registry.promote(settings, "v1")
    return serve(settings.home, "v1")


def test_500_silent_connections_are_no_obstacle_and_the_newest_stay(server: Server) -> None:
    begun = time.monotonic()
    asking = connect(server.port, whole(body("count", stream=True)))
    assert b" 200 " in asking.recv(1 << 16)
    silent = [connect(server.port) for _ in range(500)]
    asking.recv(1)  # what is being answered stays
    asking.close()
    silent[-1].sendall(whole(body("How?")))
    assert b"one: How?" in reply(silent[-1])
    assert "one: How?" in answers(server.port)
    assert rest(silent[0]) == b""  # ended to make room, and long before its time is over
    assert sum(is_open(client) for client in silent) <= limits.CONNECTIONS
    assert time.monotonic() - begun < limits.SECONDS
    for client in silent:
        client.close()
