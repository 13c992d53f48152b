"""Find answers that repeat themselves.

``python -m tests.answers.measure_loops`` prints recall and precision on 400 answers that two readers labelled.
"""

import re
from collections import Counter
from collections.abc import Sequence

_IN_A_ROW = 3  # minimum number of consecutive occurrences of a passage
_LEAST = 40  # minimum characters of these occurrences together; readers do not notice a shorter repetition
_LONGEST_PERIOD = 12  # maximum lines of a repeated passage
# Minimum number of occurrences of a line; a line of at most this many characters may occur any number of times.
_LINE_REPEATS, _SHORT = 4, 20
# Words in an n-gram; minimum share of the n-grams that occurred before; minimum number of n-grams in an answer.
_GRAM, _GRAM_SHARE, _FEWEST_GRAMS = 8, 1 / 3, 24
_OPENING = frozenset("([{")
_DIGITS = re.compile(r"\d+")
# A code block that ends, and its lines of numbers: the rows of an array are often equal.
_BLOCK = re.compile(r"^(`{3,})[^`\n]*\n.*?^\1`*[ ]*$", re.MULTILINE | re.DOTALL)
_ROW = re.compile(r"^[^A-Za-z\n]*\d[^A-Za-z\n]*\n", re.MULTILINE)
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n")


def loops(answer: str) -> bool:
    """Return whether an answer repeats itself.

    It does if it ends in a passage that occurs three times in a row (in words, all numbers count as equal), if the same
    lines or sentences occur three times in a row, if a line or sentence that is not short occurs four times, or if a
    third of its sequences of eight words occurred before. Rows of numbers in a code block that ends do not count.
    """
    answer = _BLOCK.sub(lambda block: _ROW.sub("", block[0]), answer)
    lines = [line.strip() for line in _SENTENCE.split(answer) if line.strip()]
    return _end_repeats(answer) or _repeats_in_a_row(lines) or _lines_repeat(lines) or _words_repeat(answer)


def _end_repeats(answer: str) -> bool:
    """Return whether the answer ends in a repetition of characters or of words. The last word may be cut off."""
    tail = answer.rstrip()[-3000:]
    words = _DIGITS.sub("0", tail).split()
    letters = list(tail[-600:])
    return any(_is_periodic(parts) for parts in (words, words[:-1])) or _is_periodic(letters)


def _is_periodic(parts: Sequence[str]) -> bool:
    for period in range(1, len(parts) // _IN_A_ROW + 1):
        unit = parts[-period:]
        if parts[-2 * period : -period] != unit:
            continue
        repeats = 2
        while parts[-(repeats + 1) * period : -repeats * period] == unit:
            repeats += 1
        text = "".join(unit)
        is_line = not any(map(str.isalnum, text)) and not set(text) <= _OPENING  # a rule such as `-----`
        if repeats >= _IN_A_ROW and repeats * len(text) >= _LEAST and not is_line:
            return True
    return False


def _repeats_in_a_row(lines: Sequence[str]) -> bool:
    for period in range(1, _LONGEST_PERIOD + 1):
        same = 0  # lines in a row that equal the line one period before
        for end in range(period, len(lines)):
            same = same + 1 if lines[end] == lines[end - period] else 0
            if same >= (_IN_A_ROW - 1) * period:
                passage = lines[end - period + 1 : end + 1]
                if _IN_A_ROW * sum(map(len, passage)) >= _LEAST:
                    return True
    return False


def _lines_repeat(lines: Sequence[str]) -> bool:
    return any(count >= _LINE_REPEATS and len(line) > _SHORT for line, count in Counter(lines).items())


def _words_repeat(answer: str) -> bool:
    words = answer.split()
    grams = [tuple(words[start : start + _GRAM]) for start in range(len(words) - _GRAM + 1)]
    return len(grams) >= _FEWEST_GRAMS and len(grams) - len(set(grams)) >= _GRAM_SHARE * len(grams)
