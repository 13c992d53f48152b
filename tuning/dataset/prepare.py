"""Pass one, in a worker: a batch of mart rows becomes encoded lines in a part file, and keys that stay in memory."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa

from tuning.dataset.formats import encode
from tuning.dataset.funnel import Dropped, DroppedExample, excerpt
from tuning.dataset.mart import LINKS, attributed, attributions, text_columns
from tuning.dataset.near import band_hashes
from tuning.dataset.options import DatasetOptions
from tuning.dataset.pairs import Pair, Rules, judge, line_of
from tuning.dataset.parts import Notes, Parts
from tuning.dataset.records import Example, Message
from tuning.dataset.shingles import text_keys


class Job(msgspec.Struct, frozen=True):
    """One part to make: the rules, the folder of the parts, the part's number and the mart's rows."""

    rules: Rules
    folder: Path
    number: int
    batch: pa.RecordBatch


def prepare(job: Job) -> pa.RecordBatch:
    """The keys of the part, made from the batch or found finished."""
    keys = Parts(job.folder).keys(job.number)
    return keys or (_prepare_seed(job) if job.rules.options.is_seed else _prepare(job))


def _prepare_seed(job: Job) -> pa.RecordBatch:
    """The seed's texts as they are."""
    options, batch = job.rules.options, job.batch
    prompts, answers = (batch.column(name).to_pylist() for name in text_columns(options))
    lines = [
        encode(options.format, Example((Message("user", prompt),), answer)) + b"\n"
        for prompt, answer in zip(prompts, answers, strict=True)
    ]
    tails = [_tail(fields, []) for fields in attributions(options, batch)]
    asked = len(job.rules.template) + 1  # characters before the question
    keys = {
        **_ids(options, batch),
        **_sizes(lines, tails),
        "question_length": pa.array([len(prompt) - asked for prompt in prompts], pa.int32()),
        "answer_length": pa.array(map(len, answers), pa.int32()),
    }
    return Parts(job.folder).write(job.number, _woven(lines, tails), keys, Notes())


def _prepare(job: Job) -> pa.RecordBatch:
    options, batch = job.rules.options, job.batch
    columns = [batch.column(name).to_pylist() for name in text_columns(options)]
    pairs = [Pair(row, *texts) for row, texts in enumerate(zip(*columns, strict=True))]
    judge(pairs, job.rules)
    kept = [pair for pair in pairs if not pair.reason]
    fields = list(attributions(options, batch))
    lines = [line_of(pair, job.rules) for pair in kept]
    tails = [_tail(fields[pair.row], pair.changes) for pair in kept]
    questions = [pair.question for pair in kept]
    answers = [pair.answer for pair in kept]
    rows = pa.array([pair.row for pair in kept], pa.int32())
    keys = {
        **_ids(options, batch.take(rows)),
        **_sizes(lines, tails),
        "question_length": pa.array(map(len, questions), pa.int32()),
        "answer_length": pa.array(map(len, answers), pa.int32()),
        "prompt_tokens": pa.array([pair.prompt_tokens for pair in kept], pa.int32()),
        "answer_tokens": pa.array([pair.answer_tokens for pair in kept], pa.int32()),
        "question_key": pa.array(text_keys(questions)),
        "answer_key": pa.array(text_keys(answers)),
        "question_bands": _fixed_lists(band_hashes(questions)),
        "answer_bands": _fixed_lists(band_hashes(answers)),
    }
    return Parts(job.folder).write(job.number, _woven(lines, tails), keys, Notes(dropped=_dropped(pairs, fields)))


def _tail(fields: dict[str, Any], changes: list[str]) -> bytes:
    """The attribution's JSON after its first fields, which pass two knows."""
    return orjson.dumps({**fields, "changes": changes})[1:]


def _woven(lines: Sequence[bytes], tails: Sequence[bytes]) -> list[bytes]:
    return [blob for pair in zip(lines, tails, strict=True) for blob in pair]


def _ids(options: DatasetOptions, batch: pa.RecordBatch) -> dict[str, pa.Array]:
    column = attributed(options)
    return {
        "question_id": batch.column("question_id").cast(pa.int64()),
        "answer_id": batch.column(column["answer_id"]).cast(pa.int64()),
        "score": batch.column(column["answer_score"]).cast(pa.int64()),
        "answered_at": batch.column(column["answer_created_at"]).cast(pa.timestamp("us")).cast(pa.int64()),
        "links": batch.column(LINKS).cast(pa.list_(pa.int64())),
    }


def _sizes(lines: Sequence[bytes], tails: Sequence[bytes]) -> dict[str, pa.Array]:
    return {
        "line_size": pa.array(map(len, lines), pa.int32()),
        "tail_size": pa.array(map(len, tails), pa.int32()),
    }


def _fixed_lists(matrix: npt.NDArray[np.uint64]) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(matrix.reshape(-1)), matrix.shape[1])


def _dropped(pairs: Sequence[Pair], fields: Sequence[dict[str, Any]]) -> list[Dropped]:
    by_reason: dict[tuple[str, str], Dropped] = {}
    for pair in pairs:
        if pair.reason:
            about = fields[pair.row]
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
