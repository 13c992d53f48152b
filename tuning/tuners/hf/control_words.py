"""Encode texts so that control words in them, such as ``<|im_end|>``, are encoded as ordinary text.

A tokenizer replaces each control word by its token, also in a post that only mentions it. Therefore the control words
of a post are replaced by placeholders before the chat template is rendered. All control words that the rendered text
still contains come from the template. The placeholders also keep a template from cutting an answer at ``</think>``.
"""

import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from tuning.errors import TuningError

_THINKING = ("<think>", "</think>")  # templates search for these, whether or not the tokenizer has tokens for them
_BRACKETED = re.compile(r"[<\[{|].*[>\]}|]", re.DOTALL)
_TAG = re.compile(r"</?[a-z][a-z0-9]*/?>")
_PRIVATE_USE = range(0xE000, 0xF900)  # characters to which Unicode gives no meaning


class ControlWords(NamedTuple):
    """Hold the control words of a tokenizer. `forbidden` are the tokens that no ordinary text contains."""

    pattern: re.Pattern[str]
    ids: dict[str, int]
    forbidden: frozenset[int]


class Hidden:
    """Hide the control words of texts. A placeholder is a number between two private-use characters, the `mark`."""

    def __init__(self, words: ControlWords, texts: Sequence[str]) -> None:
        """Hide the words in `texts`. The mark is a character that does not occur in them."""
        self._words: list[str] = []
        self.mark = next(mark for mark in map(chr, _PRIVATE_USE) if not any(mark in text for text in texts))
        self._placeholder = re.compile(f"{self.mark}([0-9]+){self.mark}")
        self.texts = [words.pattern.sub(self._hide, text) for text in texts]

    def _hide(self, match: re.Match[str]) -> str:
        self._words.append(match.group())
        return f"{self.mark}{len(self._words) - 1}{self.mark}"

    def all_in(self, text: str) -> bool:
        """Return whether each placeholder occurs once in `text`."""
        return sorted(map(int, self._placeholder.findall(text))) == list(range(len(self._words)))

    def pieces(self, text: str) -> list[str]:
        """Return `text` split into text, hidden word, text, and so on."""
        pieces = self._placeholder.split(text)
        return [self._words[int(piece)] if index % 2 else piece for index, piece in enumerate(pieces)]


def control_words(tokenizer: Any) -> ControlWords:
    """Return the control words: the special tokens, and added tokens in brackets such as ``[INST]`` and ``<think>``.

    A tag such as ``<table>`` counts only if the chat template contains it, because Gemma has tokens for HTML tags.
    """
    return _control_words(tokenizer, str(tokenizer.chat_template), len(tokenizer))


@lru_cache(maxsize=8)
def _control_words(tokenizer: Any, template: str, _: int) -> ControlWords:
    def controls(token: Any) -> bool:
        if token.special or token.content in _THINKING:
            return True
        if _TAG.fullmatch(token.content):
            return token.content in template
        return bool(_BRACKETED.fullmatch(token.content))

    ids = {token.content: index for index, token in tokenizer.added_tokens_decoder.items() if controls(token)}
    longest_first = sorted({*ids, *_THINKING}, key=len, reverse=True)
    pattern = re.compile("|".join(map(re.escape, longest_first)))
    # If the tokenizer has a token for unknown characters, then ordinary texts can contain it, so do not forbid it.
    unknown = _encode(tokenizer, chr(_PRIVATE_USE[-1]))
    return ControlWords(pattern, ids, frozenset(ids.values()).difference(unknown))


def encode_pieces(tokenizer: Any, pieces: Sequence[str], *, continues: bool = False) -> list[int]:
    """Encode the pieces that `Hidden.pieces` returns. With `continues`, other text precedes the first piece.

    Raises TuningError if the tokenizer cannot encode a control word as text, or reads another text as one, as a
    tokenizer without upper case reads ``<|IM_END|>``.
    """
    words = control_words(tokenizer)
    ids = _encode_after(tokenizer, pieces[0]) if continues else _encode(tokenizer, pieces[0])
    for index, piece in enumerate(pieces[1:], 1):
        ids += _as_text(tokenizer, words, piece) if index % 2 else _encode_after(tokenizer, piece)
    own = Counter(words.ids.get(word, -1) for piece in pieces[::2] for word in words.pattern.findall(piece))
    if extra := Counter(index for index in ids if index in words.forbidden) - own:
        found = ", ".join(tokenizer.convert_ids_to_tokens(sorted(extra)))
        raise TuningError(
            f"the tokenizer of the base model {tokenizer.name_or_path} reads ordinary text as control words: {found}",
            "Use another --base-model",
        )
    return ids


def _as_text(tokenizer: Any, words: ControlWords, word: str) -> list[int]:
    ids = _encode_after(tokenizer, word, split_special_tokens=True)
    if words.forbidden.isdisjoint(ids):
        return ids
    # The word still gives a control token: it is an added token that is not special, or the vocabulary makes the token
    # from plain text. So the first character and the rest are encoded separately.
    if len(word) == 1:
        raise TuningError(
            f"the tokenizer of the base model {tokenizer.name_or_path} cannot encode {word!r} as text",
            "Use another --base-model",
        )
    return [*_as_text(tokenizer, words, word[0]), *_as_text(tokenizer, words, word[1:])]


def _encode_after(tokenizer: Any, text: str, **options: Any) -> list[int]:
    """Encode text as it is encoded after other text, because some tokenizers add a space at the start of a text."""
    for before in ("\n", "a"):  # one of them does not merge with the text
        start, ids = (_encode(tokenizer, part, **options) for part in (before, before + text))
        if ids[: len(start)] == start:
            return ids[len(start) :]
    return _encode(tokenizer, text, **options)


def _encode(tokenizer: Any, text: str, **options: Any) -> list[int]:
    ids: list[int] = tokenizer(text, add_special_tokens=False, **options)["input_ids"]
    return ids
