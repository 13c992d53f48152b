"""Split texts into shingles, and define near duplicates by them.

A shingle is a few words in a row, as a tuple of words or, for speed, as a 64-bit hash. It has five words if it begins
with a word in a script with spaces, two if it begins with a Chinese or Japanese character, and three if it begins with
a Thai letter or the like. At the end of a text, where this many are not left, it has all that are left, unless the
shingle before it has them all. So a text of one to four words has one shingle, and a text without words has none.

Two texts are near duplicates if the Jaccard similarity of their sets of shingles is at least 0.8.
"""

import functools
import hashlib
from collections.abc import Callable, Iterable, Sequence, Set
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tuning.dataset.similar.words import (
    FENCE,
    LETTER,
    OPERATOR,
    SYLLABLE,
    WORD,
    code_spans,
    comparable,
    kinds_of,
    may_have_tags,
    words,
)

THRESHOLD = 0.8
SHORT = 100  # bytes without white space, about 20 English words or 33 Chinese characters
_DIGITS = "0123456789"
_THAI = "\u0e00"  # characters of scripts without spaces are not below
_WHITE_SPACE = b" \t\n\r\x0b\x0c"
_BASE = 0x9E3779B97F4A7C15  # odd, so that it has an inverse modulo 2^64
_REMEMBERED = 500  # number of texts whose shingles `comparer` caches
_BEGIN = np.uint64(1 << 32)  # added to the value of the first character of a word
_TEXTS = 128  # number of texts hashed together, so that their arrays fit into the processor's cache

Hashes = npt.NDArray[np.uint64]
Places = npt.NDArray[np.int64]
Shingle = tuple[str, ...]


class Sizes(NamedTuple):
    """Hold how many words a shingle has, by the kind of its first word."""

    word: int = 5
    syllable: int = 2
    letter: int = 3
    see_code: bool = True  # operators in code are parts of words
    is_clipped: bool = True  # the end of a text is a shingle although it has fewer words
    least_named: int = 0  # least number of its words that are neither numbers nor single Latin letters

    def by_kind(self) -> list[int]:
        """Return the number of words by kind."""
        sizes = {WORD: self.word, OPERATOR: self.word, SYLLABLE: self.syllable, LETTER: self.letter}
        return [sizes.get(kind, 0) for kind in range(LETTER + 1)]


NEAR = Sizes()


def shingles(text: str, sizes: Sizes = NEAR) -> set[Shingle]:
    """Return the set of shingles of the text."""
    return set(shingles_in_order(text, sizes))


def shingles_in_order(text: str, sizes: Sizes = NEAR) -> list[Shingle]:
    """Return the shingles of the text, including repeated ones."""
    in_order = words(text, sizes.see_code)
    by_kind, count = sizes.by_kind(), len(in_order)
    plain = [word for word, _ in in_order]
    found, last_end = [], 0
    for at, (_, kind) in enumerate(in_order):
        end = at + by_kind[kind]
        if (end <= count or (sizes.is_clipped and last_end < count)) and is_named(plain[at:end], sizes.least_named):
            found.append(tuple(plain[at:end]))
        last_end = end
    return found


def is_named(some: Sequence[str], least: int) -> bool:
    """Return whether at least this many of the words are neither numbers nor single letters, as most names are."""
    return not least or sum(word[0] not in _DIGITS and (len(word) > 1 or word >= _THAI) for word in some) >= least


def similarity(one: Set[object], other: Set[object]) -> float:
    """Return the Jaccard similarity of two sets of shingles, or of their hashes, or 0 if one is empty."""
    shared = len(one & other)
    return shared / (len(one) + len(other) - shared) if shared else 0.0


def comparer(text_of: Callable[[int], str]) -> Callable[[int, int], bool]:
    """Return a function that compares two texts, given by number, and returns whether they are near duplicates.

    The function caches the sets of 500 texts. It is fastest if all pairs of one text follow each other.
    """
    set_of = functools.lru_cache(_REMEMBERED)(lambda number: shingles(text_of(number)))
    return lambda one, other: similarity(set_of(one), set_of(other)) >= THRESHOLD


def hash_shingles(texts: Sequence[str], sizes: Sizes = NEAR) -> tuple[Hashes, npt.NDArray[np.int64]]:
    """Return a 64-bit hash of every shingle of every text, including repeated ones, and the offsets of the texts.

    The hashes of text i are ``hashes[offsets[i]:offsets[i + 1]]``. Equal shingles have equal hashes on any machine.
    """
    if not texts:
        return np.zeros(0, dtype=np.uint64), np.zeros(1, dtype=np.int64)
    parts = [_hash_some(texts[at : at + _TEXTS], sizes) for at in range(0, len(texts), _TEXTS)]
    counts = np.concatenate([[0], *(counts for _, counts in parts)])
    return np.concatenate([hashes for hashes, _ in parts]), np.cumsum(counts, dtype=np.int64)


def _hash_some(texts: Sequence[str], sizes: Sizes) -> tuple[Hashes, npt.NDArray[np.int64]]:
    """Return the hashes of a few texts, and the number of hashes of each text.

    This is a polynomial hash. The words of all texts form one array of characters, in which the first character of each
    word is marked. With prefix sums of the characters weighted by powers of a base, the hash of a shingle is the
    difference of two sums, divided by the power at its start. So no Python code runs for each word.
    """
    lowered = [comparable(text).replace('"', "'") for text in texts]
    borders = np.cumsum([len(text) + 1 for text in lowered])
    codes = np.frombuffer("\n".join(["", *lowered, ""]).encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    kind = kinds_of(codes)
    places, is_begin = _words_in(kind, _all_spans(lowered, borders, codes) if sizes.see_code else None)

    begins = np.flatnonzero(is_begin)  # of each word in `places`
    run = codes[places].astype(np.uint64)
    run += np.uint64(1)
    run[begins] += _BEGIN
    powers, inverses = _powers(len(run) + 1)
    sums = np.zeros(len(run) + 1, dtype=np.uint64)
    run *= powers[:-1]
    np.cumsum(run, out=sums[1:])

    ends = np.append(begins, len(places))  # ends[i] is where word i begins and word i - 1 ends
    words_up_to = np.searchsorted(places[begins], borders, "right")
    in_text = np.diff(words_up_to, prepend=0)
    wanted = np.arange(len(begins)) + np.array(sizes.by_kind())[kind[places[begins]]]
    last = np.minimum(wanted, np.repeat(words_up_to, in_text))
    is_kept = wanted == last
    if sizes.is_clipped:
        is_kept |= last > np.concatenate([[0], last])[:-1]
    if sizes.least_named:
        letters = codes[places[begins]]
        is_name = ((letters < ord("0")) | (letters > ord("9"))) & ((np.diff(ends) > 1) | (letters >= ord(_THAI)))
        named = np.concatenate([[0], np.cumsum(is_name)])
        is_kept &= named[last] - named[:-1] >= sizes.least_named
    first, last = np.flatnonzero(is_kept), last[is_kept]
    counts = np.diff(np.searchsorted(first, words_up_to), prepend=0)
    begin, end = begins[first], ends[last]
    return _mix((sums[end] - sums[begin]) * inverses[begin]), counts


def _all_spans(lowered: Sequence[str], borders: Places, codes: npt.NDArray[np.uint32]) -> tuple[Places, Places]:
    """Return where code begins and ends in the texts, joined and preceded by one character each, in no order.

    Most texts have only pairs of equally long runs of backticks. `code_spans` reads the others.
    """
    ticks = np.flatnonzero(codes == ord("`"))
    firsts = np.flatnonzero(np.diff(ticks, prepend=-1) > 1)  # of each run, in `ticks`
    starts, lengths = ticks[firsts], np.diff(np.append(firsts, len(ticks)))
    counts = np.diff(np.searchsorted(starts, borders), prepend=0)  # of runs, by text
    text = np.repeat(np.arange(len(lowered)), counts)
    # Every second run of a text opens code, unless the text is odd: its runs are no such pairs, or it may have tags.
    opens = (np.arange(len(text)) - np.repeat(np.cumsum(counts) - counts, counts)) % 2 == 0
    is_odd = counts % 2 == 1
    is_odd[text[opens & ((lengths != np.append(lengths, 0)[1:]) | (codes[starts - 1] == ord("\\")))]] = True
    is_odd |= [may_have_tags(one) for one in lowered]
    opening = np.flatnonzero(opens & ~is_odd[text])
    begins, ends = starts[opening] + lengths[opening], starts[opening + 1]
    # The first line of a fence is not code.
    fences = np.flatnonzero(lengths[opening] >= FENCE)
    lines = np.flatnonzero(codes == ord("\n"))
    after = lines[np.searchsorted(lines, begins[fences])] + 1
    begins[fences] = np.where(after <= ends[fences], after, begins[fences])
    is_code = begins < ends
    spans: list[tuple[int, int]] = []
    for one in np.flatnonzero(is_odd).tolist():
        begin = int(borders[one]) - len(lowered[one])
        spans += [(begin + start, begin + end) for start, end in code_spans(lowered[one])]
    other_begins, other_ends = np.array(spans, dtype=np.int64).reshape(-1, 2).T
    return np.concatenate([begins[is_code], other_begins]), np.concatenate([ends[is_code], other_ends])


def _words_in(kind: npt.NDArray[np.uint8], spans: tuple[Places, Places] | None) -> tuple[Places, npt.NDArray[np.bool_]]:
    """Return the places of all characters of words, and which of them begin a word."""
    is_kept, is_word, is_begin = kind >= WORD, kind == WORD, kind > WORD
    is_begin[1:] |= is_word[1:] > is_word[:-1]
    if spans is None:
        places = np.flatnonzero(is_kept)
        return places, is_begin[places]
    begins, ends = spans
    bounds = np.concatenate([[0], np.sort(np.concatenate(spans)), [len(kind)]])
    is_code = np.repeat(np.arange(len(bounds) - 1) % 2 == 1, np.diff(bounds))
    is_kept |= (kind == OPERATOR) & is_code
    places = np.flatnonzero(is_kept)
    is_begin = is_begin[places]
    firsts = np.searchsorted(places, begins)
    is_begin[firsts[firsts < np.searchsorted(places, ends)]] = True
    return places, is_begin


def text_keys(texts: Sequence[str]) -> Hashes:
    """Return one hash per text, the same for texts that differ only in case, ASCII white space or Unicode form."""
    return _digests(_plain(text) for text in texts)


def exact_keys(texts: Sequence[str]) -> Hashes:
    """Return one hash per text. Only equal texts have the same hash."""
    return _digests(text.encode() for text in texts)


def is_short(answer: str) -> bool:
    """Return whether an answer is so short that equal ones say nothing about their questions."""
    return len(_plain(answer[: 2 * SHORT])) < SHORT and len(_plain(answer)) < SHORT  # most are not: the start shows it


def compared_answer(question: str, answer: str) -> str:
    """Return what is compared of an answer: a short one only counts together with the body of its question.

    `question` is the title and, after an empty line, the body.
    """
    _, _, body = question.partition("\n\n")
    return f"{body}\n\n{answer}" if is_short(answer) else answer


def _plain(text: str) -> bytes:
    return comparable(text).encode().translate(None, _WHITE_SPACE)


def _digests(contents: Iterable[bytes]) -> Hashes:
    digests = [hashlib.blake2b(content, digest_size=8).digest() for content in contents]
    return np.frombuffer(b"".join(digests), dtype="<u8").astype(np.uint64)


def distinct(hashes: Hashes) -> Hashes:
    """Return the hashes sorted and without repetitions."""
    hashes = np.sort(hashes)
    return hashes[np.concatenate([[True], hashes[1:] != hashes[:-1]])] if len(hashes) else hashes


@functools.lru_cache(maxsize=1)
def _power_tables(length: int) -> tuple[Hashes, Hashes]:
    inverse = pow(_BASE, -1, 1 << 64)
    return tuple(  # type: ignore[return-value]
        np.cumprod(np.concatenate([[np.uint64(1)], np.full(length - 1, base, dtype=np.uint64)]), dtype=np.uint64)
        for base in (_BASE, inverse)
    )


def _powers(length: int) -> tuple[Hashes, Hashes]:
    powers, inverses = _power_tables(max(1 << 16, 1 << (length - 1).bit_length()))
    return powers[:length], inverses[:length]


def _mix(hashes: Hashes) -> Hashes:
    """Mix the bits of each value (the finalizer of MurmurHash3)."""
    for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        hashes = (hashes ^ (hashes >> np.uint64(33))) * np.uint64(factor)
    return hashes ^ (hashes >> np.uint64(33))
