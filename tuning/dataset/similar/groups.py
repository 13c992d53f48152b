"""Group questions that ask the same thing: duplicate links or near-duplicate texts connect them."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt


class Groups:
    """Hold groups of question ids (a union-find structure). The id of a group is the smallest question id in it."""

    def __init__(self) -> None:
        self._parent: dict[int, int] = {}

    def join(self, one: int, other: int) -> None:
        """Join the groups of two questions."""
        one, other = self.of(one), self.of(other)
        if one != other:
            self._parent[max(one, other)] = min(one, other)

    def join_all(self, ids: Iterable[int]) -> None:
        """Join the groups of all these questions. Needs at least one id."""
        first, *rest = ids
        for other in rest:
            self.join(first, other)

    def of(self, question: int) -> int:
        """Return the id of the question's group. A question that was never joined is a group of one."""
        root = question
        while (parent := self._parent.get(root, root)) != root:
            root = parent
        while question != root:
            self._parent[question], question = root, self._parent.get(question, question)
        return root

    def of_all(self, questions: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return the group id of each question."""
        groups = questions.copy()  # most questions are groups of one, whose id is the question id
        for at in np.flatnonzero(np.isin(questions, np.fromiter(self._parent, np.int64))).tolist():
            groups[at] = self.of(int(questions[at]))
        return groups

    def smallest(self, questions: npt.NDArray[np.int64], others: Iterable[int] = ()) -> npt.NDArray[np.int64]:
        """Return for each question the smallest id in its group, of these questions and `others` only."""
        ids = np.unique(np.concatenate([questions, np.fromiter(others, np.int64)]))
        groups, first = np.unique(self.of_all(ids), return_index=True)  # `ids` is sorted, so the first is the smallest
        return ids[first[np.searchsorted(groups, self.of_all(questions))]]
