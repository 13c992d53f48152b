"""Find duplicate rows, of which only the one with the best score is kept, and group their questions for the split.

Texts that are nearly equal, but have other code or other signs in prose (C++ and C#), are no duplicates: they are only
in the same group.
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tuning.dataset.similar.groups import Groups
from tuning.dataset.similar.minhash import near_pairs, same_code
from tuning.dataset.split.texts import Texts
from tuning.dataset.workspace.index import Index
from tuning.dataset.workspace.parts import Column


@dataclass(frozen=True)
class Duplicate:
    """Represent a row to drop and the row that replaces it."""

    row: int
    reason: str
    of: int  # the row that is kept


def find_duplicates(index: Index, texts: Texts, groups: Groups) -> list[Duplicate]:
    """Return the rows to drop, sorted by row, and join the questions of equal or near-duplicate texts.

    The questions are joined in `groups`. Rows are processed by descending score, then by ascending id. A row is kept if
    neither its question nor its answer equals that of a kept row, or nearly equals it and has the same code. So no two
    kept rows are near duplicates with the same code, except that preference pairs of one question share it. In a chain
    of near duplicates, the ends can both be kept if they are not near duplicates of each other.
    Raises TuningError if texts cannot be read.
    """
    sides = [
        _Side("question", index, texts, texts.question, groups),
        _Side("answer", index, texts, texts.compared_answer, groups),
    ]
    rows = np.flatnonzero(sides[0].is_shared | sides[1].is_shared)
    order = np.lexsort((rows, -index["score"][rows]))
    dropped = []
    for row in rows[order].tolist():
        duplicate = next((one for side in sides if (one := side.better(row))), None)
        if duplicate:
            dropped.append(duplicate)
        else:
            for side in sides:
                side.keep(row)
    return sorted(dropped, key=lambda one: one.row)


class _Side:
    """Hold the distinct texts of the questions or of the answers, and which of them are nearly equal."""

    def __init__(self, name: str, index: Index, texts: Texts, text_of: Callable[[int], str], groups: Groups) -> None:
        self.name = name
        self._questions = index["question_id"]
        _, first, self._text, count = np.unique(
            index[f"{name}_exact"], return_index=True, return_inverse=True, return_counts=True
        )
        self._key = index[f"{name}_key"][first]
        self._near: dict[int, list[int]] = defaultdict(list)  # texts with the same code

        def read(text: int) -> str:
            return text_of(int(first[text]))

        def expect(some: list[int]) -> None:
            texts.expect(first[some].tolist())

        pairs = near_pairs(index[f"{name}_bands"][first], read, expect)
        for one, other in pairs:
            groups.join(int(index["question_id"][first[one]]), int(index["question_id"][first[other]]))
        for one, other in same_code(pairs, read, expect):
            self._near[one].append(other)
            self._near[other].append(one)
        _, first_with_key, key, rows_with_key = np.unique(
            index[f"{name}_key"], return_index=True, return_inverse=True, return_counts=True
        )
        for row in np.flatnonzero(rows_with_key[key] > 1).tolist():
            groups.join(int(index["question_id"][row]), int(index["question_id"][first_with_key[key[row]]]))
        has_near = np.zeros(len(first), dtype=np.bool_)
        has_near[list(self._near)] = True
        self.is_shared: Column = (count > 1)[self._text] | has_near[self._text]
        self._kept: dict[int, int] = {}  # the kept row, by number of the text

    def better(self, row: int) -> Duplicate | None:
        """Return the row as a duplicate if an equal or near text with the same code has been kept, else None."""
        text = int(self._text[row])
        near = [
            (self._key[other] != self._key[text], self._kept[other])
            for other in (text, *self._near.get(text, ()))
            if other in self._kept and not (other == text and self._is_further_pair(row, self._kept[other]))
        ]
        if not near:
            return None
        is_near, of = min(near)
        return Duplicate(row, f"{'near-duplicate' if is_near else 'same'} {self.name}", of)

    def _is_further_pair(self, row: int, other: int) -> bool:
        """Return whether both rows are pairs of one question, as preferences can have several, and this is its text."""
        return self.name == "question" and bool(self._questions[row] == self._questions[other])

    def keep(self, row: int) -> None:
        """Mark the row as kept."""
        self._kept[int(self._text[row])] = row
