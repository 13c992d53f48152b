"""Find texts that share 13 words in a row with a benchmark file.

An example with such a text must not be in the dataset, because the model would be trained on the benchmark.
"""

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
    """Return the sorted hashes of all 13-word shingles in the file. Raises TuningError if the file is not text."""
    return distinct(hash_shingles(_long_texts(path), SIZE)[0])


@functools.lru_cache(maxsize=1)
def benchmark_shingles(path: Path) -> frozenset[Shingle]:
    """Return all 13-word shingles in the file, as words. Raises TuningError if the file is not text."""
    return frozenset().union(*(shingles(text, SIZE) for text in _long_texts(path)))


def overlap(texts: Sequence[str], path: Path) -> list[bool]:
    """Return for each text whether it shares 13 words in a row with the file. Raises TuningError if it is not text."""
    known = benchmark_hashes(path)
    hashes, offsets = hash_shingles(texts, SIZE)
    matches_before = np.concatenate([[0], np.cumsum(np.isin(hashes, known))])
    return [bool(matches_before[end] > matches_before[begin]) for begin, end in itertools.pairwise(offsets)]


def _long_texts(path: Path) -> list[str]:
    """Return the texts of at least 13 words in the file.

    In a JSON Lines file, each string in each line is a text. Any other file is one text.
    """
    content = path.read_bytes()
    try:
        texts = [text for line in content.splitlines() if line.strip() for text in _leaves(orjson.loads(line))]
    except orjson.JSONDecodeError:
        try:
            texts = [content.decode()]
        except UnicodeDecodeError:
            raise TuningError(
                f"--decontaminate: {path} is neither JSON Lines nor UTF-8 text", "Convert the file to one of these"
            ) from None
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
