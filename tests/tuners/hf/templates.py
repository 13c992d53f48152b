"""Chat templates in the manner of well-known models, and small tokenizers that have their control tokens."""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple

from tuning.tuners.hf.chat import chatml

_PROSE = (
    "How do I read a file line by line? Use a loop:\n\n    with open(name) as file:\n        print(file.read())\n" * 9
)


class Style(NamedTuple):
    """A template with its tokens. `opening` is what the prompt ends with, `end` what the model writes at the end."""

    template: str
    special: tuple[str, ...]  # the first one is the tokenizer's end-of-text token
    opening: str
    end: str
    other: tuple[str, ...] = ()  # added tokens that are not special
    knows_system: bool = True
    strip: Callable[[str], str] = str  # what the template does to a text
    gap: str = ""  # white space that the template writes before an answer


_EACH = "{% for message in messages %}"
_QWEN = (
    _EACH + "{{ '<|im_start|>' + message.role + '\n' }}"
    "{% if message.role == 'assistant' %}{% set text = message.content.split('</think>')[-1].lstrip('\n') %}"
    "{% if loop.last %}{{ '<think>\n\n</think>\n\n' }}{% endif %}{{ text }}"
    "{% else %}{{ message.content }}{% endif %}{{ '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}"
    "{% if enable_thinking is defined and not enable_thinking %}{{ '<think>\n\n</think>\n\n' }}{% endif %}{% endif %}"
)


def _deepseek(text: str) -> str:
    """DeepSeek's tokens contain a wide bar."""
    return text.replace("|", "\uff5c")


STYLES = {
    "chatml": Style(
        chatml("Be brief"), ("<|endoftext|>", "<|im_start|>", "<|im_end|>"), "<|im_start|>assistant\n", "<|im_end|>"
    ),
    "gemma 2": Style(
        "{{ bos_token }}{% if messages[0].role == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
        + _EACH
        + "{% if (message.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('not in turn') }}{% endif %}"
        "{% set role = 'model' if message.role == 'assistant' else message.role %}"
        "{{ '<start_of_turn>' + role + '\n' + message.content | trim + '<end_of_turn>\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}",
        ("<eos>", "<bos>", "<start_of_turn>", "<end_of_turn>"),
        "<start_of_turn>model\n",
        "<end_of_turn>",
        other=("<table>", "    "),
        knows_system=False,
        strip=str.strip,
    ),
    "llama 3": Style(
        "{{ bos_token }}" + _EACH + "{{ '<|start_header_id|>' + message.role + '<|end_header_id|>\n\n' }}"
        "{{ message.content | trim + '<|eot_id|>' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}",
        ("<|end_of_text|>", "<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
        "<|start_header_id|>assistant<|end_header_id|>\n\n",
        "<|eot_id|>",
        strip=str.strip,
    ),
    "qwen 3": Style(
        _QWEN,
        ("<|endoftext|>", "<|im_start|>", "<|im_end|>"),
        "<|im_start|>assistant\n<think>\n\n</think>\n\n",
        "<|im_end|>",
        other=("<think>", "</think>"),
        strip=lambda text: text.lstrip("\n"),
    ),
    "mistral": Style(
        "{{ bos_token }}{% if messages[0].role == 'system' %}{% set system = messages[0].content + '\n\n' %}"
        "{% set messages = messages[1:] %}{% endif %}" + _EACH + "{% if message.role == 'user' %}"
        "{{ '[INST] ' + (system if loop.first and system is defined else '') + message.content + ' [/INST]' }}"
        "{% else %}{{ ' ' + message.content + eos_token }}{% endif %}{% endfor %}",
        ("</s>", "<s>"),
        " [/INST]",
        "</s>",
        other=("[INST]", "[/INST]"),
        gap=" ",
    ),
    "mistral without system": Style(
        "{{ bos_token }}" + _EACH + "{% if message.role == 'user' %}{{ '[INST] ' + message.content + ' [/INST]' }}"
        "{% elif message.role == 'assistant' %}{{ message.content + eos_token }}{% endif %}{% endfor %}",
        ("</s>", "<s>"),
        " [/INST]",
        "</s>",
        other=("[INST]", "[/INST]"),
        knows_system=False,
    ),
    "deepseek r1": Style(
        _deepseek(
            "{{ bos_token }}" + _EACH + "{% if message.role == 'system' %}{{ message.content }}"
            "{% elif message.role == 'user' %}{{ '<|User|>' + message.content }}"
            "{% else %}{{ '<|Assistant|>' + message.content.split('</think>')[-1] + eos_token }}{% endif %}"
            "{% endfor %}{% if add_generation_prompt %}{{ '<|Assistant|><think>\n' }}{% endif %}"
        ),
        (_deepseek("<|end of sentence|>"), _deepseek("<|begin of sentence|>")),
        _deepseek("<|Assistant|><think>\n\n</think>\n\n"),
        _deepseek("<|end of sentence|>"),
        other=(_deepseek("<|User|>"), _deepseek("<|Assistant|>"), "<think>", "</think>"),
    ),
    "parts": Style(
        _EACH + "{{ message.role | capitalize + ': ' }}{% for part in message.content %}"
        "{% if part.type == 'text' %}{{ part.text }}{% endif %}{% endfor %}{{ '<end_of_utterance>\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}",
        ("<|endoftext|>", "<end_of_utterance>"),
        "Assistant:",
        "<end_of_utterance>",
        gap=" ",
    ),
    "no end of turn": Style(
        _EACH + "{{ '### ' + message.role + '\n' + message.content + '\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '### assistant\n' }}{% endif %}",
        ("<|endoftext|>",),
        "### assistant\n",
        "<|endoftext|>",
    ),
}


@cache
def tokenizer_of(name: str) -> Any:
    """A tokenizer with the template and the control tokens of this style."""
    return make_tokenizer(name, STYLES[name].template, STYLES[name].special, STYLES[name].other)


def make_tokenizer(name: str, template: str, special: Sequence[str], other: Sequence[str]) -> Any:
    """A byte-level tokenizer. Its end-of-text token is the first special one, the next one begins texts."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(
        [_PROSE], trainers.BpeTrainer(vocab_size=400, initial_alphabet=alphabet, show_progress=False)
    )
    tokenizer.add_special_tokens(list(special))
    tokenizer.add_tokens([AddedToken(word, special=False, normalized=False) for word in other])
    first, *rest = special
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=first,
        pad_token=first,
        bos_token=rest[0] if rest else None,
        chat_template=template,
        name_or_path=name,
    )
