"""Plan which rows of a snapshot are prepared, and in which order, before any text is read."""

import functools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tuning.dataset.arrow import as_indices, integers
from tuning.dataset.denied import id_columns
from tuning.dataset.options import DatasetOptions
from tuning.dataset.snapshot.columns import columns, quality_columns
from tuning.dataset.snapshot.snapshot import Snapshot, read_batches
from tuning.dataset.split.splits import seed_order
from tuning.dataset.workspace.parts import Column
from tuning.errors import TuningError
from tuning.sampling import draw

_ROWS_READ = 1 << 16  # rows per batch of the narrow columns that the plan needs
DENIED = "is denied"  # says of a row whether one of its posts is on the deny list; no column of a mart has a blank


@dataclass(frozen=True)
class Plan:
    """Hold which rows are prepared and in which order, and the columns from which this follows.

    `known` has these columns of all rows, by name: the question ids and the reasons to leave a row out. They stay in
    memory, about 12 bytes a row, so that `read` reads only the other columns, and no column is read twice.
    """

    snapshot: Snapshot
    options: DatasetOptions
    known: dict[str, pa.Array]
    rows: int  # number of rows to prepare
    chosen: Column | None  # sorted question ids of the rows to prepare; None: all rows that no filter rejects
    order: Column | None  # sort keys of the chosen questions; None: their ids

    def read(self, rows: int) -> Iterator[pa.RecordBatch]:
        """Yield the columns that the dataset needs, of all rows, in batches of at most `rows` rows.

        Raises TuningError if the snapshot cannot be read.
        """
        unread = [name for name in columns(self.snapshot.roles, self.options) if name not in self.known]
        at = 0
        for batch in read_batches(self.snapshot.files, unread, rows):
            known = [values.slice(at, batch.num_rows) for values in self.known.values()]
            yield pa.RecordBatch.from_arrays([*batch.columns, *known], [*batch.schema.names, *self.known])
            at += batch.num_rows

    def limited(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return the rows of the batch that are chosen."""
        if self.chosen is None:
            return batch
        ids = self._ids(batch)
        # Ids larger than all are compared with the last one. `numpy.isin` would hash all chosen ids for each batch.
        is_chosen = self.chosen[np.searchsorted(self.chosen[:-1], ids)] == ids
        return batch if is_chosen.all() else batch.take(as_indices(np.flatnonzero(is_chosen)))

    def places(self, batch: pa.RecordBatch) -> Column:
        """Return the sort keys of the batch's rows, which order them in their part."""
        ids = self._ids(batch)
        if self.chosen is None or self.order is None:
            return ids
        places: Column = self.order[np.searchsorted(self.chosen, ids)]
        return places

    def _ids(self, batch: pa.RecordBatch) -> Column:
        return integers(batch.column(self.snapshot.roles.attribution["question_id"]))


def read_plan(snapshot: Snapshot, options: DatasetOptions) -> Plan:
    """Read the question ids and the reasons to leave a row out, and plan the dataset.

    Raises TuningError if the snapshot has no rows or cannot be read, or if the filters reject all rows.
    """
    question_id, quality = snapshot.roles.attribution["question_id"], quality_columns(snapshot.roles, options)
    batches = list(read_batches(snapshot.files, [question_id, *quality], _ROWS_READ))
    if not batches:
        raise TuningError("the snapshot has no rows", "Run `invoke dataset` with another --tag-pattern or --since")
    known = {name: pa.concat_arrays([batch.column(name) for batch in batches]) for name in (question_id, *quality)}
    if options.denied:
        known[DENIED] = _denied(snapshot, options)
    ids = known[question_id]
    is_kept = [pc.is_null(known[name]) for name in quality]
    if options.denied:
        is_kept.append(pc.invert(known[DENIED]))
    if is_kept:
        ids = ids.filter(functools.reduce(pc.and_, is_kept))
    if not len(ids) and options.is_own:
        reason = known[quality[0]].value_counts().to_pylist()[0]["values"]
        raise TuningError(f"no row of the files can be used, for example: {reason}", "Name files with other rows")
    if not len(ids):
        raise TuningError(
            f"the filters{' and the deny list' if options.denied else ''} reject all rows of the mart",
            "Run `invoke dataset` with other filters, such as a lower --minimum-answer-score",
        )
    if not options.limit and not options.is_seed:
        return Plan(snapshot, options, known, len(ids), None, None)
    # With `return_index`, numpy sorts. Without it, numpy uses a hash table, which takes six times as long.
    chosen, _ = np.unique(integers(ids), return_index=True)
    if options.is_seed:
        chosen = chosen[: options.limit or None]
        # Reverse order of the output, so that pass two can cut off the end of a part after reading it.
        return Plan(
            snapshot, options, known, len(chosen), chosen, -np.argsort(np.concatenate(seed_order(options, len(chosen))))
        )
    chosen = np.sort(np.array(draw("limit", chosen.tolist(), options.limit, int, options.seed), dtype=np.int64))
    return Plan(snapshot, options, known, len(chosen), chosen, None)


def _denied(snapshot: Snapshot, options: DatasetOptions) -> pa.BooleanArray:
    """Return for each row whether its question or one of its answers is on the deny list."""
    parts = [
        functools.reduce(np.logical_or, (np.isin(integers(column), options.denied) for column in batch.columns))
        for batch in read_batches(snapshot.files, id_columns(snapshot.roles), _ROWS_READ)
    ]
    flags = np.concatenate(parts)
    bits = pa.py_buffer(np.packbits(flags, bitorder="little").tobytes())
    return pa.BooleanArray.from_buffers(pa.bool_(), len(flags), [None, bits])
