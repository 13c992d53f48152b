"""The texts of prepared rows, read back from the part files when something has to look at them again."""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from tuning.dataset.formats.codec import parse_line, question_of
from tuning.dataset.formats.records import Example
from tuning.dataset.funnel import DroppedExample, excerpt
from tuning.dataset.options import DatasetOptions
from tuning.dataset.split.splits import salted
from tuning.dataset.workspace.index import Index
from tuning.dataset.workspace.parts import Column, Parts

_REMEMBERED = 2_000  # rows


@dataclass(frozen=True)
class Shown:
    """One example that the card renders."""

    example_id: str
    url: str
    example: Example


class Texts:
    """Question (title and body as written to the prompt) and answer of a row of the index."""

    def __init__(self, parts: Parts, index: Index, options: DatasetOptions, template: str) -> None:
        self._parts, self._index, self._options, self._template = parts, index, options, template
        self._known: dict[int, tuple[str, str]] = {}  # the least lately expected first

    def expect(self, rows: Sequence[int]) -> None:
        """Read these rows together, before they are asked for one by one."""
        known = {row: self._known.pop(row) for row in rows if row in self._known}
        new = [row for row in rows if row not in known]
        for row in list(self._known)[: max(0, len(self._known) + len(known) + len(new) - _REMEMBERED)]:
            del self._known[row]
        self._known |= known
        lines, _ = self._index.blobs(self._parts, new)
        for row, line in zip(new, lines.to_pylist(), strict=True):
            example = parse_line(self._options.format, line)
            self._known[row] = question_of(self._options.format, self._template, example), example.answer

    def question(self, row: int) -> str:
        return self._pair(row)[0]

    def answer(self, row: int) -> str:
        return self._pair(row)[1]

    def dropped(self, row: int, detail: str = "") -> DroppedExample:
        """How the card shows a row that is dropped."""
        question, answer = self._pair(row)
        _, tails = self._index.blobs(self._parts, [row])
        tail = msgspec.json.decode(b"{" + tails[0].as_py())
        title, _, body = question.partition("\n\n")
        return DroppedExample(
            question_id=tail["question_id"],
            answer_id=tail["answer_id"],
            url=tail["question_url"],
            title=title,
            question=excerpt(body),
            answer=excerpt(answer),
            detail=detail,
        )

    def shown(self, rows: Column, count: int = 10) -> list[Shown]:
        """`count` of the rows, chosen by a salted hash of their question ids, as the card shows them."""
        question_ids = self._index["question_id"]
        salted_rows = ((salted("card", self._options.seed, int(question_ids[row])), int(row)) for row in rows)
        chosen = [row for _, row in heapq.nsmallest(count, salted_rows)]
        lines, tails = self._index.blobs(self._parts, chosen)
        return [self._shown(line, tail) for line, tail in zip(lines.to_pylist(), tails.to_pylist(), strict=True)]

    def _shown(self, line: bytes, tail: bytes) -> Shown:
        about = msgspec.json.decode(b"{" + tail)
        return Shown(about["example_id"], about["question_url"], parse_line(self._options.format, line))

    def _pair(self, row: int) -> tuple[str, str]:
        if row not in self._known:
            self.expect([row])
        return self._known[row]
