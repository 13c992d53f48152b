"""Encode examples as token IDs with the base model's chat template.

Only the answer and its end-of-turn token are trained on.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from tuning.dataset.formats.records import Message

# ChatML. `generation` marks the assistant's messages for TRL's `assistant_only_loss` and for transformers' masks.
CHATML = (
    "{% for message in messages %}"
    "{% if loop.first and message['role'] != 'system' %}{{ '<|im_start|>system\n%SYSTEM%<|im_end|>\n' }}{% endif %}"
    "{{ '<|im_start|>' + message['role'] + '\n' }}"
    "{% if message['role'] == 'assistant' %}"
    "{% generation %}{{ message['content'] + '<|im_end|>' }}{% endgeneration %}{{ '\n' }}"
    "{% else %}{{ message['content'] + '<|im_end|>\n' }}{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def chatml(default_system: str) -> str:
    """Return the ChatML template. A conversation without a system message gets `default_system`."""
    return CHATML.replace("%SYSTEM%", default_system)


class Tokens(NamedTuple):
    """Hold the token IDs of prompt and answer. `answer_start` is the index of the first answer token."""

    ids: list[int]
    answer_start: int


def encode(tokenizer: Any, prompt: Sequence[Message], answer: str) -> Tokens:
    """Encode prompt and answer. The last token is the end-of-turn token, so that the model learns to stop."""
    prompt_ids = encode_prompt(tokenizer, prompt)
    if tokenizer.chat_template is None:
        return Tokens([*prompt_ids, *_plain(tokenizer, answer), tokenizer.eos_token_id], len(prompt_ids))
    conversation = [*_dictionaries(prompt), {"role": "assistant", "content": answer}]
    ids: list[int] = tokenizer.apply_chat_template(conversation, tokenize=True, return_dict=False)
    start = _common_prefix(prompt_ids, ids)
    # Drop what the template adds after the last end-of-turn token, such as a line break. The model never generates it.
    end = _last(ids, tokenizer.eos_token_id)
    if end < start:
        return Tokens([*ids, tokenizer.eos_token_id], start)
    return Tokens(ids[: end + 1], start)


def encode_prompt(tokenizer: Any, prompt: Sequence[Message]) -> list[int]:
    """Encode the prompt up to where the answer begins. Without a chat template, an empty line follows each message."""
    if tokenizer.chat_template is None:
        start = [] if tokenizer.bos_token_id is None else [tokenizer.bos_token_id]
        return [*start, *_plain(tokenizer, "".join(f"{message.content}\n\n" for message in prompt))]
    ids: list[int] = tokenizer.apply_chat_template(
        _dictionaries(prompt), add_generation_prompt=True, tokenize=True, return_dict=False
    )
    return ids


def _dictionaries(prompt: Sequence[Message]) -> list[dict[str, str]]:
    return [{"role": message.role, "content": message.content} for message in prompt]


def _plain(tokenizer: Any, text: str) -> list[int]:
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return ids


def _common_prefix(first: list[int], second: list[int]) -> int:
    """Return the length of the common prefix.

    It is less than the length of `first` if the template renders a prompt without an answer differently.
    """
    count = 0
    for one, other in zip(first, second, strict=False):
        if one != other:
            break
        count += 1
    return count


def _last(ids: list[int], wanted: int) -> int:
    return max((index for index, token in enumerate(ids) if token == wanted), default=-1)
