"""The typed record of one line in every format, and the neutral view of it that tuners and evaluation read.

Formats: https://cloud.google.com/vertex-ai/generative-ai/docs/models/gemini-supervised-tuning-prepare (gemini),
https://huggingface.co/docs/trl/dataset_formats (messages, prompt-completion, trl-preference).
"""

from typing import Literal, get_args

import msgspec

Format = Literal[
    "notebook", "text-bison", "gemini", "messages", "prompt-completion", "gemini-preference", "trl-preference"
]
FORMATS: tuple[Format, ...] = get_args(Format)


class Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    role: Literal["system", "user", "assistant"]
    content: str


class Example(msgspec.Struct, frozen=True):
    """What one line asks and answers, whatever its format. `rejected` is set in preference formats only."""

    prompt: tuple[Message, ...]  # system (where there is one) and user
    answer: str
    rejected: str | None = None


class NotebookLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    input_text_instruct: str
    output_text: str


class TextBisonLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    input_text: str
    output_text: str


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    text: str


class SystemInstruction(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    parts: list[Part]


class Content(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    role: Literal["user", "model"]
    parts: list[Part]


class GeminiLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    systemInstruction: SystemInstruction  # noqa: N815 - the API's own name
    contents: list[Content]


class MessagesLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    messages: list[Message]


class PromptCompletionLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    prompt: list[Message]
    completion: list[Message]


class Completion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    score: float
    completion: Content


class GeminiPreferenceLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    system_instruction: SystemInstruction
    contents: list[Content]
    completions: list[Completion]


class TrlPreferenceLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    prompt: list[Message]
    chosen: list[Message]
    rejected: list[Message]


Line = (
    NotebookLine
    | TextBisonLine
    | GeminiLine
    | MessagesLine
    | PromptCompletionLine
    | GeminiPreferenceLine
    | TrlPreferenceLine
)
LINES: dict[Format, type[Line]] = {
    "notebook": NotebookLine,
    "text-bison": TextBisonLine,
    "gemini": GeminiLine,
    "messages": MessagesLine,
    "prompt-completion": PromptCompletionLine,
    "gemini-preference": GeminiPreferenceLine,
    "trl-preference": TrlPreferenceLine,
}
PREFERENCE_FORMATS: tuple[Format, ...] = ("gemini-preference", "trl-preference")
