"""Run pass one: workers prepare the rows of the snapshot, and only the index of the rows stays in memory."""

import functools
from collections.abc import Iterator

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from tuning.dataset.funnel import Funnel
from tuning.dataset.options import DatasetOptions
from tuning.dataset.rows.pairs import Rules
from tuning.dataset.rows.plan import DENIED, Plan, read_plan
from tuning.dataset.rows.prepare import Job, prepare
from tuning.dataset.rows.quality import without_rejected
from tuning.dataset.snapshot.snapshot import Snapshot
from tuning.dataset.workspace.index import Index, build_index
from tuning.dataset.workspace.parallel import Workers
from tuning.dataset.workspace.parts import Parts, notes_of
from tuning.progress import progress

_ROWS_PER_PART, _ROWS_PER_PART_SEED = 1024, 4096
_WORTH_WORKERS = 2_000  # rows. Up to this number, preparing them takes less time than starting workers
_COUNTED = 1_000  # questions, about, whose tokens the card counts. Counting takes twice as long as all else


def run_pass_one(parts: Parts, snapshot: Snapshot, options: DatasetOptions, workers: Workers, funnel: Funnel) -> Index:
    """Prepare the parts that are not finished yet. Return the index of the rows.

    Dropped rows are counted in `funnel`. Raises TuningError if the snapshot has no rows or cannot be read, or if
    the benchmark file is not valid.
    """
    plan = read_plan(snapshot, options)
    rules = Rules(
        options=options,
        template=snapshot.template,
        base_url=str(snapshot.build["base_url"]),
        counted=min(1, _COUNTED / plan.rows),
    )
    jobs = (
        Job(rules, snapshot.roles, parts.store, number, batch, plan.places(batch))
        for number, batch in enumerate(_batches(plan, rules, funnel))
    )
    if options.is_seed:
        done = workers.map_in_threads(prepare, jobs)
    else:
        lent = map(functools.partial(_lent, workers), jobs)
        done = workers.map(prepare, lent, is_long=plan.rows > _WORTH_WORKERS)
    keys = []
    with progress("preparing", plan.rows, "rows") as advance:
        for part in done:
            notes = notes_of(part)
            for dropped in notes.dropped:
                funnel.drop(dropped.step, dropped.reason, dropped.rows, dropped.examples)
            funnel.by_benchmark_item.update(notes.benchmark_items)
            keys.append(part)
            advance(len(part["question_id"]))
    return build_index(keys)


def _lent(workers: Workers, job: Job) -> Job:
    return msgspec.structs.replace(job, rows=workers.lend(job.store, job.number, job.rows))


def _batches(plan: Plan, rules: Rules, funnel: Funnel) -> Iterator[pa.RecordBatch]:
    """Yield the rows to prepare. The other rows are counted in `funnel`."""
    for batch in plan.read(_ROWS_PER_PART_SEED if plan.options.is_seed else _ROWS_PER_PART):
        if plan.options.denied:
            rows = batch.num_rows
            batch = batch.filter(pc.invert(batch.column(DENIED)))
            funnel.drop("deny list", "forgotten post", rows - batch.num_rows)  # the card shows none of them
        batch = without_rejected(batch, plan.snapshot.roles, rules, funnel)
        rows = batch.num_rows
        batch = plan.limited(batch)
        funnel.drop("limit", "beyond --limit", rows - batch.num_rows)
        if batch.num_rows:
            yield batch
