"""Find texts that share 13 words in a row with a benchmark, or that contain a shorter benchmark text whole.

An example with such a text must not be in the dataset, because the model would be trained on the benchmark. Words are
those of prose, in code too, because a benchmark file does not mark its code.

The passage of 13 words is that of GPT-3 (Brown et al., "Language Models are Few-Shot Learners", 2020, appendix C).
"""

import functools
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from tuning.dataset.benchmark_files import benchmark_files, items_of
from tuning.dataset.similar.shingles import Hashes, Sizes, hash_shingles, is_named
from tuning.dataset.similar.words import words
from tuning.errors import TuningError
from tuning.machine import limited_memory

# Five words identify a text: of 433 titles of real questions with five words, each occurs in at most one of 10,298 real
# posts. Numbers do not count: 1, 2, 3 and so on up to 13 occurs in many.
PASSAGE = Sizes(word=13, syllable=20, letter=40, see_code=False, is_clipped=False, least_named=5)
LEAST = Sizes(word=5, syllable=8, letter=16, see_code=False, is_clipped=False)
_Items = npt.NDArray[np.uint32]
_SHARED = 10, 0.05  # a passage in more items, and in a larger share of the items, is no mark of an item
_MOST_TEXT, _MOST_ITEMS = 256_000_000, 1_000_000  # characters and items
_MOST_MEMORY = 4 << 30  # bytes beyond those that the process has; the most text needs less
_ITEMS = 256  # number of items hashed together

PASSES, WHOLE = "shares 13 words in a row with the benchmark", "contains a short text of the benchmark whole"


class Match(msgspec.Struct, frozen=True):
    """Hold how a text matches a benchmark."""

    item: int  # number of the item, from 0
    reason: str


class Benchmark(msgspec.Struct, frozen=True):
    """Hold what is looked for, and how much of the benchmark that is."""

    names: list[str]  # of the files
    borders: list[int]  # number of the first item of each file, and of all items
    looked_for: int  # number of items of which a text is looked for
    short: int  # of these, number of items of which only texts of fewer than 13 words are looked for
    shared: int  # number of passages that are not looked for, because too many items have them
    hashes: Hashes  # of the passages, sorted
    items: _Items  # first item with each passage
    starts: Hashes  # of the first words of short texts
    whole: dict[int, list[tuple[str, int]]]  # short texts, as words, and their item, by the hash of their first words

    @property
    def size(self) -> int:
        """Return the number of items."""
        return self.borders[-1]

    def name(self, item: int) -> str:
        """Return the file and the number (from 1) of an item in it."""
        file = int(np.searchsorted(self.borders, item, "right")) - 1
        return f"{self.names[file]} item {item - self.borders[file] + 1}"

    def find(self, texts: Sequence[str]) -> list[Match | None]:
        """Return for each text how it matches, or None."""
        found: list[Match | None] = [None] * len(texts)
        hashes, offsets = hash_shingles(texts, LEAST)
        for place in np.flatnonzero(np.isin(hashes, self.starts)).tolist():
            text = int(np.searchsorted(offsets, place, "right")) - 1
            if found[text] is None:
                text_words = _joined(texts[text])
                item = next((one for part, one in self.whole[int(hashes[place])] if part in text_words), None)
                found[text] = None if item is None else Match(item, WHOLE)
        hashes, offsets = hash_shingles(texts, PASSAGE)
        places = np.minimum(np.searchsorted(self.hashes, hashes), len(self.hashes) - 1)
        for place in np.flatnonzero(self.hashes[places] == hashes).tolist() if len(self.hashes) else []:
            text = int(np.searchsorted(offsets, place, "right")) - 1
            if (known := found[text]) is None or known.reason == WHOLE:
                found[text] = Match(int(self.items[places[place]]), PASSES)
        return found


@functools.lru_cache(maxsize=1)
def read_benchmark(path: Path) -> Benchmark:
    """Read a benchmark, a file or a folder. Raises TuningError if it cannot be read, or has no text to look for."""
    try:
        with limited_memory(_MOST_MEMORY):
            return _read(path)
    except MemoryError:  # tables can repeat a long text in a few bytes
        what = f"--decontaminate: {path} needs more than {_MOST_MEMORY >> 20:,} MB of memory"
        raise TuningError(what, "Use the part that is the exam") from None


def _read(path: Path) -> Benchmark:
    files, borders, characters = benchmark_files(path), [0], 0
    hashes, items = [np.zeros(0, np.uint64)], [np.zeros(0, np.uint32)]
    whole: dict[int, list[tuple[str, int]]] = {}
    with_short: set[int] = set()

    def counted(in_file: Iterator[list[str]]) -> Iterator[list[str]]:
        nonlocal characters
        for number, item in enumerate(in_file, borders[-1]):
            characters += sum(map(len, item))
            if characters > _MOST_TEXT or number >= _MOST_ITEMS:
                most = f"{_MOST_ITEMS:,} items or {_MOST_TEXT:,} characters"
                raise TuningError(f"--decontaminate: {path} has more than {most}", "Use the part that is the exam")
            yield item

    for file in files:
        first, in_file = borders[-1], counted(items_of(file))
        while some := list(itertools.islice(in_file, _ITEMS)):
            texts = [text for item in some for text in item]
            numbers = np.repeat(np.arange(first, first + len(some)), [len(item) for item in some])
            part, offsets = hash_shingles(texts, PASSAGE)
            counts = np.diff(offsets)
            pairs = np.stack([part, np.repeat(numbers, counts).astype(np.uint64)])
            pairs = np.unique(pairs, axis=1)
            hashes.append(pairs[0])
            items.append(pairs[1].astype(np.uint32))
            short = np.flatnonzero(counts == 0).tolist()
            starts, offsets = hash_shingles([texts[at] for at in short], LEAST)
            for at, begin, end in zip(short, offsets[:-1].tolist(), offsets[1:].tolist(), strict=True):
                joined = _joined(texts[at])
                if begin < end and is_named(joined.split(), LEAST.word):
                    whole.setdefault(int(starts[begin]), []).append((joined, int(numbers[at])))
                    with_short.add(int(numbers[at]))
            first += len(some)
        borders.append(first)
    passages, of_item, with_passages, shared = _distinctive(np.concatenate(hashes), np.concatenate(items), borders[-1])
    if not with_passages | with_short:
        raise TuningError(
            f"--decontaminate: nothing can be looked for in {path}: none of its {borders[-1]} items has a text of"
            f" {LEAST.word} words",
            "Name the file with the questions of the benchmark",
        )
    return Benchmark(
        names=[file.name for file in files],
        borders=borders,
        looked_for=len(with_passages | with_short),
        short=len(with_short - with_passages),
        shared=shared,
        hashes=passages,
        items=of_item,
        starts=np.fromiter(whole, np.uint64),
        whole=whole,
    )


def _distinctive(hashes: Hashes, items: _Items, count: int) -> tuple[Hashes, _Items, set[int], int]:
    """Return the sorted passages that few items have, the first item of each, all items, and the number left out.

    Passages that many items have are the form of the benchmark, such as "the first line contains a single integer", or
    what all its programs import. They would drop posts that have nothing to do with it.
    """
    order = np.lexsort((items, hashes))
    hashes, items = hashes[order], items[order]
    distinct, firsts, times = np.unique(hashes, return_index=True, return_counts=True)
    is_own = times <= max(_SHARED[0], _SHARED[1] * count)
    all_items = set(np.unique(items[np.repeat(is_own, times)]).tolist())
    return distinct[is_own], items[firsts[is_own]], all_items, int((~is_own).sum())


def _joined(text: str) -> str:
    return f" {' '.join(word for word, _ in words(text, see_code=False))} "
