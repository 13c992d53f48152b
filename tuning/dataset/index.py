"""What pass one leaves in memory: each prepared row's ids, hashes and where its line lies, in the order of the ids."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tuning.dataset.parts import Keys, Parts
from tuning.errors import TuningError

Column = npt.NDArray[Any]


@dataclass
class Index:
    """Column `i` of every array belongs to the row with the i-th smallest (question_id, answer_id)."""

    columns: dict[str, Column]
    links: dict[int, list[int]]  # by row, only where there are any: question ids of its duplicates

    def __len__(self) -> int:
        return len(self["question_id"])

    def __getitem__(self, name: str) -> Column:
        return self.columns[name]

    @property
    def bytes_per_row(self) -> int:
        return sum(column.nbytes for column in self.columns.values()) // max(1, len(self))

    def blob(self, parts: Parts, row: int) -> tuple[bytes, bytes]:
        """The line of a row and the tail of its attribution."""
        size = int(self["line_size"][row])
        both = parts.read(int(self["part"][row]), int(self["offset"][row]), size + int(self["tail_size"][row]))
        return both[:size], both[size:]


def build_index(keys: Sequence[Keys]) -> Index:
    """Join the keys of all parts, by part number."""
    names = keys[0].keys() - {"links", "link_counts", "notes", "crc32c"}
    columns = {name: np.concatenate([part[name] for part in keys]) for name in sorted(names)}
    columns["part"] = np.repeat(np.arange(len(keys), dtype=np.int32), [len(part["question_id"]) for part in keys])
    columns["offset"] = np.concatenate([_offsets(part) for part in keys])
    order = np.lexsort((columns["answer_id"], columns["question_id"]))
    linked = [links for part in keys for links in _links(part)]
    for name in columns:
        columns[name] = columns[name][order]
    index = Index(columns, {row: linked[old] for row, old in enumerate(order.tolist()) if linked[old]})
    _check_unique(index)
    return index


def _check_unique(index: Index) -> None:
    question, answer = index["question_id"], index["answer_id"]
    twice = np.flatnonzero((question[1:] == question[:-1]) & (answer[1:] == answer[:-1]))
    if len(twice):
        row = twice[0]
        raise TuningError(
            f"the snapshot has the pair {question[row]}-{answer[row]} more than once", "`invoke export` makes it anew"
        )


def _offsets(part: Keys) -> Column:
    sizes = part["line_size"].astype(np.int64) + part["tail_size"]
    offsets: Column = np.cumsum(sizes) - sizes
    return offsets


def _links(part: Keys) -> Iterator[list[int]]:
    values, ends = part["links"].tolist(), np.cumsum(part["link_counts"]).tolist()
    return (values[begin:end] for begin, end in itertools.pairwise([0, *ends]))
