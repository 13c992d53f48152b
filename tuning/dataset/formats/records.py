"""Define the record type of a line in each format, and the format-independent Example that other modules use.

Formats: https://cloud.google.com/vertex-ai/generative-ai/docs/models/gemini-supervised-tuning-prepare (gemini),
https://huggingface.co/docs/trl/dataset_formats (messages, prompt-completion, trl-preference),
https://docs.axolotl.ai/docs/dataset-formats/conversation.html (sharegpt),
https://github.com/tatsu-lab/stanford_alpaca#data-release (alpaca).
"""

from typing import Literal, get_args

import msgspec

from tuning.command_line.options import Format as Format  # for all modules that import it from here

FORMATS: tuple[Format, ...] = get_args(Format)


class Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Represent one chat message."""

    role: Literal["system", "user", "assistant"]
    content: str


class Example(msgspec.Struct, frozen=True):
    """Represent the content of a line, independent of its format. `rejected` is only set in preference formats."""

    prompt: tuple[Message, ...]  # a system message, if the format has one, and a user message
    answer: str
    rejected: str | None = None


class Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Represent a line of any format."""


class NotebookLine(Line, frozen=True, forbid_unknown_fields=True):
    """Represent a line of the format ``notebook``."""

    input_text_instruct: str
    output_text: str


class TextBisonLine(Line, frozen=True, forbid_unknown_fields=True):
    """Represent a line of the format ``text-bison``."""

    input_text: str
    output_text: str


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Represent one part of a Gemini content."""

    text: str


class SystemInstruction(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Represent the system instruction of a Gemini line."""

    parts: list[Part]


class Content(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Represent one turn of a Gemini conversation."""

    role: Literal["user", "model"]
    parts: list[Part]


class GeminiLine(Line, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Represent a line of the format ``gemini``."""

    systemInstruction: SystemInstruction | None = None  # noqa: N815 - the name in the API
    contents: list[Content]


class MessagesLine(Line, frozen=True, forbid_unknown_fields=True):
    """Represent a line of the format ``messages``."""

    messages: list[Message]


class PromptCompletionLine(Line, frozen=True, forbid_unknown_fields=True):
    """Represent a line of the format ``prompt-completion``."""

    prompt: list[Message]
    completion: list[Message]


class Turn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Represent one turn of a ShareGPT conversation."""

    speaker: Literal["system", "human", "gpt"] = msgspec.field(name="from")
    value: str


class ShareGptLine(Line, frozen=True, forbid_unknown_fields=True):
    """Represent a line of the format ``sharegpt``."""

    conversations: list[Turn]


class AlpacaLine(Line, frozen=True, forbid_unknown_fields=True):
    """Represent a line of the format ``alpaca``."""

    instruction: str
    input: str
    output: str


class Completion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Represent one scored answer of a Gemini preference."""

    score: float
    completion: Content


class GeminiPreferenceLine(Line, frozen=True, forbid_unknown_fields=True):
    """Represent a line of the format ``gemini-preference``."""

    system_instruction: SystemInstruction
    contents: list[Content]
    completions: list[Completion]


class TrlPreferenceLine(Line, frozen=True, forbid_unknown_fields=True):
    """Represent a line of the format ``trl-preference``."""

    prompt: list[Message]
    chosen: list[Message]
    rejected: list[Message]


LINES: dict[Format, type[Line]] = {
    "notebook": NotebookLine,
    "text-bison": TextBisonLine,
    "gemini": GeminiLine,
    "messages": MessagesLine,
    "prompt-completion": PromptCompletionLine,
    "sharegpt": ShareGptLine,
    "alpaca": AlpacaLine,
    "gemini-preference": GeminiPreferenceLine,
    "trl-preference": TrlPreferenceLine,
}
PREFERENCE_FORMATS: tuple[Format, ...] = ("gemini-preference", "trl-preference")
