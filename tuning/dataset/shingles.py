"""Sets of five words in a row: what near-duplicate means here, as text and, for speed, as numbers.

A word is what ``\\w+`` finds in the lower-cased text. Two texts are near duplicates when the Jaccard similarity of
their sets of shingles is at least 0.8. A text of fewer than five words is one shingle of all of them; one without words
has none.
"""

import functools
import hashlib
import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

SIZE = 5
THRESHOLD = 0.8
_WORD = re.compile(r"\w+")
_BASE = 0x9E3779B97F4A7C15  # odd, so that it has an inverse modulo 2^64
_UNITS = np.uint64

Hashes = npt.NDArray[np.uint64]


def shingles(text: str, size: int = SIZE) -> set[str]:
    """The set itself, as the definition has it."""
    found = words(text)
    return {" ".join(found[at : at + size]) for at in range(max(1, len(found) - size + 1))} if found else set()


def words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def jaccard(first: str, second: str) -> float:
    """Exact similarity of two texts; 0 where one has no words."""
    one, other = shingles(first), shingles(second)
    return len(one & other) / len(one | other) if one and other else 0.0


def hash_shingles(texts: Sequence[str], size: int = SIZE) -> tuple[Hashes, npt.NDArray[np.int64]]:
    """A 64-bit hash of every shingle of every text, repetitions included, and the offsets that divide them by text.

    The shingles of text i are ``hashes[offsets[i]:offsets[i + 1]]``. Equal shingles have equal hashes on any machine.
    A shingle is a run of characters in which every gap between words is one separator, so that its hash is a difference
    of two sums of characters weighted by powers of one base: no Python code runs per word.
    """
    lowered = [text.lower() for text in texts]
    codes = np.frombuffer("\n".join([*lowered, ""]).encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    is_word = _word_table()[codes]
    begins = is_word.copy()
    begins[1:] &= ~is_word[:-1]
    ends = ~is_word
    ends[1:] &= is_word[:-1]
    ends[:1] = False
    kept = np.flatnonzero(is_word | ends)  # every word's characters and one separator after it
    powers, inverses = _powers(len(kept) + 1)
    weighted = np.where(is_word[kept], codes[kept].astype(_UNITS) + _UNITS(1), _UNITS(0)) * powers[: len(kept)]
    sums = np.zeros(len(kept) + 1, dtype=_UNITS)
    np.cumsum(weighted, out=sums[1:])
    word_begins = np.flatnonzero(begins[kept])  # positions among the kept characters
    word_ends = np.flatnonzero(ends[kept])

    borders = np.cumsum([len(text) + 1 for text in lowered])
    words_up_to = np.searchsorted(np.flatnonzero(begins), borders)
    in_text = np.diff(words_up_to, prepend=0)
    counts = np.where(in_text == 0, 0, np.maximum(in_text - size + 1, 1))
    offsets = np.zeros(len(texts) + 1, dtype=np.int64)
    np.cumsum(counts, out=offsets[1:])
    first = np.arange(offsets[-1]) + np.repeat(words_up_to - in_text - offsets[:-1], counts)
    last = np.minimum(first + size, np.repeat(words_up_to, counts)) - 1
    begin, end = word_begins[first], word_ends[last]
    return _mix((sums[end] - sums[begin]) * inverses[begin]), offsets


def text_keys(texts: Sequence[str]) -> Hashes:
    """One number per text, equal for texts that differ in case and white space only."""
    digests = (hashlib.blake2b(" ".join(text.lower().split()).encode(), digest_size=8).digest() for text in texts)
    return np.frombuffer(b"".join(digests), dtype=np.uint64)


def distinct(hashes: Hashes) -> Hashes:
    """Sorted, each once."""
    hashes = np.sort(hashes)
    return hashes[np.concatenate([[True], hashes[1:] != hashes[:-1]])] if len(hashes) else hashes


@functools.cache
def _word_table() -> npt.NDArray[np.bool_]:
    """For every code point, whether ``\\w`` matches it."""
    table = np.zeros(0x110000, dtype=np.bool_)
    for match in _WORD.finditer("".join(map(chr, range(0x110000)))):
        table[match.start() : match.end()] = True
    return table


@functools.lru_cache(maxsize=1)
def _power_tables(length: int) -> tuple[Hashes, Hashes]:
    inverse = pow(_BASE, -1, 1 << 64)
    return tuple(  # type: ignore[return-value]
        np.cumprod(np.concatenate([[_UNITS(1)], np.full(length - 1, base, dtype=_UNITS)]), dtype=_UNITS)
        for base in (_BASE, inverse)
    )


def _powers(length: int) -> tuple[Hashes, Hashes]:
    powers, inverses = _power_tables(max(1 << 16, 1 << (length - 1).bit_length()))
    return powers[:length], inverses[:length]


def _mix(hashes: Hashes) -> Hashes:
    """Spread every bit of each value over all (the finalizer of MurmurHash3)."""
    for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        hashes = (hashes ^ (hashes >> _UNITS(33))) * _UNITS(factor)
    return hashes ^ (hashes >> _UNITS(33))
