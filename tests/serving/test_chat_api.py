"""What a request may ask."""

import json

import pytest

from tuning.serving.chat_api import ApiError, ChatRequest, read_request

USER = {"role": "user", "content": "How?"}


def body(**fields: object) -> bytes:
    return json.dumps({"model": "champion", "messages": [USER], **fields}).encode()


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, ChatRequest("How?", None, False, False)),
        ({"max_tokens": 5}, ChatRequest("How?", 5, False, False)),
        ({"max_completion_tokens": 6, "max_tokens": 7}, ChatRequest("How?", 6, False, False)),
        ({"stream": True, "stream_options": {"include_usage": True}}, ChatRequest("How?", None, True, True)),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": "Why?"}]}]},
         ChatRequest("Why?", None, False, False)),
        ({"temperature": 0, "n": 1, "tools": [], "stop": None, "logit_bias": {}, "response_format": {"type": "text"}},
         ChatRequest("How?", None, False, False)),
        ({"temperature": 0.0, "top_p": 0.3, "seed": 7, "user": "u"}, ChatRequest("How?", None, False, False)),
    ],
)  # fmt: skip
def test_a_request_is_read(fields: dict[str, object], expected: ChatRequest) -> None:
    assert read_request(body(**fields), "champion") == expected


@pytest.mark.parametrize(
    ("fields", "status", "param", "said"),
    [
        ({"temperature": 0.7}, 400, "temperature", "temperature can only be 0"),
        ({"n": 2}, 400, "n", "n can only be 1"),
        ({"presence_penalty": 0.5}, 400, "presence_penalty", "can only be 0"),
        ({"logprobs": True}, 400, "logprobs", "logprobs can only be false"),
        ({"response_format": {"type": "json_object"}}, 400, "response_format", 'can only be {"type":"text"}'),
        ({"tools": [{"type": "function"}]}, 400, "tools", "tools is not supported"),
        ({"stop": ["\n"]}, 400, "stop", "stop is not supported"),
        ({"logit_bias": {"5": 1}}, 400, "logit_bias", "logit_bias is not supported"),
        ({"max_tokens": 0}, 400, "max_tokens", "`int` >= 1"),
        ({"max_tokens": "many"}, 400, "max_tokens", "Expected `int | null`"),
        ({"stream": "yes"}, 400, "stream", "Expected `bool`"),
        ({"model": "gpt-5"}, 404, "model", "this server has only 'champion'"),
        ({"messages": []}, 400, None, "missing required field `messages`"),
        ({"messages": [USER, {"role": "assistant", "content": "So."}, USER]}, 400, "messages", "one user message"),
        ({"messages": [{"role": "system", "content": "Be brief."}, USER]}, 400, "messages", "an instruction that the"),
        ({"messages": [{"role": "assistant", "content": "So."}]}, 400, "messages", "one user message"),
        ({"messages": [{"role": "user", "content": " \n"}]}, 400, "messages", "the question is empty"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, 400, "messages", "image_url"),
        ({"messages": [{"role": "user", "content": "x", "tool_calls": []}]}, 400, "messages", "tool_calls"),
    ],
)  # fmt: skip
def test_what_the_server_cannot_do_is_refused_by_its_name(
    fields: dict[str, object], status: int, param: str | None, said: str
) -> None:
    with pytest.raises(ApiError) as failed:
        read_request(body(**fields), "champion")
    assert (failed.value.status, failed.value.param) == (status, param)
    assert said in failed.value.message


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b'"text"', b"\xff", b'{"a":' * 100_000, b'{"model": "\\ud800"}'])
def test_what_is_no_request_is_refused(text: bytes) -> None:
    with pytest.raises(ApiError, match="the request is not valid"):
        read_request(text, "champion")
