"""Run pass one: workers prepare the rows of the snapshot, and only the index of the rows stays in memory."""

import functools
from collections.abc import Callable, Iterator

import msgspec
import numpy as np
import pyarrow as pa

from tuning.dataset.arrow import as_indices, integers
from tuning.dataset.funnel import Funnel
from tuning.dataset.options import DatasetOptions
from tuning.dataset.rows.pairs import Pair, Rules, clean_and_filter
from tuning.dataset.rows.prepare import Job, prepare
from tuning.dataset.rows.quality import without_rejected
from tuning.dataset.snapshot.columns import columns, quality_columns, text_columns
from tuning.dataset.snapshot.snapshot import Snapshot, read_batches
from tuning.dataset.split.splits import seed_order
from tuning.dataset.tokens import calibrate
from tuning.dataset.workspace.index import Index, build_index
from tuning.dataset.workspace.parallel import Workers
from tuning.dataset.workspace.parts import Column, Parts, notes_of
from tuning.errors import TuningError
from tuning.progress import progress
from tuning.sampling import draw

_ROWS_PER_PART, _ROWS_PER_PART_SEED = 1024, 4096
_IDS_READ = 1 << 16  # rows per batch when only the column of question ids is read
_WORTH_WORKERS = 2_000  # rows. Up to this number, preparing them takes less time than starting workers
_SAMPLE = 300  # questions whose texts calibrate the token estimate


def run_pass_one(
    parts: Parts, snapshot: Snapshot, options: DatasetOptions, workers: Workers, funnel: Funnel
) -> tuple[Index, Rules]:
    """Prepare the parts that are not finished yet. Return the index of the rows, and the rules they were prepared with.

    Dropped rows are counted in `funnel`. Raises TuningError if the snapshot has no rows or cannot be read, or if
    the tokenizer or the benchmark file is not valid.
    """
    chosen = _limited(snapshot, options)
    rows = snapshot.rows if chosen is None else len(chosen)
    rules = _calibrated(snapshot, options, chosen)
    batches = _batches(snapshot, rules, chosen, funnel)
    places = _places(snapshot, options, chosen)
    jobs = (
        Job(rules, snapshot.roles, parts.store, number, batch, places(batch)) for number, batch in enumerate(batches)
    )
    if options.is_seed:
        done = workers.map_in_threads(prepare, jobs)
    else:
        done = workers.map(prepare, map(functools.partial(_lent, workers.ahead), jobs), is_long=rows > _WORTH_WORKERS)
    keys = []
    with progress("preparing", rows, "rows") as advance:
        for part in done:
            notes = notes_of(part)
            for dropped in notes.dropped:
                funnel.drop(dropped.step, dropped.reason, dropped.rows, dropped.examples)
            funnel.by_benchmark_item.update(notes.benchmark_items)
            keys.append(part)
            advance(len(part["question_id"]))
    if not keys and funnel.dropped:
        raise TuningError(
            "the filters reject all rows of the mart",
            "Run `invoke dataset` with other filters, such as a lower --minimum-answer-score",
        )
    if not keys:
        raise TuningError("the snapshot has no rows", "Run `invoke dataset` with another --tag-pattern or --since")
    return build_index(keys), rules


def _lent(slots: int, job: Job) -> Job:
    return msgspec.structs.replace(job, rows=job.store.lend(job.number % slots, job.rows))


def _calibrated(snapshot: Snapshot, options: DatasetOptions, chosen: Column | None) -> Rules:
    """Return the rules, with a token estimator that is fitted on questions drawn by a salted hash of their id."""
    rules = Rules(options=options, template=snapshot.template, base_url=str(snapshot.build["base_url"]))
    if not options.tokenizer:
        return rules
    ids = _question_ids(snapshot, options) if chosen is None else chosen
    sample = np.sort(np.array(draw("tokens", ids.tolist(), _SAMPLE, int, options.seed), dtype=np.int64))
    pairs = [
        Pair(row[_id(snapshot)], *(row[name] for name in text_columns(snapshot.roles, options)))
        for batch in _batches(snapshot, rules, sample, Funnel(0))
        for row in batch.to_pylist()
    ]
    pairs.sort(key=lambda pair: pair.row)  # `row` is the question id here, so the snapshot's order has no effect
    clean_and_filter(pairs, rules)
    texts = [text for pair in pairs if not pair.reason for text in (pair.question, pair.answer)]
    return msgspec.structs.replace(rules, tokens=calibrate(texts, options.tokenizer))


def _limited(snapshot: Snapshot, options: DatasetOptions) -> Column | None:
    """Return the sorted question ids that --limit keeps, or None for all."""
    if not options.limit:
        return None
    ids = _question_ids(snapshot, options)
    if options.is_seed:
        return ids[: options.limit]
    return np.sort(np.array(draw("limit", ids.tolist(), options.limit, int, options.seed), dtype=np.int64))


def _places(snapshot: Snapshot, options: DatasetOptions, chosen: Column | None) -> Callable[[pa.RecordBatch], Column]:
    """Return a function that gives the sort keys of a batch's rows, which order them in their part.

    The keys are the question ids. With the seed preset, they sort the rows in reverse order of the output, so that pass
    two can cut off the end of a part after reading it.
    """
    if not options.is_seed:
        return lambda batch: integers(batch.column(_id(snapshot)))
    ids = _question_ids(snapshot, options) if chosen is None else chosen
    places = -np.argsort(np.concatenate(seed_order(options, len(ids))))
    return lambda batch: places[np.searchsorted(ids, integers(batch.column(_id(snapshot))))]


def _id(snapshot: Snapshot) -> str:
    return snapshot.roles.attribution["question_id"]


def _question_ids(snapshot: Snapshot, options: DatasetOptions) -> Column:
    """Return the sorted question ids of the rows that no filter rejects."""
    quality = quality_columns(snapshot.roles, options)
    ids = []
    for batch in read_batches(snapshot.files, [_id(snapshot), *quality], _IDS_READ):
        for name in quality:
            batch = batch.filter(batch.column(name).is_null())
        ids.append(integers(batch.column(_id(snapshot))))
    # With `return_index`, numpy sorts. Without it, numpy uses a hash table, which takes six times as long.
    distinct, _ = np.unique(np.concatenate([np.zeros(0, np.int64), *ids]), return_index=True)
    return distinct


def _batches(snapshot: Snapshot, rules: Rules, chosen: Column | None, funnel: Funnel) -> Iterator[pa.RecordBatch]:
    rows_per_part = _ROWS_PER_PART_SEED if rules.options.is_seed else _ROWS_PER_PART
    for batch in read_batches(snapshot.files, columns(snapshot.roles, rules.options), rows_per_part):
        batch = without_rejected(batch, snapshot.roles, rules, funnel)
        rows = batch.num_rows
        if chosen is not None:
            batch = batch.take(as_indices(np.flatnonzero(np.isin(integers(batch.column(_id(snapshot))), chosen))))
            funnel.drop("limit", "beyond --limit", rows - batch.num_rows)
        if batch.num_rows:
            yield batch
