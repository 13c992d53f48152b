"""The texts of prepared rows, read back from the part files when something has to look at them again."""

import functools
import heapq
from dataclasses import dataclass

import msgspec

from tuning.dataset.formats import parse_line, question_of
from tuning.dataset.funnel import DroppedExample, excerpt
from tuning.dataset.index import Index
from tuning.dataset.options import DatasetOptions
from tuning.dataset.parts import Column, Parts
from tuning.dataset.records import Example
from tuning.dataset.splits import salted

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
        self._pair = functools.lru_cache(_REMEMBERED)(self._read)

    def question(self, row: int) -> str:
        return self._pair(row)[0]

    def answer(self, row: int) -> str:
        return self._pair(row)[1]

    def dropped(self, row: int, detail: str = "") -> DroppedExample:
        """How the card shows a row that is dropped."""
        question, answer = self._pair(row)
        tail = msgspec.json.decode(b"{" + self._index.blob(self._parts, row)[1])
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
        return [self._shown(row) for _, row in heapq.nsmallest(count, salted_rows)]

    def _shown(self, row: int) -> Shown:
        line, tail = self._index.blob(self._parts, row)
        about = msgspec.json.decode(b"{" + tail)
        return Shown(about["example_id"], about["question_url"], parse_line(self._options.format, line))

    def _read(self, row: int) -> tuple[str, str]:
        line, _ = self._index.blob(self._parts, row)
        example = parse_line(self._options.format, line)
        return question_of(self._options.format, self._template, example), example.answer
