"""Pass one, in a worker: a batch of mart rows becomes encoded lines in a part file, and keys that stay in memory."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from tuning.dataset.formats import ONE_TEXT
from tuning.dataset.funnel import Dropped, DroppedExample, excerpt
from tuning.dataset.mart import LINKS, attributed, attribution_heads, integers, text_columns
from tuning.dataset.near import band_hashes
from tuning.dataset.options import DatasetOptions
from tuning.dataset.pairs import Pair, Rules, judge, line_of
from tuning.dataset.parts import Column, Keys, Notes, Parts
from tuning.dataset.shingles import text_keys
from tuning.dataset.store import Store


class Job(msgspec.Struct, frozen=True):
    """One part to make: the rules, where the parts are, the part's number and the mart's rows as they are lent.

    The part gets its rows in the order of `places`, that of pass two, which then finds together what it reads together.
    """

    rules: Rules
    store: Store
    number: int
    rows: Path | bytes
    places: Column


def prepare(job: Job) -> Keys:
    """The keys of the part, made from the batch or found finished."""
    if keys := Parts(job.store).keys(job.number):
        return keys
    lent = pa.memory_map(str(job.rows)) if isinstance(job.rows, Path) else pa.BufferReader(job.rows)
    with lent as file, pa.ipc.open_stream(file) as reader:
        batch = reader.read_next_batch()
    return _prepare_seed(job, batch) if job.rules.options.is_seed else _prepare(job, batch)


def _prepare_seed(job: Job, batch: pa.RecordBatch) -> Keys:
    """The seed's texts as they are."""
    options = job.rules.options
    order = np.argsort(job.places)
    prompts, answers = (batch.column(name).to_pylist() for name in text_columns(options))
    asks, answers_ = ONE_TEXT[options.format]
    lines = [
        orjson.dumps({asks: prompts[row], answers_: answers[row]}, option=orjson.OPT_APPEND_NEWLINE)
        for row in order.tolist()
    ]
    about = batch.drop_columns(list(text_columns(options))).take(order)
    tails = [head + b"[]}" for head in attribution_heads(options, about)]
    asked = len(job.rules.template) + 1  # characters before the question
    keys = {
        **_ids(options, about),
        **_sizes(lines, tails),
        "question_length": _ints(map(len, prompts))[order] - np.int32(asked),
        "answer_length": _ints(map(len, answers))[order],
    }
    return Parts(job.store).write(job.number, _woven(lines, tails), keys, Notes())


def _prepare(job: Job, batch: pa.RecordBatch) -> Keys:
    options = job.rules.options
    columns = [batch.column(name).to_pylist() for name in text_columns(options)]
    pairs = [Pair(row, *(column[row] for column in columns)) for row in np.argsort(job.places).tolist()]
    judge(pairs, job.rules)
    kept = [pair for pair in pairs if not pair.reason]
    heads = attribution_heads(options, batch)
    lines = [line_of(pair, job.rules) for pair in kept]
    tails = [heads[pair.row] + orjson.dumps(pair.changes) + b"}" for pair in kept]
    questions = [pair.question for pair in kept]
    answers = [pair.answer for pair in kept]
    keys = {
        **_ids(options, batch.take(_ints(pair.row for pair in kept))),
        **_sizes(lines, tails),
        "question_length": _ints(map(len, questions)),
        "answer_length": _ints(map(len, answers)),
        "prompt_tokens": _ints(pair.prompt_tokens for pair in kept),
        "answer_tokens": _ints(pair.answer_tokens for pair in kept),
        "question_key": text_keys(questions),
        "answer_key": text_keys(answers),
        "question_bands": band_hashes(questions),
        "answer_bands": band_hashes(answers),
    }
    return Parts(job.store).write(job.number, _woven(lines, tails), keys, Notes(dropped=_dropped(pairs, heads)))


def _woven(lines: Sequence[bytes], tails: Sequence[bytes]) -> list[bytes]:
    return [blob for pair in zip(lines, tails, strict=True) for blob in pair]


def _ids(options: DatasetOptions, batch: pa.RecordBatch) -> Keys:
    column = attributed(options)
    links = batch.column(LINKS)
    answered_at = batch.column(column["answer_created_at"]).cast(pa.timestamp("us")).cast(pa.int64())
    return {
        "question_id": integers(batch.column("question_id")),
        "answer_id": integers(batch.column(column["answer_id"])),
        "score": integers(batch.column(column["answer_score"])),
        "answered_at": integers(answered_at),
        "links": integers(pc.list_flatten(links)),
        "link_counts": integers(pc.list_value_length(links).fill_null(0)).astype(np.int32),
    }


def _sizes(lines: Sequence[bytes], tails: Sequence[bytes]) -> Keys:
    return {"line_size": _ints(map(len, lines)), "tail_size": _ints(map(len, tails))}


def _ints(values: Iterable[int]) -> npt.NDArray[np.int32]:
    return np.fromiter(values, np.int32)


def _dropped(pairs: Sequence[Pair], heads: Sequence[bytes]) -> list[Dropped]:
    by_reason: dict[tuple[str, str], Dropped] = {}
    for pair in pairs:
        if pair.reason:
            about = orjson.loads(b"{%b[]}" % heads[pair.row])
            example = DroppedExample(
                question_id=about["question_id"],
                answer_id=about["answer_id"],
                url=about["question_url"],
                title=pair.title,
                question=excerpt(pair.body),
                answer=excerpt(pair.answer),
            )
            by_reason.setdefault((pair.step, pair.reason), Dropped(pair.step, pair.reason)).add(1, [example])
    return list(by_reason.values())
