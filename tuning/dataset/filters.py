"""Filter out pairs of question and answer that cannot become training examples, and say why.

No text is shortened to fit a limit, because the cut could fall inside a code block.
"""

import re
from enum import StrEnum
from itertools import islice
from pathlib import Path

import msgspec

from tuning.answers.code import parses, python_blocks
from tuning.dataset.tokens import have_tokens

# A question or answer with fewer letters and digits is dropped unless it contains code. "Yes, it does." has nine.
LEAST_CHARACTERS = 10
# An answer is only a link if it has at most this many words outside its links, as in "Have a look at … and …".
MOST_WORDS_AROUND_A_LINK = 5


class Reason(StrEnum):
    """Represent the reason why a pair is dropped. Do not change the values: manifests contain them."""

    CONTROL_CHARACTERS = "control characters"
    UNFAITHFUL = "unfaithful conversion"
    EMPTY_QUESTION = "empty question"
    EMPTY_ANSWER = "empty answer"
    LINK_ONLY = "answer only a link"
    TOO_LONG = "over the token limit"
    NEVER_TRAINS = "answer beyond the training length"
    CODE = "no code, or code that does not parse"
    NEAR_EQUAL = "better and worse answer nearly the same"


class TokenLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Hold the token limits of a target."""

    example: int  # maximum tokens of one example: prompt, answer, and overhead
    training: int = 0  # the trainer truncates an example after this many tokens; 0: no truncation
    overhead: int = 0  # tokens that the chat template adds to an example


def check_pair(question: str, answer: str, least: int = LEAST_CHARACTERS) -> Reason | None:
    """Return why the pair is dropped because of its content, or None. Both texts are Markdown or HTML.

    `question` is the body of the question without its title. A text with fewer letters and digits than `least`, and
    without code, is empty.
    """
    if has_control_characters(question) or has_control_characters(answer):
        return Reason.CONTROL_CHARACTERS
    if not _has_substance(question, least):
        return Reason.EMPTY_QUESTION
    return _check_content(answer, least)


def check_code(answer: str) -> Reason | None:
    """Return why the code in an answer does not suit `--code parses`, or None.

    The answer needs a Python block, and each of its Python blocks must parse. A block without a language counts as
    Python.
    """
    blocks = python_blocks(answer)
    return None if blocks and all(parses(block.text) for block in blocks) else Reason.CODE


def check_answer(answer: str) -> Reason | None:
    """Return why an answer alone, such as the rejected answer of a preference, is dropped, or None."""
    if has_control_characters(answer):
        return Reason.CONTROL_CHARACTERS
    return _check_content(answer)


def _check_content(answer: str, least: int = LEAST_CHARACTERS) -> Reason | None:
    if _is_only_link(answer):
        return Reason.LINK_ONLY
    return None if _has_substance(answer, least) else Reason.EMPTY_ANSWER


def check_length(prompt: str, answer: str, limits: TokenLimits, tokenizer: Path | None) -> Reason | None:
    """Return why the example does not fit the token limits, or None. `prompt` is the whole text of the prompt.

    `tokenizer` is the folder of a tokenizer, or None to guess from bytes. Raises TuningError if it cannot be loaded.
    """
    if have_tokens((prompt, answer), limits.example - limits.overhead + 1, tokenizer):
        return Reason.TOO_LONG
    if limits.training and have_tokens((prompt,), limits.training - limits.overhead, tokenizer):
        return Reason.NEVER_TRAINS
    return None


# Control characters, surrogates, and noncharacters break terminals and tokenizers. Tabs and line breaks are allowed.
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
_CONTROL_BYTES = bytes([*range(0x09), 0x0B, 0x0C, *range(0x0E, 0x20), 0x7F])


def has_control_characters(text: str) -> bool:
    """Return whether the text contains a control character (not a tab or line break), surrogate, or noncharacter."""
    if text.isascii():  # `translate` takes a fifth of the time of the pattern
        raw = text.encode()
        return len(raw.translate(None, _CONTROL_BYTES)) != len(raw)
    return _CONTROL.search(text) is not None


_LINK = re.compile(r"!?\[(?:[^\[\]]|!\[[^\]]*\]\([^)]*\))*\]\([^)]*\)|<?https?://[^\s<>\"]+>?|<a\s[^>]*>[^<]*</a>")
_TAG = re.compile(r"<[^>]+>")
_LETTER_OR_DIGIT = re.compile(r"[^\W_]")
_WORD = re.compile(r"[^\W\d_]+")


def _has_substance(text: str, least: int) -> bool:
    """Return whether the text has `least` letters and digits outside HTML tags. A text with code needs only one."""
    least = 1 if "`" in text or "<code" in text else least
    head, end, tail = text.rpartition(">")  # no tag begins after it, and each `<` there would be searched for its end
    found = _LETTER_OR_DIGIT.finditer(_TAG.sub(" ", head + end) + tail if "<" in head else text)
    return len(list(islice(found, least))) == least


def _is_only_link(answer: str) -> bool:
    """Return whether the answer is little more than links. Code, even in a link's text, makes the result False."""
    if len(answer) > 2_000 or "`" in answer or "<code" in answer or "://" not in answer:
        return False
    outside = _TAG.sub(" ", _LINK.sub(" ", answer))
    return outside != answer and len(_WORD.findall(outside)) <= MOST_WORDS_AROUND_A_LINK
