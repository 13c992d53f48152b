"""Count the rows that were read, dropped (by step and reason), and written."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, TypedDict

import msgspec

EXAMPLES = 3  # number of dropped rows that the card shows for each step and reason: those with the smallest ids
_EXCERPT = 2_000  # maximum characters of a text on the card


class FunnelRow(TypedDict):
    """Hold how many rows a step read, dropped for a reason, or wrote, as the manifest contains it."""

    step: str
    reason: str
    rows: int


class DroppedExample(msgspec.Struct, frozen=True):
    """Hold one dropped row as the card shows it."""

    question_id: int
    answer_id: int
    url: str
    title: str
    question: str
    answer: str
    detail: str = ""

    @classmethod
    def of(cls, about: Mapping[str, Any], title: str, body: str, answer: str, detail: str = "") -> "DroppedExample":
        """Return a row by its attribution and its texts. A row without a page, of own files, is named by its ID."""
        url = about.get("question_url", "")
        return cls(
            question_id=about["question_id"],
            answer_id=about["answer_id"],
            url=url,
            title=(title if url else "") or about["example_id"],
            question=excerpt(body if url else "\n\n".join(filter(None, (title, body)))),
            answer=excerpt(answer),
            detail=detail,
        )

    @property
    def key(self) -> tuple[int, int]:
        """Return the sort key of the example: its question id and answer id."""
        return self.question_id, self.answer_id


class Dropped(msgspec.Struct):
    """Count the rows that one step drops for one reason."""

    step: str
    reason: str
    rows: int = 0
    examples: list[DroppedExample] = []

    def add(self, rows: int, examples: Iterable[DroppedExample]) -> None:
        """Add rows to the count, and keep the three examples with the smallest ids."""
        self.rows += rows
        self.examples = sorted([*self.examples, *examples], key=lambda one: one.key)[:EXAMPLES]


class Funnel:
    """Count rows by step and reason.

    The rows read are the sum of the rows dropped and the rows written, less those that weights repeat.
    """

    def __init__(self, read: int, source: str = "mart") -> None:
        self.read, self.source = read, source
        self.repeated = 0  # rows that are written once more, because their file has a weight
        self.dropped: dict[tuple[str, str], Dropped] = {}
        self.written: dict[str, int] = {}
        self.by_benchmark_item: Counter[int] = Counter()  # rows that are dropped for an item of the benchmark

    def drop(self, step: str, reason: str, rows: int, examples: Iterable[DroppedExample] = ()) -> None:
        """Count the rows that a step drops for a reason."""
        if rows:
            self.dropped.setdefault((step, reason), Dropped(step, reason)).add(rows, examples)

    def wants(self, step: str, reason: str) -> bool:
        """Return whether the card needs another example. The caller must drop rows in ascending order of id."""
        known = self.dropped.get((step, reason))
        return known is None or len(known.examples) < EXAMPLES

    def shows(self, step: str, reason: str, key: tuple[int, int]) -> bool:
        """Return whether the card would show a row with this key, whatever the order in which rows are dropped."""
        known = self.dropped.get((step, reason))
        return known is None or len(known.examples) < EXAMPLES or key < known.examples[-1].key

    def kinds(self) -> list[Dropped]:
        """Return the dropped rows in the order of the steps. The reasons of one step are in alphabetical order."""
        return sorted(self.dropped.values(), key=lambda one: (STEPS.index(one.step), one.reason))

    def rows(self) -> list[FunnelRow]:
        """Return the counts in the order of the steps."""
        return [
            FunnelRow(step="read", reason=f"rows of the {self.source}", rows=self.read),
            *(FunnelRow(step=one.step, reason=one.reason, rows=one.rows) for one in self.kinds()),
            *(
                [FunnelRow(step="repeat", reason="by the weight of a file", rows=self.repeated)]
                if self.repeated
                else []
            ),
            *(FunnelRow(step="written", reason=split, rows=rows) for split, rows in self.written.items()),
        ]


STEPS = ("deny list", "quality", "limit", "clean", "filter", "deduplicate", "split")


def excerpt(text: str) -> str:
    """Return the first 2,000 characters of the text, with an ellipsis if it is longer."""
    return text if len(text) <= _EXCERPT else text[:_EXCERPT] + "…"
