"""Run pass one: workers prepare the rows of the snapshot, and only the index of the rows stays in memory."""

import functools
from collections.abc import Iterator
from dataclasses import replace

import msgspec
import numpy as np
import pyarrow as pa

from tuning.dataset.funnel import Funnel
from tuning.dataset.options import DatasetOptions
from tuning.dataset.rows.pairs import Pair, Rules, clean_and_filter
from tuning.dataset.rows.plan import Plan, read_plan
from tuning.dataset.rows.prepare import Job, prepare
from tuning.dataset.rows.quality import without_rejected
from tuning.dataset.snapshot.columns import text_columns
from tuning.dataset.snapshot.snapshot import Snapshot
from tuning.dataset.tokens import calibrate
from tuning.dataset.workspace.index import Index, build_index
from tuning.dataset.workspace.parallel import Workers
from tuning.dataset.workspace.parts import Parts, notes_of
from tuning.progress import progress
from tuning.sampling import draw

_ROWS_PER_PART, _ROWS_PER_PART_SEED = 1024, 4096
_WORTH_WORKERS = 2_000  # rows. Up to this number, preparing them takes less time than starting workers
_SAMPLE = 300  # questions whose texts calibrate the token estimate


def run_pass_one(
    parts: Parts, snapshot: Snapshot, options: DatasetOptions, workers: Workers, funnel: Funnel
) -> tuple[Index, Rules]:
    """Prepare the parts that are not finished yet. Return the index of the rows, and the rules they were prepared with.

    Dropped rows are counted in `funnel`. Raises TuningError if the snapshot has no rows or cannot be read, or if
    the tokenizer or the benchmark file is not valid.
    """
    plan = read_plan(snapshot, options)
    rules = _calibrated(plan)
    jobs = (
        Job(rules, snapshot.roles, parts.store, number, batch, plan.places(batch))
        for number, batch in enumerate(_batches(plan, rules, funnel))
    )
    if options.is_seed:
        done = workers.map_in_threads(prepare, jobs)
    else:
        lent = map(functools.partial(_lent, workers.ahead), jobs)
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
    return build_index(keys), rules


def _lent(slots: int, job: Job) -> Job:
    return msgspec.structs.replace(job, rows=job.store.lend(job.number % slots, job.rows))


def _calibrated(plan: Plan) -> Rules:
    """Return the rules, with a token estimator that is fitted on questions drawn by a salted hash of their id."""
    snapshot, options = plan.snapshot, plan.options
    rules = Rules(options=options, template=snapshot.template, base_url=str(snapshot.build["base_url"]))
    if not options.tokenizer:
        return rules
    ids = [] if plan.chosen is None else plan.chosen.tolist()
    sample = replace(plan, chosen=np.sort(np.array(draw("tokens", ids, _SAMPLE, int, options.seed), dtype=np.int64)))
    pairs = [
        Pair(
            row[snapshot.roles.attribution["question_id"]],
            *(row[name] for name in text_columns(snapshot.roles, options)),
        )
        for batch in _batches(sample, rules, Funnel(0))
        for row in batch.to_pylist()
    ]
    pairs.sort(key=lambda pair: pair.row)  # `row` is the question id here, so the snapshot's order has no effect
    clean_and_filter(pairs, rules)
    texts = [text for pair in pairs if not pair.reason for text in (pair.question, pair.answer)]
    return msgspec.structs.replace(rules, tokens=calibrate(texts, options.tokenizer))


def _batches(plan: Plan, rules: Rules, funnel: Funnel) -> Iterator[pa.RecordBatch]:
    """Yield the rows to prepare. The other rows are counted in `funnel`."""
    for batch in plan.read(_ROWS_PER_PART_SEED if plan.options.is_seed else _ROWS_PER_PART):
        batch = without_rejected(batch, plan.snapshot.roles, rules, funnel)
        rows = batch.num_rows
        batch = plan.limited(batch)
        funnel.drop("limit", "beyond --limit", rows - batch.num_rows)
        if batch.num_rows:
            yield batch
