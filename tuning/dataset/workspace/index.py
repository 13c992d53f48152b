"""What pass one leaves in memory: each prepared row's ids, hashes and where its line lies, in the order of the ids."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from tuning.dataset.workspace.parts import Column, Keys, Parts
from tuning.errors import TuningError


@dataclass
class Index:
    """Column `i` of every array belongs to the row with the i-th smallest (question_id, answer_id)."""

    columns: dict[str, Column]
    links: dict[int, list[int]]  # by row, only where there are any: question ids of its duplicates

    def __len__(self) -> int:
        return len(self["question_id"])

    def __getitem__(self, name: str) -> Column:
        return self.columns[name]

    def blobs(self, parts: Parts, rows: Sequence[int] | Column) -> tuple[pa.LargeBinaryArray, pa.LargeBinaryArray]:
        """The line of each row and the tail of its attribution."""
        some = np.asarray(rows, dtype=np.int64)
        return parts.read_many(*(self[name][some] for name in ("part", "offset", "line_size", "tail_size")))


def build_index(keys: Sequence[Keys]) -> Index:
    """Join the keys of all parts, by part number. Takes each column out of `keys`, so that little is held twice."""
    links = _links(keys)
    names = sorted(keys[0].keys() - {"links", "link_counts", "notes", "crc32c"})
    rows = [len(part["question_id"]) for part in keys]
    columns = {"part": np.repeat(np.arange(len(keys), dtype=np.int32), rows)}
    columns["offset"] = np.concatenate([_offsets(part) for part in keys])
    for name in names:
        columns[name] = np.concatenate([part.pop(name) for part in keys])
    order = np.lexsort((columns["answer_id"], columns["question_id"]))
    for name in columns:
        columns[name] = columns[name][order]
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    index = Index(columns, {int(place[old]): its_links for old, its_links in links.items()})
    check_each_once(index, "the pair", "question_id", "answer_id")
    return index


def check_each_once(index: Index, what: str, *names: str) -> None:
    """TuningError where two rows have the same values in these columns, of those that the index is in the order of."""
    is_same = [index[name][1:] == index[name][:-1] for name in names]
    if len(twice := np.flatnonzero(np.logical_and.reduce(is_same))):
        values = "-".join(str(index[name][twice[0]]) for name in names)
        raise TuningError(f"the snapshot has {what} {values} more than once", "`invoke export` makes it anew")


def _offsets(part: Keys) -> Column:
    sizes = part["line_size"].astype(np.int64) + part["tail_size"]
    offsets: Column = np.cumsum(sizes) - sizes
    return offsets


def _links(keys: Sequence[Keys]) -> dict[int, list[int]]:
    """Linked questions by row, counted through the parts, of the few rows that have any."""
    counts = np.concatenate([part["link_counts"] for part in keys])
    values = np.concatenate([part["links"] for part in keys])
    rows = np.flatnonzero(counts)
    ends = np.cumsum(counts[rows])
    return {
        row: values[end - count : end].tolist()
        for row, end, count in zip(rows.tolist(), ends.tolist(), counts[rows].tolist(), strict=True)
    }
