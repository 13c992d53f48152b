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
