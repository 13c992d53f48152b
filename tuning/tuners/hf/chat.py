"""Encode examples as token IDs with the base model's chat template, and decode answers.

Only the answer and its end-of-turn token are trained on. The tokens before the answer are the same in training as in
prediction. Thinking is turned off: an answer begins after the (empty) thinking block, if the template has one.
"""

import re
import string
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import product
from typing import Any, NamedTuple

from tuning.dataset.formats.codec import ONE_TEXT
from tuning.dataset.formats.records import Format, Message
from tuning.errors import TuningError
from tuning.tuners.hf.control_words import Hidden, control_words, encode_pieces
from tuning.tuners.hf.limited import limited

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
# A conversation with texts that no template contains or changes.
_PROBE = (Message("system", "\ue000s\ue000"), Message("user", "\ue000u\ue000"), Message("assistant", "\ue000a\ue000"))
# What a template could change: case, white space, line breaks, marks of HTML, JSON, Jinja and Markdown, long texts.
_ANY_TEXT = (
    f"Aa1, é 日本 🙂\n\n    two  spaces\t\n{string.punctuation} </b>&amp; {{{{ x }}}} {{% x %}} {{# x #}} %s \\n\n"
    "## x\n- x\n"
    "https://example.com/?a=b&c%20d" + 200 * " and so on, 'here' and \"there\"" + "\n\n\n"
)
# The template variables that turn off thinking: Qwen 3 and others use the first, DeepSeek V3.1 and Granite the second.
NO_THINKING = {"enable_thinking": False, "thinking": False}
_THOUGHTS = re.compile(r"\A\s*<think>.*?(?:</think>\s*|\Z)", re.DOTALL)
# Ends of thoughts, as servers without a parser for the model's thoughts leave them in the text.
_END_OF_THOUGHTS = re.compile(
    r"</(?:\w+:)?(?:think(?:ing)?|thoughts?|reasoning)>|\[/THINK\]|<\|channel\|>final<\|message\|>"
)


def chatml(default_system: str) -> str:
    """Return the ChatML template. A conversation without a system message gets `default_system`."""
    return CHATML.replace("%SYSTEM%", default_system)


class Tokens(NamedTuple):
    """Hold the token IDs of prompt and answer. `answer_start` is the index of the first answer token."""

    ids: list[int]
    answer_start: int


class _Template(NamedTuple):
    """Hold what a chat template does with a conversation of one question and one answer."""

    in_parts: bool  # the content of a message is a list of parts, each with a type; else it is a string
    knows_system: bool  # else the system message becomes the first paragraph of the question
    gap: str  # white space before the answer that the model generates, as after Mistral's [/INST]
    thoughts: str  # empty thinking block that precedes the answer in prediction, but not in a rendered conversation
    tail: str  # text after the answer
    end: str  # start of `tail` up to the end-of-turn token; empty if there is no such token
    end_id: int  # the end-of-turn token, else the end-of-text token


def encode(tokenizer: Any, prompt: Sequence[Message], answer: str) -> Tokens:
    """Encode prompt and answer. The last token is the end-of-turn token, so that the model learns to stop.

    Raises TuningError if the chat template fails, or if it changes a text in other ways than by stripping white space.
    """
    if tokenizer.chat_template is None:
        prompt_ids = encode_prompt(tokenizer, prompt)
        return Tokens([*prompt_ids, *_encode_plain(tokenizer, answer), tokenizer.eos_token_id], len(prompt_ids))
    template = _template(tokenizer)
    hidden, turns = _hide(tokenizer, template, [*prompt, Message("assistant", answer)])
    whole = _render(tokenizer, template, turns)
    head = _head(tokenizer, template, turns[:-1], hidden.mark)
    if not (whole.startswith(head) and whole.endswith(template.tail) and hidden.all_in(whole)):
        raise _failure(tokenizer, "it changes or drops a part of the text")
    start = head.removesuffix(template.gap) + template.thoughts
    learned = whole[len(head) - len(template.gap) : len(whole) - len(template.tail)] + template.end
    prompt_ids = encode_pieces(tokenizer, hidden.pieces(start))
    ids = encode_pieces(tokenizer, hidden.pieces(start + learned))
    if ids[: len(prompt_ids)] != prompt_ids:  # the end of the prompt and the start of the answer share a token
        ids = [*prompt_ids, *encode_pieces(tokenizer, hidden.pieces(learned), continues=True)]
    return Tokens(ids if template.end else [*ids, template.end_id], len(prompt_ids))


def encode_prompt(tokenizer: Any, prompt: Sequence[Message]) -> list[int]:
    """Encode the prompt up to where the answer begins. Without a chat template, an empty line follows each message.

    Raises TuningError if the chat template fails, or if it changes a text in other ways than by stripping white space.
    """
    if tokenizer.chat_template is None:
        start = [] if tokenizer.bos_token_id is None else [tokenizer.bos_token_id]
        return [*start, *_encode_plain(tokenizer, _plain(prompt))]
    return encode_pieces(tokenizer, _prompt_pieces(tokenizer, prompt))


def prompt_text(tokenizer: Any, prompt: Sequence[Message]) -> str:
    """Return the text that a program must encode, with its control words as tokens, to get the prompt's token IDs.

    Raises TuningError if the chat template fails, or if it changes a text in other ways than by stripping white space.
    """
    if tokenizer.chat_template is None:
        return (tokenizer.bos_token or "") + _plain(prompt)
    return "".join(_prompt_pieces(tokenizer, prompt))


def conversation(tokenizer: Any, prompt: Sequence[Message]) -> list[Message]:
    """Return the messages that a server must render to read the prompt as in the training.

    The server renders them by the tokenizer's chat template with the variables NO_THINKING. Raises TuningError if there
    is no chat template, or if it fails.
    """
    if tokenizer.chat_template is None:
        raise TuningError(
            f"{tokenizer.name_or_path} has no chat template, so a server cannot word its prompts as the training did",
            "Ask the version on this machine",
        )
    return _turns(_template(tokenizer), prompt)


def check_template(tokenizer: Any) -> None:
    """Raise TuningError if the chat template cannot render a question and its answer."""
    if tokenizer.chat_template is not None:
        _template(tokenizer)


def template_note(tokenizer: Any, dataset_format: Format) -> str:
    """Return a sentence if prompts of this format have a system message that the chat template does not know, or ""."""
    if dataset_format in ONE_TEXT or tokenizer.chat_template is None or _template(tokenizer).knows_system:
        return ""
    return f"{tokenizer.name_or_path} knows no system message, so the instruction is put before the question"


def stop_tokens(tokenizer: Any, generation_config: Any) -> list[int]:
    """Return the tokens that end an answer: those of the chat template, the tokenizer and the model's settings."""
    ends = {tokenizer.eos_token_id}
    if tokenizer.chat_template is not None:
        ends.add(_template(tokenizer).end_id)
    more = generation_config.eos_token_id
    return sorted(ends.union([more] if isinstance(more, int) else more or []))


def decode_answer(tokenizer: Any, ids: Sequence[int]) -> str:
    """Return the generated text without special tokens, thoughts and surrounding white space.

    The text is empty if the thoughts did not end.
    """
    special = {index for index, token in tokenizer.added_tokens_decoder.items() if token.special}
    special -= {control_words(tokenizer).ids.get(tag) for tag in ("<think>", "</think>")}
    text: str = tokenizer.decode([index for index in ids if index not in special], skip_special_tokens=False)
    return _THOUGHTS.sub("", text).strip()


def last_words(text: str) -> str:
    """Return what follows the last thoughts, also if the mark at their start is missing, or "" if they do not end.

    This is for verdicts. Other texts can mention these marks.
    """
    return _THOUGHTS.sub("", _END_OF_THOUGHTS.split(text)[-1]).strip()


def skip_thoughts(pieces: Iterable[str]) -> Iterator[str]:
    """Yield the pieces of a generated text as they come, without empty pieces and thoughts at the start."""
    start, is_answer = "", False
    for piece in pieces:
        if is_answer:
            yield from filter(None, [piece])
            continue
        start += piece
        text = _THOUGHTS.sub("", start)
        is_answer = not "<think>".startswith(text.strip())
        if is_answer:
            yield text
    if not is_answer and (text := _THOUGHTS.sub("", start)):
        yield text


def _template(tokenizer: Any) -> _Template:
    return _probe(tokenizer, str(tokenizer.chat_template), len(tokenizer))


@lru_cache(maxsize=8)
def _probe(tokenizer: Any, *_: object) -> _Template:
    """Render a short conversation in different forms until the template accepts one, and return what it does.

    Raises TuningError if the template accepts none of the forms, or if it changes or drops a part of a text.
    """
    failure = _failure(tokenizer, "it does not render the text of a message")
    for in_parts, system in product((False, True), (True, False)):
        template = _Template(in_parts, system, "", "", "", "", tokenizer.eos_token_id)
        turns = _turns(template, _PROBE)
        try:
            whole = _render(tokenizer, template, turns)
            prompt = _render(tokenizer, template, turns[:-1])
        except TuningError as error:
            failure = failure if in_parts else error
            continue
        if all(whole.count(message.content) == 1 for message in _PROBE):
            _check_text(tokenizer, template)
            return _measured(tokenizer, template, prompt, *whole.split(_PROBE[-1].content))
    raise failure


def _check_text(tokenizer: Any, template: _Template) -> None:
    """Raise TuningError if the chat template changes a text, apart from white space at its start and end."""
    messages = [Message(one.role, f"{one.content}{_ANY_TEXT}{one.content}") for one in _PROBE]
    whole = _render(tokenizer, template, _turns(template, messages))
    if not all(message.content in whole for message in messages):
        raise _failure(tokenizer, "it changes or drops a part of the text")


def _measured(tokenizer: Any, template: _Template, prompt: str, head: str, tail: str) -> _Template:
    """Fill in the fields of `template` from the rendered `prompt` and the texts before and after the answer.

    `head` and `tail` are these two texts, in a rendered conversation.
    """
    gap = thoughts = ""
    if head.startswith(prompt) and not head[len(prompt) :].strip():
        gap = head[len(prompt) :]
    elif prompt.startswith(head) and "think>" in (rest := prompt[len(head) :]):
        thoughts = rest if "</think>" in rest else f"{rest.rstrip()}\n\n</think>\n\n"
    words = control_words(tokenizer)
    ends = (match for match in words.pattern.finditer(tail) if match.group() in words.ids)
    if end := next(ends, None):
        template = template._replace(end=tail[: end.end()], end_id=words.ids[end.group()])
    return template._replace(gap=gap, thoughts=thoughts, tail=tail)


def _turns(template: _Template, messages: Sequence[Message]) -> list[Message]:
    """Return the messages, with the system message merged into the question if the template does not know the role."""
    if template.knows_system or len(messages) < 2 or messages[0].role != "system":
        return list(messages)
    texts = [message.content for message in messages[:2] if message.content.strip()]
    return [Message("user", "\n\n".join(texts)), *messages[2:]]


def _hide(tokenizer: Any, template: _Template, messages: Sequence[Message]) -> tuple[Hidden, list[Message]]:
    """Return the turns of the conversation with hidden control words."""
    turns = _turns(template, messages)
    hidden = Hidden(control_words(tokenizer), [turn.content for turn in turns])
    return hidden, [Message(turn.role, text) for turn, text in zip(turns, hidden.texts, strict=True)]


def _head(tokenizer: Any, template: _Template, turns: Sequence[Message], mark: str) -> str:
    """Return what a rendered conversation contains before the answer. `mark` is a character that no text contains."""
    answer = f"{mark}answer{mark}"
    head, found, _ = _render(tokenizer, template, [*turns, Message("assistant", answer)]).partition(answer)
    if not found:
        raise _failure(tokenizer, "it does not render the answer")
    return head


def _render(tokenizer: Any, template: _Template, turns: Sequence[Message]) -> str:
    """Render the turns and, if the last one is not an answer, what introduces the answer."""
    conversation = [
        {"role": turn.role, "content": [{"type": "text", "text": turn.content}] if template.in_parts else turn.content}
        for turn in turns
    ]
    try:
        with limited():
            text: str = tokenizer.apply_chat_template(
                conversation, add_generation_prompt=turns[-1].role != "assistant", tokenize=False, **NO_THINKING
            )
    except Exception as error:  # a template is a program, which can fail in any way
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise _failure(tokenizer, f"it fails ({reason})") from None
    return text


def _prompt_pieces(tokenizer: Any, prompt: Sequence[Message]) -> list[str]:
    """Return what a rendered prompt contains up to where the answer begins: text, hidden word, text, and so on."""
    template = _template(tokenizer)
    hidden, turns = _hide(tokenizer, template, prompt)
    head = _head(tokenizer, template, turns, hidden.mark)
    if not hidden.all_in(head):
        raise _failure(tokenizer, "it changes or drops a part of the text")
    return hidden.pieces(head.removesuffix(template.gap) + template.thoughts)


def _plain(prompt: Sequence[Message]) -> str:
    return "".join(f"{message.content}\n\n" for message in prompt)


def _encode_plain(tokenizer: Any, text: str) -> list[int]:
    hidden = Hidden(control_words(tokenizer), [text])
    return encode_pieces(tokenizer, hidden.pieces(*hidden.texts))


def _failure(tokenizer: Any, problem: str) -> TuningError:
    return TuningError(
        f"the chat template of the base model {tokenizer.name_or_path} cannot be used: {problem}",
        "Correct chat_template.jinja in its folder, or use another --base-model",
    )
