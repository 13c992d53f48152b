"""Find answers that repeat themselves."""

import re
from collections import Counter

_END_REPEATS = 3  # times that the end of an answer is repeated in a row
_LINE_REPEATS = 4  # times that a line or sentence occurs
_SHORT = 12  # characters; a shorter line, such as `else:` or `return x`, may occur often
_GRAM, _GRAM_SHARE, _FEWEST_GRAMS = 8, 1 / 3, 24  # words; share of n-grams that occurred before; n-grams
_DIGITS = re.compile(r"\d+")
_SENTENCE = re.compile(r"(?<=[.!?:])\s+|\n")


def loops(answer: str) -> bool:
    """Return whether an answer repeats itself.

    It does if its end repeats three times in a row (numbers count as alike), if one line or sentence occurs four
    times, or if a third of its sequences of eight words occurred before.
    """
    return _end_repeats(answer) or _lines_repeat(answer) or _words_repeat(answer)


def _end_repeats(answer: str) -> bool:
    text = answer.rstrip()
    tail = text[-600:]
    for period in range(1, len(tail) // _END_REPEATS + 1):
        unit = tail[-period:]
        if tail.endswith(unit * _END_REPEATS) and len(unit) * _END_REPEATS >= 30 and re.search(r"\w", unit):
            return True
    words = _DIGITS.sub("0", text[-3000:]).split()
    return any(
        words[-period:] * _END_REPEATS == words[-period * _END_REPEATS :]
        and len(" ".join(words[-period:])) * _END_REPEATS >= 40
        for period in range(1, len(words) // _END_REPEATS + 1)
    )


def _lines_repeat(answer: str) -> bool:
    lines = Counter(_DIGITS.sub("0", line.strip()) for line in _SENTENCE.split(answer))
    return any(count >= _LINE_REPEATS and len(line) > _SHORT for line, count in lines.items())


def _words_repeat(answer: str) -> bool:
    words = answer.split()
    grams = [tuple(words[start : start + _GRAM]) for start in range(len(words) - _GRAM + 1)]
    return len(grams) >= _FEWEST_GRAMS and len(grams) - len(set(grams)) >= _GRAM_SHARE * len(grams)
