"""Examples as token ids, by the base model's own chat template. Only the answer, with its end mark, is learned."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from tuning.dataset.formats.records import Message

# ChatML. `generation` marks what the assistant says, for TRL's `assistant_only_loss` and transformers' masks.
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
    """The template, with what the system says where a conversation does not begin with it."""
    return CHATML.replace("%SYSTEM%", default_system)


class Tokens(NamedTuple):
    """Token ids of prompt and answer; `answer_start` counts the prompt's."""

    ids: list[int]
    answer_start: int


def encode(tokenizer: Any, prompt: Sequence[Message], answer: str) -> Tokens:
    """Prompt and answer, ending with the end-of-turn token, so that the model learns to stop."""
    asked = encode_prompt(tokenizer, prompt)
    if tokenizer.chat_template is None:
        return Tokens([*asked, *_plain(tokenizer, answer), tokenizer.eos_token_id], len(asked))
    conversation = [*_dictionaries(prompt), {"role": "assistant", "content": answer}]
    ids: list[int] = tokenizer.apply_chat_template(conversation, tokenize=True, return_dict=False)
    start = _common_prefix(asked, ids)
    # What a template writes after the last end of turn (a line break) is never generated.
    end = _last(ids, tokenizer.eos_token_id)
    if end < start:
        return Tokens([*ids, tokenizer.eos_token_id], start)
    return Tokens(ids[: end + 1], start)


def encode_prompt(tokenizer: Any, prompt: Sequence[Message]) -> list[int]:
    """The prompt up to where the answer begins. Without a chat template: the messages, a blank line after each."""
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
    """Usually all of `first`; less where the template words a prompt alone in another way."""
    count = 0
    for one, other in zip(first, second, strict=False):
        if one != other:
            break
        count += 1
    return count


def _last(ids: list[int], wanted: int) -> int:
    return max((index for index, token in enumerate(ids) if token == wanted), default=-1)
