"""The lines of a dataset as they were written, read back: in blocks by the workers, and one by one."""

from collections.abc import Iterator, Mapping

import msgspec
import numpy as np

from tuning.dataset.dataset import Split
from tuning.dataset.formats.codec import parse_line, question_of
from tuning.dataset.options import DatasetOptions
from tuning.dataset.workspace.parts import Column
from tuning.gcs.object_file import Source, read_range, read_ranges

_BLOCK = 2 << 20  # bytes of lines read at a time
_SPLITS: tuple[Split, ...] = ("train", "eval")
Place = tuple[Source, int, int, int]  # file, offset and size in bytes of a block of lines, number of its first line


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """Where the lines are and how they are to be read. Plain values: it travels to the workers."""

    files: Mapping[str, Source]  # by name
    options: DatasetOptions
    template: str
    train_rows: int  # texts are numbered through: the training lines, then the evaluation lines


def places_of(files: Mapping[str, Source]) -> Iterator[Place]:
    """Blocks of whole lines, the training side first."""
    number = 0
    for split in _SPLITS:
        source = files[f"{split}.jsonl"]
        with source.open("rb") as file:
            offset = 0
            while content := file.read(_BLOCK):
                content += file.readline()
                yield source, offset, len(content), number
                offset += len(content)
                number += content.count(b"\n")


def lines_at(place: Place) -> list[bytes]:
    source, offset, size, _ = place
    return read_range(source, offset, size).splitlines(keepends=True)


def texts_of(written: Written, line: bytes) -> dict[str, str]:
    example = parse_line(written.options.format, line)
    return {"question": question_of(written.options.format, written.template, example), "answer": example.answer}


class Lines:
    """Access to the written lines by number."""

    def __init__(self, written: Written, sizes: Column) -> None:
        self._border = written.train_rows
        self._files = [written.files[f"{split}.jsonl"] for split in _SPLITS]
        offsets = np.cumsum(sizes) - sizes
        offsets[self._border :] -= sizes[: self._border].sum()
        self._offsets, self._sizes = offsets, sizes
        self._read: dict[int, bytes] = {}

    def name(self, number: int) -> str:
        is_eval = number >= self._border
        return f"{_SPLITS[is_eval]}.jsonl line {number - self._border * is_eval}"

    def expect(self, numbers: Column) -> None:
        """Read these lines together, before they are asked for one by one."""
        files = [self._files[is_eval] for is_eval in (numbers >= self._border).tolist()]
        spans = zip(files, self._offsets[numbers].tolist(), self._sizes[numbers].tolist(), strict=True)
        self._read = dict(zip(numbers.tolist(), read_ranges(list(spans)), strict=True))

    def read(self, number: int) -> bytes:
        """One of those that were expected last."""
        return self._read[number]
