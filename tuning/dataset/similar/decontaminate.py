"""Thirteen words in a row of a benchmark file: an example that has them would train on the exam."""

import functools
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import orjson

from tuning.dataset.similar.shingles import Hashes, Shingle, distinct, hash_shingles, shingles, words
from tuning.errors import TuningError

SIZE = 13


@functools.lru_cache(maxsize=1)
def benchmark_hashes(path: Path) -> Hashes:
    """Sorted hashes of every run of 13 words in the file."""
    return distinct(hash_shingles(_long_texts(path), SIZE)[0])


@functools.lru_cache(maxsize=1)
def benchmark_shingles(path: Path) -> frozenset[Shingle]:
    """Every run of 13 words in the file, as it is."""
    return frozenset().union(*(shingles(text, SIZE) for text in _long_texts(path)))


def overlap(texts: Sequence[str], path: Path) -> list[bool]:
    """For each text whether it has 13 words in a row with the file."""
    known = benchmark_hashes(path)
    hashes, offsets = hash_shingles(texts, SIZE)
    found = np.concatenate([[0], np.cumsum(np.isin(hashes, known))])
    return [bool(found[end] > found[begin]) for begin, end in itertools.pairwise(offsets)]


def _long_texts(path: Path) -> list[str]:
    """Every text of the file that has 13 words: the strings of each line of JSON, or other text as a whole."""
    content = path.read_bytes()
    try:
        texts = [text for line in content.splitlines() if line.strip() for text in _leaves(orjson.loads(line))]
    except orjson.JSONDecodeError:
        try:
            texts = [content.decode()]
        except UnicodeDecodeError:
            raise TuningError(f"--decontaminate: {path} is neither JSON lines nor text in UTF-8") from None
    return [text for text in texts if len(words(text)) >= SIZE]


def _leaves(value: object) -> Iterator[str]:
    match value:
        case str():
            yield value
        case list():
            for item in value:
                yield from _leaves(item)
        case dict():
            for item in value.values():
                yield from _leaves(item)
