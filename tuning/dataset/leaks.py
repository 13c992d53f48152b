"""The leak check: what was written is read back and compared across the two sides, by other means than made it."""

import functools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from tuning.dataset.benchmark import SIZE, benchmark_shingles
from tuning.dataset.dataset import ATTRIBUTION, Split
from tuning.dataset.formats import parse_line, question_of
from tuning.dataset.index import Column
from tuning.dataset.options import DatasetOptions
from tuning.dataset.parallel import Workers
from tuning.dataset.shingles import THRESHOLD, Hashes, shingles, similarity, text_keys
from tuning.dataset.similarity_join import Entries, Partitions, candidates, common_shingles, prefixes
from tuning.errors import TuningError

_BLOCK = 2 << 20  # bytes of lines read at a time
_REMEMBERED = 500  # sets of shingles
_WORTH_WORKERS = 4  # blocks: fewer are read before workers have started
KINDS = ("question", "answer")
_SPLITS: tuple[Split, ...] = ("train", "eval")
_ENTRIES_PER_BYTE = 0.4  # bytes of prefix entries per byte of lines, about: only decides the number of partitions
_Place = tuple[Path, int, int, int]  # file, offset and size in bytes of a block of lines, number of its first line


class Leaks(msgspec.Struct, frozen=True, kw_only=True):
    """How much of the evaluation side can be seen from the training side."""

    question_ids: int  # on both sides
    answer_ids: int
    groups: int
    near_questions: int  # evaluation examples whose question is near or equal to a training example's
    near_answers: int
    benchmark: int  # examples of either side that share 13 words in a row with the benchmark file
    examples: list[str] = []  # the first few, in words

    @property
    def total(self) -> int:
        return sum(getattr(self, name) for name in self.__struct_fields__ if name != "examples")


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """Where the lines are and how they are to be read. Plain values: it travels to the workers."""

    folder: Path
    options: DatasetOptions
    template: str
    train_rows: int  # texts are numbered through: the training lines, then the evaluation lines


def find_leaks(written: Written, scratch: Path, workers: Workers) -> Leaks:
    """Read every line back and compare the sides. `scratch` is a folder to be made, about as large as the dataset.

    Raises TuningError where a line is not of its format.
    """
    shared = _shared_ids(written.folder / ATTRIBUTION)
    sides = {kind: _Side(kind, written, scratch / kind) for kind in KINDS}
    sizes, contaminated = [], []
    blocks = list(_blocks(written.folder))
    common = scratch / "common.npy"
    np.save(common, _common(written, blocks))
    jobs = (_Job(written, common, block) for block in blocks)
    for block in workers.map(_read_block, jobs, is_long=len(blocks) > _WORTH_WORKERS):
        for kind in KINDS:
            sides[kind].add(block.entries[kind], block.keys[kind])
        sizes.append(block.sizes)
        contaminated += block.contaminated
    lines = _Lines(written, np.concatenate(sizes))
    near = {kind: side.near(lines) for kind, side in sides.items()}
    return Leaks(
        question_ids=len(shared["question_id"]),
        answer_ids=len(shared["answer_id"]),
        groups=len(shared["group"]),
        near_questions=len(near["question"]),
        near_answers=len(near["answer"]),
        benchmark=len(contaminated),
        examples=[
            *(f"{name} {values[0]} on both sides" for name, values in shared.items() if len(values)),
            *(f"the {kind} of {lines.name(line)} is also in training" for kind in KINDS for line in near[kind][:3]),
            *(f"{lines.name(line)} has text of the benchmark" for line in contaminated[:3]),
        ],
    )


def refuse_leaks(leaks: Leaks) -> None:
    """TuningError where anything leaks."""
    if leaks.total:
        raise TuningError(
            f"the split leaks in {leaks.total} places, such as {leaks.examples[0]}", "Please report it as a defect"
        )


class _Block(msgspec.Struct, frozen=True):
    """What a worker found in a block of lines; entries and keys by kind."""

    entries: dict[str, Entries]
    keys: dict[str, Hashes]
    sizes: Column  # of the lines, in bytes
    contaminated: list[int]


class _Job(msgspec.Struct, frozen=True):
    """One block of lines to read; `common` is the file of the table of common shingles."""

    written: Written
    common: Path
    place: _Place


class _Side:
    """The questions, or the answers, of all lines: gathered block by block, then compared."""

    def __init__(self, kind: str, written: Written, scratch: Path) -> None:
        self._kind, self._written = kind, written
        size = sum((written.folder / f"{split}.jsonl").stat().st_size for split in _SPLITS)
        self._partitions = Partitions(scratch, int(size * _ENTRIES_PER_BYTE))
        self._keys: list[Hashes] = []

    def add(self, entries: Entries, keys: Hashes) -> None:
        self._partitions.add(entries)
        self._keys.append(keys)

    def near(self, lines: "_Lines") -> list[int]:
        """Numbers of the evaluation lines whose text is equal or near to that of a training line."""
        self._partitions.close()
        border = self._written.train_rows
        keys = np.concatenate(self._keys)
        found = set((border + np.flatnonzero(np.isin(keys[border:], keys[:border]))).tolist())
        equal = np.array(sorted(found), dtype=np.int64)
        pairs = candidates(self._partitions.paths, border, equal)
        set_of = functools.lru_cache(_REMEMBERED)(lambda number: shingles(self._text(lines, number)))
        for pair in pairs.tolist():  # the candidates of one evaluation line stand in a row
            other, one = pair >> 32, pair & 0xFFFFFFFF
            if other not in found and similarity(set_of(one), set_of(other)) >= THRESHOLD:
                found.add(other)
        return sorted(found)

    def _text(self, lines: "_Lines", number: int) -> str:
        return _texts(self._written, lines.read(number))[self._kind]


class _Ids(msgspec.Struct, frozen=True):
    split: Split
    question_id: int
    answer_id: int
    group: int


def _shared_ids(path: Path) -> dict[str, Column]:
    decoder = msgspec.json.Decoder(_Ids)
    with path.open("rb") as file:
        rows = np.array(
            [(one.split == "eval", one.question_id, one.answer_id, one.group) for one in map(decoder.decode, file)]
        )
    side = rows[:, 0].astype(np.bool_)
    names = ("question_id", "answer_id", "group")
    return {name: np.intersect1d(rows[~side, at], rows[side, at]) for at, name in enumerate(names, 1)}


def _blocks(folder: Path) -> Iterator[_Place]:
    """Blocks of whole lines, the training side first."""
    number = 0
    for split in _SPLITS:
        path = folder / f"{split}.jsonl"
        with path.open("rb") as file:
            offset = 0
            while content := file.read(_BLOCK):
                content += file.readline()
                yield path, offset, len(content), number
                offset += len(content)
                number += content.count(b"\n")


def _common(written: Written, blocks: Sequence[_Place]) -> npt.NDArray[np.bool_]:
    """What a twentieth of the lines, at least one block and at most eight, have in common."""
    chosen = blocks[:: max(20, len(blocks) // 8)]
    texts = [text for block in chosen for line in _lines(block) for text in _texts(written, line).values()]
    return common_shingles(texts)


def _read_block(job: _Job) -> _Block:
    common = np.load(job.common)
    first = job.place[3]
    lines = _lines(job.place)
    texts = [_texts(job.written, line) for line in lines]
    by_kind = {kind: [text[kind] for text in texts] for kind in KINDS}
    return _Block(
        entries={kind: prefixes(by_kind[kind], first, common) for kind in KINDS},
        keys={kind: text_keys(by_kind[kind]) for kind in KINDS},
        sizes=np.fromiter(map(len, lines), np.int64, len(lines)),
        contaminated=[
            first + at
            for at, text in enumerate(texts)
            if _is_contaminated(job.written.options.decontaminate, text.values())
        ],
    )


def _lines(place: _Place) -> list[bytes]:
    path, offset, size, _ = place
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(size).splitlines(keepends=True)


def _texts(written: Written, line: bytes) -> dict[str, str]:
    example = parse_line(written.options.format, line)
    return {"question": question_of(written.options.format, written.template, example), "answer": example.answer}


def _is_contaminated(path: Path | None, texts: Iterable[str]) -> bool:
    return path is not None and any(not shingles(text, SIZE).isdisjoint(benchmark_shingles(path)) for text in texts)


class _Lines:
    """Random access to the written lines by number."""

    def __init__(self, written: Written, sizes: Column) -> None:
        self._border = written.train_rows
        self._files = [(written.folder / f"{split}.jsonl").open("rb") for split in _SPLITS]
        offsets = np.cumsum(sizes) - sizes
        offsets[self._border :] -= sizes[: self._border].sum()
        self._offsets, self._sizes = offsets, sizes

    def name(self, number: int) -> str:
        is_eval = number >= self._border
        return f"{_SPLITS[is_eval]}.jsonl line {number - self._border * is_eval}"

    def read(self, number: int) -> bytes:
        file = self._files[number >= self._border]
        file.seek(int(self._offsets[number]))
        return file.read(int(self._sizes[number]))
