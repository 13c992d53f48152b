"""Pass one: every wanted row of the snapshot is prepared by the workers; what stays in memory is the index."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from tuning.dataset.funnel import Funnel
from tuning.dataset.index import Column, Index, build_index
from tuning.dataset.mart import columns
from tuning.dataset.options import DatasetOptions
from tuning.dataset.parallel import map_in_order
from tuning.dataset.parts import Parts, notes_of
from tuning.dataset.prepare import Recipe, begin, prepare
from tuning.dataset.snapshot import Snapshot, read_batches
from tuning.dataset.splits import first_by_salt
from tuning.errors import TuningError
from tuning.progress import progress

_ROWS_PER_PART = 1024


def run_pass_one(parts: Parts, snapshot: Snapshot, options: DatasetOptions, workers: int, funnel: Funnel) -> Index:
    """Make the part files that are not there yet, and join their keys. Counts in `funnel` what is dropped."""
    chosen = _limited(snapshot, options)
    rows = snapshot.rows if chosen is None else len(chosen)
    recipe = Recipe(
        options=options,
        template=snapshot.template,
        base_url=str(snapshot.build["base_url"]),
        folder=parts.folder,
    )
    jobs = enumerate(_batches(snapshot, options, chosen, funnel))
    keys = []
    with progress("preparing", rows, "rows") as advance:
        for batch in map_in_order(prepare, jobs, workers if rows > _ROWS_PER_PART else 1, begin, (recipe,)):
            for dropped in notes_of(batch).dropped:
                funnel.drop(dropped.step, dropped.reason, dropped.rows, dropped.examples)
            keys.append(batch)
            advance(_ROWS_PER_PART)
    if not keys:
        raise TuningError("the snapshot has no rows", "Build with another --tag-pattern or --since")
    return build_index(keys)


def _limited(snapshot: Snapshot, options: DatasetOptions) -> Column | None:
    """The question ids that --limit keeps, sorted; None: all."""
    if not options.limit:
        return None
    ids = [batch.column(0).to_numpy() for batch in read_batches(snapshot.files, ["question_id"])]
    distinct = np.unique(np.concatenate(ids)) if ids else np.zeros(0, np.int64)
    if options.is_seed:
        return distinct[: options.limit]
    return np.sort(np.array(first_by_salt(distinct.tolist(), options.seed, options.limit), dtype=np.int64))


def _batches(
    snapshot: Snapshot, options: DatasetOptions, chosen: Column | None, funnel: Funnel
) -> Iterator[pa.RecordBatch]:
    for batch in read_batches(snapshot.files, columns(options), _ROWS_PER_PART):
        rows = batch.num_rows
        if chosen is not None:
            batch = batch.filter(pa.array(np.isin(batch.column("question_id").to_numpy(), chosen)))
            funnel.drop("limit", "beyond --limit", rows - batch.num_rows)
        if batch.num_rows:
            yield batch
