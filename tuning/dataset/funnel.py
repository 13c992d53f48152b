"""How many rows came in, which were dropped at which step for which reason, and how many were written."""

from collections.abc import Iterable

import msgspec

EXAMPLES = 3  # of each dropped kind, those of the smallest ids, for the card
_EXCERPT = 2_000  # characters of each of its texts


class DroppedExample(msgspec.Struct, frozen=True):
    question_id: int
    answer_id: int
    url: str
    title: str
    question: str
    answer: str
    detail: str = ""

    @property
    def key(self) -> tuple[int, int]:
        return self.question_id, self.answer_id


class Dropped(msgspec.Struct):
    """The rows that one step drops for one reason."""

    step: str
    reason: str
    rows: int = 0
    examples: list[DroppedExample] = []

    def add(self, rows: int, examples: Iterable[DroppedExample]) -> None:
        self.rows += rows
        self.examples = sorted([*self.examples, *examples], key=lambda one: one.key)[:EXAMPLES]


class Funnel:
    """Counts by step and reason. What was read is what was dropped and what was written."""

    def __init__(self, read: int) -> None:
        self.read = read
        self.dropped: dict[tuple[str, str], Dropped] = {}
        self.written: dict[str, int] = {}

    def drop(self, step: str, reason: str, rows: int, examples: Iterable[DroppedExample] = ()) -> None:
        if rows:
            self.dropped.setdefault((step, reason), Dropped(step, reason)).add(rows, examples)

    def wants(self, step: str, reason: str) -> bool:
        """Whether an example is still missing, for who drops rows by ascending id."""
        known = self.dropped.get((step, reason))
        return known is None or len(known.examples) < EXAMPLES

    def kinds(self) -> list[Dropped]:
        """What was dropped, in the order of the steps; reasons of one step by name."""
        return sorted(self.dropped.values(), key=lambda one: (STEPS.index(one.step), one.reason))

    def rows(self) -> list[dict[str, object]]:
        """As the manifest has it."""
        return [
            {"step": "read", "reason": "rows of the mart", "rows": self.read},
            *({"step": one.step, "reason": one.reason, "rows": one.rows} for one in self.kinds()),
            *({"step": "written", "reason": split, "rows": rows} for split, rows in self.written.items()),
        ]


STEPS = ("limit", "clean", "filter", "deduplicate", "split")


def excerpt(text: str) -> str:
    return text if len(text) <= _EXCERPT else text[:_EXCERPT] + "…"
