"""Groups of questions that ask the same: connected by duplicate links or near duplicates."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt


class Groups:
    """Union-find over question ids. A group's id is the smallest question id in it."""

    def __init__(self) -> None:
        self._parent: dict[int, int] = {}

    def join(self, one: int, other: int) -> None:
        one, other = self.of(one), self.of(other)
        if one != other:
            self._parent[max(one, other)] = min(one, other)

    def join_all(self, ids: Iterable[int]) -> None:
        first, *rest = ids
        for other in rest:
            self.join(first, other)

    def of(self, question: int) -> int:
        root = question
        while (parent := self._parent.get(root, root)) != root:
            root = parent
        while question != root:
            self._parent[question], question = root, self._parent.get(question, question)
        return root

    def of_all(self, questions: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        groups = questions.copy()  # most are alone
        for at in np.flatnonzero(np.isin(questions, np.fromiter(self._parent, np.int64))).tolist():
            groups[at] = self.of(int(questions[at]))
        return groups
