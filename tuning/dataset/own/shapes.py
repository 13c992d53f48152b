"""Read one record of a user's file as a question with its answer. Its columns tell which shape it has.

Shapes: https://platform.openai.com/docs/api-reference/chat (messages),
https://docs.axolotl.ai/docs/dataset-formats/conversation.html (ShareGPT),
https://github.com/tatsu-lab/stanford_alpaca#data-release (Alpaca, here also with `system` and `history`),
https://huggingface.co/docs/trl/dataset_formats (prompt and completion).
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any, TypeVar

import msgspec

Kind = TypeVar("Kind", bound=msgspec.Struct)

SHAPES = (
    "messages, conversations (ShareGPT), prompt and completion, instruction and output (Alpaca), "
    "input_text and output_text, or question and answer"
)
_ROLES = {
    **dict.fromkeys(("system", "developer"), "system"),
    **dict.fromkeys(("user", "human"), "user"),
    **dict.fromkeys(("assistant", "gpt", "model", "chatgpt"), "assistant"),
}


class Left(StrEnum):
    """Represent why a record is left out. Do not change the values: manifests contain them."""

    TURNS = "conversation of several turns"
    NO_QUESTION = "conversation that does not begin with a question"
    NO_ANSWER = "conversation that does not end with an answer"
    TOOLS = "calls a tool"
    NOT_TEXT = "content other than text"
    WEIGHT = "beyond the weight of its file"
    NOT_LEARNED = "answer of weight 0"


class Row(msgspec.Struct, frozen=True):
    """Hold one record. `reason` says why it is left out, and is None if it is used."""

    system: str
    question: str
    answer: str
    reason: Left | None = None


class ShapeError(ValueError):
    """Say what is wrong with a record, as the end of a message that begins with its place."""


class _Part(msgspec.Struct):
    """Represent a part of a message."""

    type: str = "text"
    text: str | None = None


class _Message(msgspec.Struct):
    """Represent a turn as OpenAI's chat API writes it. An answer of weight 0 is not to be learned."""

    role: str
    content: str | list[_Part] | None = None
    tool_calls: list[Any] | None = None
    function_call: Any = None
    weight: float | None = None


class _Turn(msgspec.Struct):
    """Represent a turn as ShareGPT writes it."""

    speaker: str = msgspec.field(name="from")
    value: str


class _Alpaca(msgspec.Struct):
    instruction: str
    output: str
    input: str | None = None
    system: str | None = None
    history: list[Any] | None = None


class _Chat(msgspec.Struct):
    messages: list[_Message]


class _ShareGpt(msgspec.Struct):
    conversations: list[_Turn]
    system: str | None = None


class _PromptCompletion(msgspec.Struct):
    prompt: str | list[_Message]
    completion: str | list[_Message]
    system: str | None = None


# Columns of a prompt and an answer that are one text each. The notebook of the course writes the second pair.
_TWO_TEXTS = (("input_text", "output_text"), ("input_text_instruct", "output_text"), ("question", "answer"))


def read_row(record: object) -> Row:
    """Return the record as a row. Raises ShapeError if it has none of the shapes, or a value of another type."""
    if not isinstance(record, dict):
        raise ShapeError("is no object with columns")
    if "messages" in record:
        return _of_messages(_convert(record, _Chat).messages)
    if "conversations" in record:
        talk = _convert(record, _ShareGpt)
        return _of_turns([*_system(talk.system), *((_role(turn.speaker), turn.value) for turn in talk.conversations)])
    if "instruction" in record:
        return _of_alpaca(_convert(record, _Alpaca))
    if "prompt" in record:
        both = _convert(record, _PromptCompletion)
        sides = [
            [_Message(role, side)] if isinstance(side, str) else side
            for role, side in (("user", both.prompt), ("assistant", both.completion))
        ]
        return _of_messages([_Message("system", text) for _, text in _system(both.system)] + sides[0] + sides[1])
    for names in _TWO_TEXTS:
        if names[0] in record:
            question, answer = (_text(record, name) for name in names)
            return Row(_text(record, "system") if record.get("system") else "", question, answer)
    raise ShapeError(f"has none of the known shapes: its columns are {_columns(record)}, and it needs {SHAPES}")


def _columns(record: dict[str, Any]) -> str:
    return ", ".join(sorted(map(str, record))[:10]) or "none"


def _require(record: dict[str, Any], name: str) -> None:
    if name not in record:
        raise ShapeError(f"cannot be used: it lacks the column {name}, and its columns are {_columns(record)}")


def _convert(record: dict[str, Any], kind: type[Kind]) -> Kind:
    for field in msgspec.structs.fields(kind):
        if field.required:
            _require(record, field.encode_name)
    try:
        return msgspec.convert(record, kind)
    except msgspec.ValidationError as error:
        raise ShapeError(f"cannot be used: {error}") from None


def _text(record: dict[str, Any], name: str) -> str:
    _require(record, name)
    if not isinstance(record[name], str):
        raise ShapeError(f"cannot be used: {name} is no text")
    return str(record[name])


def _system(text: str | None) -> list[tuple[str, str]]:
    return [("system", text)] if text else []


def _role(name: str) -> str:
    """Return the role of a speaker, or '' for a tool or another one."""
    return _ROLES.get(name.lower(), "")


def _of_alpaca(one: _Alpaca) -> Row:
    """Return the row: the instruction and, after an empty line, its input are the question."""
    question = f"{one.instruction}\n\n{one.input}" if one.input else one.instruction
    return Row(one.system or "", question, one.output, Left.TURNS if one.history else None)


def _of_messages(messages: Sequence[_Message]) -> Row:
    turns = []
    reason = None
    for message in messages:
        parts = message.content if isinstance(message.content, list) else [_Part(text=message.content)]
        if any(part.type != "text" for part in parts):
            reason = Left.NOT_TEXT
        if message.tool_calls or message.function_call:
            reason = Left.TOOLS
        if message.weight not in (None, 0, 1):
            raise ShapeError(f"cannot be used: the weight of a message is 0 or 1, not {message.weight:g}")
        if message.weight == 0 and _role(message.role) == "assistant":
            reason = reason or Left.NOT_LEARNED
        turns.append((_role(message.role), "".join(part.text or "" for part in parts)))
    row = _of_turns(turns)
    return msgspec.structs.replace(row, reason=reason) if reason else row


def _of_turns(turns: Sequence[tuple[str, str]]) -> Row:
    """Return the row of a conversation, given as roles and texts: a system message, a question and its answer.

    A row that is left out has the first question and the last answer.
    """
    roles = [role for role, _ in turns]
    texts = {role: [text for one, text in turns if one == role] for role in ("system", "user", "assistant")}
    first, last = (texts["user"] or [""])[0], (texts["assistant"] or [""])[-1]
    reason = None
    if "" in roles:
        reason = Left.TOOLS
    elif roles[-1:] != ["assistant"]:
        reason = Left.NO_ANSWER
    elif "user" not in roles or roles[roles.count("system")] != "user" or "system" in roles[roles.count("system") :]:
        reason = Left.NO_QUESTION
    elif roles.count("user") > 1 or roles.count("assistant") > 1:
        reason = Left.TURNS
    return Row("\n\n".join(texts["system"]), first, last, reason)
