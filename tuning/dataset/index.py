"""What pass one leaves in memory: each prepared row's ids, hashes and where its line lies, in the order of the ids."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tuning.dataset.parts import Parts
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


def build_index(keys: Sequence[pa.RecordBatch]) -> Index:
    """Join the keys of all parts, by part number."""
    sizes = [batch.num_rows for batch in keys]
    columns = {
        name: np.concatenate([_numpy(batch.column(name)) for batch in keys])
        for name in keys[0].schema.names
        if name != "links"
    }
    columns["part"] = np.repeat(np.arange(len(keys), dtype=np.int32), sizes)
    columns["offset"] = np.concatenate([_offsets(batch) for batch in keys])
    order = np.lexsort((columns["answer_id"], columns["question_id"]))
    linked = [links for batch in keys for links in _links(batch)]
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


def _numpy(column: pa.Array) -> Column:
    if pa.types.is_fixed_size_list(column.type):
        width = column.type.list_size
        return column.flatten().to_numpy().reshape(-1, width)  # type: ignore[no-any-return]
    return column.to_numpy()  # type: ignore[no-any-return]


def _offsets(batch: pa.RecordBatch) -> Column:
    sizes = batch.column("line_size").to_numpy().astype(np.int64) + batch.column("tail_size").to_numpy()
    offsets: Column = np.cumsum(sizes) - sizes
    return offsets


def _links(batch: pa.RecordBatch) -> list[list[int] | None]:
    return batch.column("links").to_pylist()  # type: ignore[no-any-return]
