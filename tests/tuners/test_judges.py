"""A judge behind OpenAI's chat API, spoken to over HTTP on loopback."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.tuners.tuner_datasets import question
from tuning.errors import TuningError
from tuning.settings import Settings
from tuning.tuners import chat_server
from tuning.tuners.chat_server import _ROOM, ChatServer
from tuning.tuners.protocol import Answer
from tuning.tuners.select import find_judge


class Server(ThreadingHTTPServer):
    """Answer with `replies` (status and body), in turn; the last one again and again."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.replies: list[tuple[int, str]] = []
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str | None] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1#small"


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        assert self.path == "/v1/chat/completions"
        self.server.requests.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.server.keys.append(self.headers["Authorization"])
        replies = self.server.replies
        status, body = replies.pop(0) if len(replies) > 1 else replies[0]
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body.encode("utf-8", "surrogateescape"))

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(chat_server, "FIRST_DELAY", 0.001)
    with Server() as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running
        running.shutdown()


def completion(text: object, reason: str = "stop") -> tuple[int, str]:
    return 200, json.dumps({"choices": [{"message": {"role": "assistant", "content": text}, "finish_reason": reason}]})


def test_answers_come_in_the_order_of_the_prompts(server: Server, settings: Settings, dataset: Any) -> None:
    server.replies = [completion("A")]
    judge = find_judge(settings, server.address, dataset)
    assert judge.generate([question(1), question(2), question(3)], 16) == [Answer("A", "STOP")] * 3
    assert {request["model"] for request in server.requests} == {"small"}
    assert all((request["temperature"], request["max_tokens"]) == (0, 16 + _ROOM) for request in server.requests)
    assert server.requests[0]["messages"][0]["role"] == "system"
    assert server.keys == [None] * 3
    assert judge.losses([], 100) is None


def test_the_key_is_a_bearer_token(server: Server) -> None:
    server.replies = [completion(None, "length")]
    assert ChatServer(server.address, "k-1").generate([question(1)], 16) == [Answer("", "MAX_TOKENS")]
    assert server.keys == ["Bearer k-1"]


def test_a_busy_server_is_asked_again(server: Server) -> None:
    server.replies = [(429, "slow down"), (503, ""), completion("B")]
    assert ChatServer(server.address, "").generate([question(1)], 16) == [Answer("B", "STOP")]
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ([{"type": "thinking", "thinking": [{"type": "text", "text": "B"}]}, {"type": "text", "text": "A"}], "A"),
        ([{"type": "reasoning", "text": "B"}, {"type": "text", "text": "A"}, {"type": "text", "text": "."}], "A."),
        ([{"type": "text", "text": None}], ""),
        ([], ""),
    ],
)
def test_thoughts_among_the_parts_of_an_answer_are_left_out(server: Server, content: object, text: str) -> None:
    server.replies = [completion(content)]
    assert ChatServer(server.address, "").generate([question(1)], 16) == [Answer(text, "STOP")]


def test_a_model_with_a_short_context_gets_no_room_for_thoughts(server: Server) -> None:
    server.replies = [(400, "max_tokens is too large"), completion("B")]
    assert ChatServer(server.address, "").generate([question(1)], 16) == [Answer("B", "STOP")]
    assert [request["max_tokens"] for request in server.requests] == [16 + _ROOM, 16]


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        ((400, "no such model"), "answers with status 400: 'no such model'"),
        ((401, "no key"), "answers with status 401: 'no key'"),
        ((500, "down"), "answers with status 500: 'down'"),
        ((200, "<html>"), "does not answer as OpenAI's chat API does"),
        ((200, '{"id": "\udcff", "choices": []}'), "does not answer as OpenAI's chat API does"),
        ((200, '{"id": ' + "[" * 200_000), "does not answer as OpenAI's chat API does"),
        ((200, '{"choices": []}'), "does not answer as OpenAI's chat API does"),
        ((200, '{"choices": [{"message": {"content": 3}}]}'), "does not answer as OpenAI's chat API does"),
    ],
)
def test_a_faulty_answer_is_one_line(server: Server, reply: tuple[int, str], message: str) -> None:
    server.replies = [reply]
    with pytest.raises(TuningError, match=message):
        ChatServer(server.address, "").generate([question(1)], 16)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("http://127.0.0.1:1/v1", "names no model"),
        ("http://judge.example/v1#m", "without encryption"),
        ("ftp://127.0.0.1/v1#m", "does not answer"),
        ("http://127.0.0.1:1/v1#m", "does not answer"),
        ("http://[::1/v1#m", "is not an address"),
        ("http://127.0.0.1:x/v1#m", "is not an address"),
        ("https://\u202e.example/v1#m", "is not an address"),
        ("https://a..b/v1#m", "does not answer"),
    ],
)
def test_an_address_that_cannot_be_used_is_one_line(address: str, message: str) -> None:
    with pytest.raises(TuningError, match=message):
        ChatServer(address, "").generate([question(1)], 16)
