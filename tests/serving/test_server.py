"""A server of toy models: whom it answers, how it follows the champion, and how it ends."""

import asyncio
import gc
import http.client
import json
import shutil
import signal
import socket
import subprocess
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import openai
import pytest
from openai.types.chat import ChatCompletion

from tests.serving.conftest import Serve, Server, command, environment, register_toy
from tests.serving.toy_tuner import KEY
from tuning.errors import TuningError
from tuning.registry import registry
from tuning.serving.chat_api import ChatRequest
from tuning.serving.model import Ended, ServedModel, Started
from tuning.settings import PROJECT_ROOT, Settings

PATH = "/v1/chat/completions"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Two versions, of which v1 is the champion."""
    settings = Settings(home=tmp_path_factory.mktemp("serving") / "home")
    assert [register_toy(settings, name) for name in ("one", "two")] == ["v1", "v2"]
    registry.promote(settings, "v1")
    return settings


@pytest.fixture(scope="module")
def server(home: Settings, serve: Serve) -> Server:
    return serve(home.home, "v1")


def asked(question: str) -> dict[str, object]:
    return {"model": "v1", "messages": [{"role": "user", "content": question}]}


def answer(server: Server, question: str, model: str = "v1", **options: int) -> ChatCompletion:
    return server.client().chat.completions.create(
        model=model, messages=[{"role": "user", "content": question}], **options
    )


def words(server: Server, question: str, **options: int) -> list[str]:
    stream = server.client().chat.completions.create(
        model="v1", messages=[{"role": "user", "content": question}], stream=True, **options
    )
    return [chunk.choices[0].delta.content or "" for chunk in stream]


def test_an_answer_has_the_form_of_openai(server: Server) -> None:
    reply = answer(server, "How?\nSo.")
    (choice,) = reply.choices
    assert (choice.message.role, choice.message.content) == ("assistant", "one: How?\n\nSo.")
    assert (choice.finish_reason, reply.model, reply.object) == ("stop", "v1", "chat.completion")
    assert reply.usage
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens, reply.usage.total_tokens) == (5, 3, 8)


def test_a_stream_has_the_same_text_and_the_usage_if_it_is_wanted(server: Server) -> None:
    chunks = list(
        server.client().chat.completions.create(
            model="v1",
            messages=[{"role": "user", "content": "How?\nSo."}],
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    *parts, last = chunks
    assert "".join(chunk.choices[0].delta.content or "" for chunk in parts) == "one: How?\n\nSo."
    assert parts[0].choices[0].delta.role == "assistant"
    assert [chunk.choices[0].finish_reason for chunk in parts if chunk.choices[0].finish_reason] == ["stop"]
    assert last.choices == []
    assert last.usage
    assert last.usage.total_tokens == 8


def test_what_predict_says_below_an_answer_is_in_the_warnings(server: Server) -> None:
    looping, secret = answer(server, "loop"), answer(server, "key")
    assert looping.choices[0].finish_reason == "length"
    assert looping.model_extra == {"warnings": ["the answer was cut because it only repeated itself", "a note"]}
    assert secret.choices[0].message.content == KEY
    assert secret.model_extra
    assert secret.model_extra["warnings"][0].startswith("the answer may contain a secret: ")


def test_max_tokens_cuts(server: Server) -> None:
    cut = answer(server, "count", max_tokens=3).choices[0]
    assert (cut.message.content, cut.finish_reason) == ("0 1 2", "length")
    assert "".join(words(server, "count", max_completion_tokens=2)) == "0 1"


def test_eight_clients_at_once_get_their_own_answers(server: Server) -> None:
    with ThreadPoolExecutor(8) as pool:
        whole = [pool.submit(answer, server, f"question {number}") for number in range(4)]
        streams = [pool.submit(words, server, f"question {number}") for number in range(4)]
        for number in range(4):
            expected = f"one: question {number}"
            assert whole[number].result().choices[0].message.content == expected
            assert "".join(streams[number].result()) == expected


def test_only_the_served_model_is_listed(server: Server) -> None:
    (listed,) = server.client().models.list().data
    assert (listed.id, listed.model_extra) == ("v1", {"version": "v1"})
    assert httpx.get(f"{server.url}/health").json() == {"status": "ok", "version": "v1"}
    with pytest.raises(openai.NotFoundError, match="this server has only 'v1'"):
        answer(server, "How?", model="v2")


@pytest.mark.parametrize(("question", "tokens"), [("a " * 1000, None), ("a " * 990, 8)])
def test_a_prompt_beyond_the_context_is_refused(server: Server, question: str, tokens: int | None) -> None:
    """The instruction has three tokens."""
    for stream in (False, True):
        with pytest.raises(openai.BadRequestError, match="maximum context length is 1000 tokens") as refused:
            server.client().chat.completions.create(
                model="v1", messages=[{"role": "user", "content": question}], max_tokens=tokens, stream=stream
            )
        assert refused.value.code == "context_length_exceeded"
    assert (answer(server, "a " * 990, max_tokens=7).choices[0].message.content or "").startswith("one: a a")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "127.0.0.1:1"}, 200),
        ({"Host": "LOCALHOST"}, 200),
        ({"Host": "attacker.example"}, 403),
        ({"Host": "127.0.0.1.attacker.example:80"}, 403),
        ({"Host": ""}, 403),
        ({"Origin": "http://attacker.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "none"}, 200),
        ({"Content-Type": "text/plain"}, 415),
    ],
)
def test_web_pages_and_other_hosts_get_no_answer(server: Server, headers: dict[str, str], status: int) -> None:
    reply = httpx.post(server.url + PATH, json=asked("How?"), headers=headers)
    assert reply.status_code == status, reply.text
    assert ("one:" in reply.text) is (status == 200)
    assert "access-control-allow-origin" not in reply.headers
    if status == 403:
        assert httpx.get(f"{server.url}/v1/models", headers=headers).status_code == 403
        assert httpx.options(server.url + PATH, headers=headers).status_code == 403


def test_other_errors_have_openais_form_too(server: Server) -> None:
    for reply, status in (
        (httpx.post(server.url + PATH, content=b"{", headers={"Content-Type": "application/json"}), 400),
        (httpx.post(server.url + PATH, json=asked("a" * (1 << 20))), 413),
        (httpx.get(server.url + PATH), 405),
        (httpx.post(f"{server.url}/load_model", json={}), 404),
        (httpx.post(server.url + PATH, json=asked("fail")), 500),
    ):
        assert reply.status_code == status
        assert set(reply.json()["error"]) == {"message", "type", "param", "code"}
    assert answer(server, "still here").choices[0].message.content == "one: still here"


def test_a_stream_that_fails_ends_with_an_error(server: Server) -> None:
    with pytest.raises(openai.APIError, match="the server failed; its terminal shows the error"):
        words(server, "fail")


def test_a_client_that_leaves_ends_its_answer(server: Server) -> None:
    """Each of the answers would take 18 seconds."""
    begun = time.monotonic()
    for stream in (True, False):
        connection = http.client.HTTPConnection("127.0.0.1", server.port)
        body = json.dumps({**asked("count"), "max_tokens": 900, "stream": stream})
        connection.request("POST", PATH, body, {"Content-Type": "application/json"})
        time.sleep(0.3)
        connection.close()
        assert answer(server, "next").choices[0].message.content == "one: next"
    assert time.monotonic() - begun < 15


def test_a_port_in_use_is_one_line(server: Server, home: Settings) -> None:
    second = subprocess.run(
        command("--model", "v2", "--port", str(server.port)),
        cwd=PROJECT_ROOT,
        env=environment(home.home),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert second.returncode == 1
    assert second.stdout == ""
    assert second.stderr == (
        f"error: another program uses port {server.port} of 127.0.0.1. "
        "Stop that program (is it another `invoke serve`?), or choose another port with --port\n"
    )


def test_a_promotion_counts_from_the_next_request(tmp_path: Path, serve: Serve) -> None:
    settings = Settings(home=tmp_path / "home")
    for name in ("one", "two"):
        register_toy(settings, name)
    registry.promote(settings, "v1")
    server = serve(settings.home, "champion")
    assert answer(server, "Who?", "champion").choices[0].message.content == "one: Who?"
    long = server.client().chat.completions.create(
        model="champion", messages=[{"role": "user", "content": "count"}], max_tokens=50, stream=True
    )
    next(iter(long))
    registry.promote(settings, "v2", force=True, reason="a trial")
    after = answer(server, "Who?", "champion")
    assert (after.choices[0].message.content, after.model) == ("two: Who?", "v2")
    assert {chunk.model for chunk in long} == {"v1"}  # it goes on to its end
    (listed,) = server.client().models.list().data
    assert (listed.id, listed.model_extra) == ("champion", {"version": "v2"})
    registry.rollback(settings)
    assert answer(server, "Who?", "champion").choices[0].message.content == "one: Who?"
    registry.rollback(settings, name="v1")
    with pytest.raises(openai.InternalServerError, match="there is no champion, because v1 was rolled back") as failed:
        answer(server, "Who?", "champion")
    assert failed.value.status_code == 503


@pytest.mark.parametrize(
    ("number", "question"), [(signal.SIGTERM, "count"), (signal.SIGINT, "count"), (signal.SIGTERM, "sleep")]
)
def test_a_signal_ends_the_server_and_its_streams(home: Settings, serve: Serve, number: int, question: str) -> None:
    server = serve(home.home, "v1")
    stream = server.client().chat.completions.create(
        model="v1", messages=[{"role": "user", "content": question}], max_tokens=900, stream=True
    )
    pieces = iter(stream)
    assert next(pieces).choices[0].delta.content == ""
    begun = time.monotonic()
    server.process.send_signal(number)
    with pytest.raises(openai.APIError, match="the server is stopping"):
        list(pieces)
    output, _ = server.process.communicate(timeout=20)
    assert time.monotonic() - begun < 10
    assert (server.process.returncode, output) == (0, "the server has stopped\n")


def sending(server: Server) -> socket.socket:
    """A client that has sent only the beginning of its request."""
    client = socket.create_connection(("127.0.0.1", server.port))
    head = f"POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n"
    client.sendall(head.encode() + b"{")
    time.sleep(0.3)
    return client


def test_a_client_that_leaves_or_stops_in_its_request_is_no_fault_of_the_server(home: Settings, serve: Serve) -> None:
    server = serve(home.home, "v1")
    sending(server).close()
    with sending(server) as client:
        server.process.send_signal(signal.SIGTERM)
        output, _ = server.process.communicate(timeout=20)
        assert b"the server is stopping" in client.recv(9999)
    assert server.process.returncode == 0
    assert "Traceback" not in output
    assert output.endswith("the server has stopped\n")


def test_a_second_signal_changes_nothing(home: Settings, serve: Serve) -> None:
    """The model is busy for a minute, so the server waits for it for some seconds."""
    server = serve(home.home, "v1")
    with ThreadPoolExecutor() as pool:
        asked = pool.submit(words, server, "sleep")
        time.sleep(0.5)
        for _ in range(8):
            server.process.send_signal(signal.SIGINT)
            time.sleep(0.3)
        output, _ = server.process.communicate(timeout=20)
        with pytest.raises(openai.APIError, match="the server is stopping"):
            asked.result()
    assert (server.process.returncode, output) == (0, "the server has stopped\n")


def replies(model: ServedModel) -> list[Started | str | Ended]:
    async def collect() -> list[Started | str | Ended]:
        return [item async for item in model.answer(ChatRequest("Who?", None, False, False))]

    return asyncio.run(collect())


def test_a_replaced_model_leaves_the_memory(settings: Settings) -> None:
    for name in ("one", "two"):
        register_toy(settings, name)
    registry.promote(settings, "v1")
    model = ServedModel(settings, "champion")
    assert model._loaded
    old = weakref.ref(model._loaded[2])
    assert replies(model)[0] == Started("v1", 4)
    registry.promote(settings, "v2", force=True, reason="a trial")
    assert replies(model)[0] == Started("v2", 4)
    gc.collect()
    assert old() is None


def test_a_version_with_the_same_files_answers_by_its_own_name(settings: Settings) -> None:
    for name in ("one", "two"):
        register_toy(settings, name, says="the same")
    registry.promote(settings, "v1")
    model = ServedModel(settings, "champion")
    registry.promote(settings, "v2", force=True, reason="a trial")
    assert replies(model)[0] == Started("v2", 4)


def test_a_champion_that_cannot_be_loaded_is_an_error_and_not_the_old_answer(settings: Settings) -> None:
    for name in ("one", "two"):
        register_toy(settings, name)
    registry.promote(settings, "v1")
    model = ServedModel(settings, "champion")
    shutil.rmtree(settings.models_dir / "v2" / "model" / "weights")
    registry.promote(settings, "v2", force=True, reason="a trial")
    for _ in range(2):
        with pytest.raises(TuningError, match="has no weights"):
            replies(model)
        assert model.loaded is None
    registry.rollback(settings)
    assert replies(model)[0] == Started("v1", 4)


def test_a_stopped_model_refuses_questions(settings: Settings) -> None:
    register_toy(settings, "one")
    model = ServedModel(settings, "v1")
    model.stop()
    with pytest.raises(Exception, match="the server is stopping"):
        replies(model)
    assert model.has_stopped(5)


def test_a_model_that_cannot_be_served_is_one_line(settings: Settings) -> None:
    with pytest.raises(TuningError, match="there is no champion yet"):
        ServedModel(settings, "champion")
    register_toy(settings, "one")
    register_toy(settings, "managed", tuner="gemini")
    with pytest.raises(TuningError, match="v2 is a Gemini model, which Vertex AI serves"):
        ServedModel(settings, "v2")
    with pytest.raises(TuningError, match="there is no model 'base'"):
        ServedModel(settings, "base")
