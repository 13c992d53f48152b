"""Read requests and write answers in the form of OpenAI's chat API.

https://platform.openai.com/docs/api-reference/chat describes it.
"""

import re
import time
import uuid
from dataclasses import dataclass, field
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from tuning.registry.predict import Prediction
from tuning.tuners.protocol import LIMIT, REPETITION

_Tokens = Annotated[int, Meta(ge=1, le=1_000_000)]
# Fields that change nothing in an answer by greedy decoding.
_IGNORED = {"top_p", "seed", "user", "safety_identifier", "prompt_cache_key"}
# The values of other fields that ask for nothing, beside null and empty ones.
_NEUTRAL: dict[str, object] = {
    "temperature": 0,
    "n": 1,
    "presence_penalty": 0,
    "frequency_penalty": 0,
    "logprobs": False,
    "store": False,
    "response_format": {"type": "text"},
}
_SINGLE = (
    "messages must be one user message: this model was trained on single questions, with an instruction that the "
    "server adds. Leave out earlier turns and messages of other roles"
)


class ApiError(Exception):
    """Report a problem to a client, in OpenAI's error format."""

    def __init__(self, status: int, message: str, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.param, self.code = status, message, param, code

    def body(self) -> dict[str, object]:
        """Return the JSON object of the error."""
        kind = "invalid_request_error" if self.status < 500 else "server_error"
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}


class _Text(msgspec.Struct, forbid_unknown_fields=True, tag_field="type", tag="text"):
    text: str


class _Message(msgspec.Struct, forbid_unknown_fields=True):
    role: str
    content: str | tuple[_Text]


class _StreamOptions(msgspec.Struct, frozen=True):
    include_usage: bool = False


class _Fields(msgspec.Struct):
    model: str
    messages: list[_Message]
    stream: bool = False
    stream_options: _StreamOptions = _StreamOptions()
    max_tokens: _Tokens | None = None
    max_completion_tokens: _Tokens | None = None


@dataclass(frozen=True)
class ChatRequest:
    """Hold what a client asks. `max_tokens` is None if the client sets no limit."""

    question: str
    max_tokens: int | None
    stream: bool
    include_usage: bool


def read_request(body: bytes, served: str) -> ChatRequest:
    """Return the request in `body` to the model that is served under the name `served`.

    Raises ApiError if it is not a request, is for another model, or asks for something that this server cannot do.
    """
    try:
        given = msgspec.json.decode(body, type=dict[str, Any])
        given = {name: value for name, value in given.items() if value is not None and value not in ([], {})}
        _check_others(given)
        fields = msgspec.convert(given, _Fields)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        found = re.search(r"`\$\.(\w+)", str(error))
        raise ApiError(400, f"the request is not valid: {error}", found[1] if found else None) from None
    if fields.model != served:
        message = f"the model {fields.model!r} does not exist here: this server has only {served!r}"
        raise ApiError(404, message, "model", "model_not_found")
    if [message.role for message in fields.messages] != ["user"]:
        raise ApiError(400, _SINGLE, "messages")
    content = fields.messages[0].content
    question = content if isinstance(content, str) else content[0].text
    if not question.strip():
        raise ApiError(400, "the question is empty", "messages")
    limits = [limit for limit in (fields.max_tokens, fields.max_completion_tokens) if limit]
    return ChatRequest(question, min(limits, default=None), fields.stream, fields.stream_options.include_usage)


def _check_others(given: dict[str, Any]) -> None:
    """Raise ApiError for a field that could change the answer."""
    for name, value in given.items():
        if name in _Fields.__struct_fields__ or name in _IGNORED:
            continue
        if name not in _NEUTRAL:
            raise ApiError(400, f"{name} is not supported. Leave it out", name)
        if value != _NEUTRAL[name]:
            message = f"{name} can only be {msgspec.json.encode(_NEUTRAL[name]).decode()}: answers use greedy decoding"
            raise ApiError(400, message, name)


@dataclass(frozen=True)
class Reply:
    """Write the answer to one request as JSON. `model` is the version that answers."""

    model: str
    prompt_tokens: int
    id: str = field(default_factory=lambda: f"chatcmpl-{uuid.uuid4().hex}")
    created: int = field(default_factory=lambda: int(time.time()))

    def whole(self, prediction: Prediction, answer_tokens: int) -> bytes:
        """Return the whole answer."""
        message = {"role": "assistant", "content": prediction.answer}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _finish(prediction)}
        return self._json("chat.completion", [choice], usage=self._usage(answer_tokens), warnings=_warnings(prediction))

    def piece(self, text: str, **role: str) -> bytes:
        """Return the event for a piece of the answer."""
        return self._event([{"index": 0, "delta": {**role, "content": text}, "logprobs": None, "finish_reason": None}])

    def end(self, prediction: Prediction, answer_tokens: int | None) -> bytes:
        """Return the last events of a stream. `answer_tokens` is None if the client did not ask for the usage."""
        choice = {"index": 0, "delta": {}, "logprobs": None, "finish_reason": _finish(prediction)}
        events = self._event([choice], warnings=_warnings(prediction))
        if answer_tokens is not None:
            events += self._event([], usage=self._usage(answer_tokens))
        return events + b"data: [DONE]\n\n"

    def _event(self, choices: list[dict[str, object]], **more: object) -> bytes:
        return event(self._json("chat.completion.chunk", choices, **more))

    def _json(self, kind: str, choices: list[dict[str, object]], **more: object) -> bytes:
        head = {"id": self.id, "object": kind, "created": self.created, "model": self.model}
        return msgspec.json.encode({**head, "choices": choices, **more})

    def _usage(self, answer_tokens: int) -> dict[str, int]:
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": answer_tokens,
            "total_tokens": self.prompt_tokens + answer_tokens,
        }


def event(data: bytes) -> bytes:
    """Return one server-sent event."""
    return b"data: " + data + b"\n\n"


def _finish(prediction: Prediction) -> str:
    return "length" if prediction.finish_reason in (LIMIT, REPETITION) else "stop"


def _warnings(prediction: Prediction) -> list[str]:
    """Return what `invoke predict` says below an answer."""
    cut = ["the answer was cut because it only repeated itself"] if prediction.finish_reason == REPETITION else []
    return [*cut, *prediction.notes, *(f"the answer may contain a secret: {kind}" for kind in prediction.secrets)]
