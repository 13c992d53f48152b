"""Read the written lines of a dataset: in blocks for the workers, and one by one."""

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
Place = tuple[Source, int, int, int]  # of a block of lines: file, offset and size in bytes, number of the first line


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """Hold where the lines are and how to read them. It can be sent to the worker processes."""

    files: Mapping[str, Source]  # by name
    options: DatasetOptions
    template: str
    train_rows: int  # lines are numbered across both files: first the train lines, then the eval lines


def places_of(files: Mapping[str, Source]) -> Iterator[Place]:
    """Yield blocks of whole lines, the train split first. Raises TuningError if a request to Cloud Storage fails."""
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
    """Read the lines of a block. Raises TuningError if a request to Cloud Storage fails."""
    source, offset, size, _ = place
    return read_range(source, offset, size).splitlines(keepends=True)


def texts_of(written: Written, line: bytes) -> dict[str, str]:
    """Return the question and the answer of a line. Raises TuningError if the line does not match its format."""
    example = parse_line(written.options.format, line)
    question = question_of(written.options.format, written.template, example, written.options.body)
    return {"question": question, "answer": example.answer}


class Lines:
    """Read written lines by number."""

    def __init__(self, written: Written, sizes: Column) -> None:
        self._border = written.train_rows
        self._files = [written.files[f"{split}.jsonl"] for split in _SPLITS]
        offsets = np.cumsum(sizes) - sizes
        offsets[self._border :] -= sizes[: self._border].sum()
        self._offsets, self._sizes = offsets, sizes
        self._read: dict[int, bytes] = {}

    def name(self, number: int) -> str:
        """Return the file name and the line number in the file, which starts at 0 as in the attribution."""
        is_eval = number >= self._border
        return f"{_SPLITS[is_eval]}.jsonl line {number - self._border * is_eval}"

    def expect(self, numbers: Column) -> None:
        """Read these lines, so that `read` can return each. Raises TuningError if a request fails."""
        files = [self._files[is_eval] for is_eval in (numbers >= self._border).tolist()]
        spans = zip(files, self._offsets[numbers].tolist(), self._sizes[numbers].tolist(), strict=True)
        self._read = dict(zip(numbers.tolist(), read_ranges(list(spans)), strict=True))

    def read(self, number: int) -> bytes:
        """Return the line with this number. The last call of `expect` must have included the number."""
        return self._read[number]
