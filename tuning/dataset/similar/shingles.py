"""Split texts into shingles, and define near duplicates by them.

A shingle is five words in a row, as a tuple of words or, for speed, as a 64-bit hash. A word is a match of ``\\w+`` in
the lower-cased text. Two texts are near duplicates if the Jaccard similarity of their sets of shingles is at least 0.8.
A text of one to four words has one shingle of all its words. A text without words has none.
"""

import functools
import hashlib
import re
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

SIZE = 5
THRESHOLD = 0.8
_WORD = re.compile(r"\w+")
_WHITE_SPACE = b" \t\n\r\x0b\x0c"
_BASE = 0x9E3779B97F4A7C15  # odd, so that it has an inverse modulo 2^64
_REMEMBERED = 500  # number of texts whose shingles `comparer` caches
_TEXTS = 128  # number of texts hashed together, so that their arrays fit into the processor's cache

Hashes = npt.NDArray[np.uint64]
Shingle = tuple[str, ...]


def shingles(text: str, size: int = SIZE) -> set[Shingle]:
    """Return the set of shingles of `size` words. A shorter text has one shingle of all its words."""
    in_order = words(text)
    if len(in_order) < size:
        return {tuple(in_order)} if in_order else set()
    return set(zip(*(in_order[at:] for at in range(size)), strict=False))


def words(text: str) -> list[str]:
    """Return the lower-case words of the text, in order."""
    return _WORD.findall(text.lower())


def similarity(one: set[Shingle], other: set[Shingle]) -> float:
    """Return the exact Jaccard similarity of two sets of shingles, or 0 if one is empty."""
    shared = len(one & other)
    return shared / (len(one) + len(other) - shared) if shared else 0.0


def comparer(text_of: Callable[[int], str]) -> Callable[[int, int], bool]:
    """Return a function that compares two texts, given by number, and returns whether they are near duplicates.

    The function caches the sets of 500 texts. It is fastest if all pairs of one text follow each other.
    """
    set_of = functools.lru_cache(_REMEMBERED)(lambda number: shingles(text_of(number)))
    return lambda one, other: similarity(set_of(one), set_of(other)) >= THRESHOLD


def hash_shingles(texts: Sequence[str], size: int = SIZE) -> tuple[Hashes, npt.NDArray[np.int64]]:
    """Return a 64-bit hash of every shingle of every text, including repeated ones, and the offsets of the texts.

    The hashes of text i are ``hashes[offsets[i]:offsets[i + 1]]``. Equal shingles have equal hashes on any machine.
    """
    if not texts:
        return np.zeros(0, dtype=np.uint64), np.zeros(1, dtype=np.int64)
    parts = [_hash_some(texts[at : at + _TEXTS], size) for at in range(0, len(texts), _TEXTS)]
    counts = np.concatenate([[0], *(counts for _, counts in parts)])
    return np.concatenate([hashes for hashes, _ in parts]), np.cumsum(counts, dtype=np.int64)


def _hash_some(texts: Sequence[str], size: int) -> tuple[Hashes, npt.NDArray[np.int64]]:
    """Return the hashes of a few texts, and the number of hashes of each text.

    This is a polynomial hash. The words of all texts form one array of characters with one separator (0) after each
    word. With prefix sums of the characters weighted by powers of a base, the hash of a shingle is the difference of
    two sums, divided by the power at its start. So no Python code runs for each word.
    """
    lowered = [text.lower() for text in texts]
    codes = np.frombuffer("\n".join(["", *lowered, ""]).encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    values = _word_values()[codes]
    is_word = values != 0
    edges = np.flatnonzero(is_word[1:] != is_word[:-1]) + 1
    begins, ends = edges[::2], edges[1::2]  # of each word
    lengths = ends - begins
    starts = np.cumsum(lengths + 1) - (lengths + 1)  # of each word in `run`, where a separator follows each word

    is_word[ends] = True
    run = values[is_word].astype(np.uint64)
    powers, inverses = _powers(len(run) + 1)
    sums = np.zeros(len(run) + 1, dtype=np.uint64)
    np.cumsum(run * powers[:-1], out=sums[1:])

    borders = np.cumsum([len(text) + 1 for text in lowered])
    words_up_to = np.searchsorted(begins, borders, "right")
    in_text = np.diff(words_up_to, prepend=0)
    counts = np.where(in_text == 0, 0, np.maximum(in_text - size + 1, 1))
    first = np.arange(counts.sum()) + np.repeat(words_up_to - in_text - (np.cumsum(counts) - counts), counts)
    last = np.minimum(first + size, np.repeat(words_up_to, counts)) - 1
    begin, end = starts[first], starts[last] + lengths[last]
    return _mix((sums[end] - sums[begin]) * inverses[begin]), counts


def text_keys(texts: Sequence[str]) -> Hashes:
    """Return one hash per text. Texts that differ only in case or ASCII white space have the same hash."""
    raw = (text.lower().encode().translate(None, _WHITE_SPACE) for text in texts)
    digests = [hashlib.blake2b(content, digest_size=8).digest() for content in raw]
    return np.frombuffer(b"".join(digests), dtype="<u8").astype(np.uint64)


def distinct(hashes: Hashes) -> Hashes:
    """Return the hashes sorted and without repetitions."""
    hashes = np.sort(hashes)
    return hashes[np.concatenate([[True], hashes[1:] != hashes[:-1]])] if len(hashes) else hashes


@functools.cache
def _word_values() -> npt.NDArray[np.uint32]:
    """Return an array indexed by code point: code point + 1 if ``\\w`` matches the character, else 0."""
    table = np.arange(1, 0x110001, dtype=np.uint32)
    is_word = np.zeros(0x110000, dtype=np.bool_)
    for match in _WORD.finditer("".join(map(chr, range(0x110000)))):
        is_word[match.start() : match.end()] = True
    return np.where(is_word, table, np.uint32(0))


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
