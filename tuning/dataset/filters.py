"""Which pairs make no training example, and why. Nothing is ever cut to fit: a cut could fall inside a code block."""

import re
from enum import StrEnum
from itertools import islice

import msgspec

from tuning.dataset.tokens import TokenEstimator

# Below this many letters and digits there is nothing to learn, unless some of them are code: "Yes, it does." has nine.
LEAST_CHARACTERS = 10
# Outside its links, an answer that is only a link has at most this many words: "Have a look at … and …".
MOST_WORDS_AROUND_A_LINK = 5


class Reason(StrEnum):
    """Why a pair is left out. The names stand in manifests: they are never renamed."""

    CONTROL_CHARACTERS = "control characters"
    UNFAITHFUL = "unfaithful conversion"
    EMPTY_QUESTION = "empty question"
    EMPTY_ANSWER = "empty answer"
    LINK_ONLY = "answer only a link"
    TOO_LONG = "over the token limit"
    NEVER_TRAINS = "answer beyond the training length"


class TokenLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What the target takes. `training` is where a trainer cuts an example off from the right; 0: nowhere."""

    example: int  # tokens of one example, prompt and answer
    training: int = 0
    overhead: int = 0  # tokens that the chat template adds to an example


def check_pair(question: str, answer: str) -> Reason | None:
    """Why this question's body and this answer (Markdown or HTML) make no example, or None."""
    if has_control_characters(question) or has_control_characters(answer):
        return Reason.CONTROL_CHARACTERS
    if not _has_substance(question):
        return Reason.EMPTY_QUESTION
    return _check_content(answer)


def check_answer(answer: str) -> Reason | None:
    """The same for an answer alone, such as the rejected one of a preference."""
    if has_control_characters(answer):
        return Reason.CONTROL_CHARACTERS
    return _check_content(answer)


def _check_content(answer: str) -> Reason | None:
    if _is_only_link(answer):
        return Reason.LINK_ONLY
    return None if _has_substance(answer) else Reason.EMPTY_ANSWER


def check_length(prompt: str, answer: str, limits: TokenLimits, tokens: TokenEstimator) -> Reason | None:
    """Why this prompt (all of its text) and answer do not fit the target, or None. Exact near each limit."""
    if tokens.total((prompt, answer), limits.example, limits.overhead) > limits.example:
        return Reason.TOO_LONG
    if limits.training and tokens.total((prompt,), limits.training, limits.overhead) >= limits.training:
        return Reason.NEVER_TRAINS
    return None


# White space is text; what else is below a blank, and what is no character at all, breaks terminals and tokenizers.
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
_CONTROL_BYTES = bytes([*range(0x09), 0x0B, 0x0C, *range(0x0E, 0x20), 0x7F])


def has_control_characters(text: str) -> bool:
    if text.isascii():  # five times as fast
        raw = text.encode()
        return len(raw.translate(None, _CONTROL_BYTES)) != len(raw)
    return _CONTROL.search(text) is not None


_LINK = re.compile(r"!?\[(?:[^\[\]]|!\[[^\]]*\]\([^)]*\))*\]\([^)]*\)|<?https?://[^\s<>\"]+>?|<a\s[^>]*>[^<]*</a>")
_TAG = re.compile(r"<[^>]+>")
_LETTER_OR_DIGIT = re.compile(r"[^\W_]")
_WORD = re.compile(r"[^\W\d_]+")


def _has_substance(text: str) -> bool:
    """Whether enough letters and digits stand outside the tags."""
    least = 1 if "`" in text or "<code" in text else LEAST_CHARACTERS
    found = _LETTER_OR_DIGIT.finditer(_TAG.sub(" ", text) if "<" in text else text)
    return len(list(islice(found, least))) == least


def _is_only_link(answer: str) -> bool:
    """Whether little but links is said. Code is an answer, in a link's text too."""
    if len(answer) > 2_000 or "`" in answer or "<code" in answer or "://" not in answer:
        return False
    outside = _TAG.sub(" ", _LINK.sub(" ", answer))
    return outside != answer and len(_WORD.findall(outside)) <= MOST_WORDS_AROUND_A_LINK
