"""Build the index that pass one keeps in memory: the ids, the hashes and the place of the line of each prepared row."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from tuning.dataset.workspace.parts import Column, Keys, Parts
from tuning.errors import TuningError


@dataclass
class Index:
    """Hold one array per column. The rows are sorted by (question_id, answer_id)."""

    columns: dict[str, Column]
    links: dict[int, list[int]]  # question ids that the duplicate links of a row name, by row; only for rows with links

    def __len__(self) -> int:
        return len(self["question_id"])

    def __getitem__(self, name: str) -> Column:
        return self.columns[name]

    def blobs(self, parts: Parts, rows: Sequence[int] | Column) -> tuple[pa.LargeBinaryArray, pa.LargeBinaryArray]:
        """Return the line of each row and the end of its attribution record.

        Raises TuningError if a request to Cloud Storage fails.
        """
        some = np.asarray(rows, dtype=np.int64)
        return parts.read_many(*(self[name][some] for name in ("part", "offset", "line_size", "tail_size")))


def build_index(keys: Sequence[Keys]) -> Index:
    """Build the index from the keys of all parts, in the order of the parts.

    Removes the columns from `keys` on the way, so that few of them are in memory twice. Raises TuningError if a pair of
    question id and answer id occurs more than once.
    """
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
    index = Index(columns, {int(place[old]): row_links for old, row_links in links.items()})
    check_each_once(index, "the question-answer pair", "question_id", "answer_id")
    return index


def check_each_once(index: Index, what: str, *names: str) -> None:
    """Raise TuningError if two rows have the same values in these columns.

    The index must be sorted by the columns. The message calls the values `what`.
    """
    is_same = [index[name][1:] == index[name][:-1] for name in names]
    if len(repeated := np.flatnonzero(np.logical_and.reduce(is_same))):
        values = "-".join(str(index[name][repeated[0]]) for name in names)
        raise TuningError(f"the snapshot has {what} {values} more than once", "Run `invoke export` to create it again")


def _offsets(part: Keys) -> Column:
    sizes = part["line_size"].astype(np.int64) + part["tail_size"]
    offsets: Column = np.cumsum(sizes) - sizes
    return offsets


def _links(keys: Sequence[Keys]) -> dict[int, list[int]]:
    """Return the linked question ids of the few rows that have any. Rows are numbered across all parts."""
    counts = np.concatenate([part["link_counts"] for part in keys])
    values = np.concatenate([part["links"] for part in keys])
    rows = np.flatnonzero(counts)
    ends = np.cumsum(counts[rows])
    return {
        row: values[end - count : end].tolist()
        for row, end, count in zip(rows.tolist(), ends.tolist(), counts[rows].tolist(), strict=True)
    }
