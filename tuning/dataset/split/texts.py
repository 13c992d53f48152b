"""Read the texts of prepared rows back from the part files."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from tuning.dataset.formats.codec import parse_line, question_of
from tuning.dataset.formats.records import Example
from tuning.dataset.funnel import DroppedExample
from tuning.dataset.options import DatasetOptions
from tuning.dataset.similar.shingles import compared_answer
from tuning.dataset.workspace.index import Index
from tuning.dataset.workspace.parts import Column, Parts
from tuning.sampling import draw

_REMEMBERED = 2_000  # maximum number of rows in the cache


@dataclass(frozen=True)
class Shown:
    """Hold one example that the dataset card shows."""

    example_id: str
    url: str
    example: Example


class Texts:
    """Read the question (title and body as in the prompt) and the answer of rows of the index, with a cache.

    The methods raise TuningError if a line does not match its format or a request to Cloud Storage fails.
    """

    def __init__(self, parts: Parts, index: Index, options: DatasetOptions, template: str) -> None:
        self._parts, self._index, self._options, self._template = parts, index, options, template
        self._known: dict[int, tuple[str, str]] = {}  # question and answer by row; least recently expected row first

    def expect(self, rows: Sequence[int]) -> None:
        """Read these rows together into the cache, before they are requested one by one."""
        known = {row: self._known.pop(row) for row in rows if row in self._known}
        new = [row for row in rows if row not in known]
        for row in list(self._known)[: max(0, len(self._known) + len(known) + len(new) - _REMEMBERED)]:
            del self._known[row]
        self._known |= known
        lines, _ = self._index.blobs(self._parts, new)
        for row, line in zip(new, lines.to_pylist(), strict=True):
            example = parse_line(self._options.format, line)
            question = question_of(self._options.format, self._template, example, self._options.body)
            self._known[row] = question, example.answer

    def question(self, row: int) -> str:
        """Return the question of a row."""
        return self._pair(row)[0]

    def compared_answer(self, row: int) -> str:
        """Return what is compared of the answer of a row."""
        return compared_answer(*self._pair(row))

    def dropped(self, row: int, detail: str = "") -> DroppedExample:
        """Return a dropped row as the dataset card shows it."""
        question, answer = self._pair(row)
        title, _, body = question.partition("\n\n")
        return DroppedExample.of(self._about(row), title, body, answer, detail)

    def example_id(self, row: int) -> str:
        """Return the ID of a row: its posts, or its file and line."""
        return str(self._about(row)["example_id"])

    def shown(self, rows: Column, count: int = 10) -> list[Shown]:
        """Return `count` of the rows for the dataset card, drawn by a salted hash of the question id."""
        question_ids = self._index["question_id"]
        chosen = draw("card", np.unique(rows).tolist(), count, lambda row: int(question_ids[row]), self._options.seed)
        lines, tails = self._index.blobs(self._parts, chosen)
        return [self._shown(line, tail) for line, tail in zip(lines.to_pylist(), tails.to_pylist(), strict=True)]

    def _shown(self, line: bytes, tail: bytes) -> Shown:
        about = msgspec.json.decode(b"{" + tail)
        return Shown(about["example_id"], about.get("question_url", ""), parse_line(self._options.format, line))

    def _about(self, row: int) -> dict[str, Any]:
        """Return the attribution of a row."""
        _, tails = self._index.blobs(self._parts, [row])
        about: dict[str, Any] = msgspec.json.decode(b"{" + tails[0].as_py())
        return about

    def _pair(self, row: int) -> tuple[str, str]:
        if row not in self._known:
            self.expect([row])
        return self._known[row]
