"""Prepare a batch of mart rows in a worker: write the encoded lines to a part file, and return the keys."""

import contextlib
from collections.abc import Iterable, Iterator, Sequence, Set
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from tuning.dataset.arrow import as_indices, content_of, integers, joined
from tuning.dataset.decisions import REASON, rejected
from tuning.dataset.formats.codec import ONE_TEXT, encode_columns
from tuning.dataset.funnel import Dropped, DroppedExample
from tuning.dataset.rows.pairs import Pair, Rules, clean_and_filter, line_of
from tuning.dataset.similar.minhash import band_hashes
from tuning.dataset.similar.shingles import compared_answer, exact_keys, text_keys
from tuning.dataset.snapshot.columns import attribution_heads, text_columns
from tuning.dataset.tokens import count_tokens
from tuning.dataset.workspace.parts import Column, Keys, Notes, Parts
from tuning.dataset.workspace.store import Store
from tuning.sampling import salted
from tuning.warehouse.mart_columns import MartColumns


class Job(msgspec.Struct, frozen=True):
    """Describe one part to prepare. `rows` is the batch itself, or a file or bytes that contain it.

    `places` has a sort key for each row. The rows are written to the part in the order of these keys, so that rows that
    pass two reads together are next to each other.
    """

    rules: Rules
    roles: MartColumns
    store: Store
    number: int
    rows: pa.RecordBatch | Path | bytes
    places: Column


def prepare(job: Job) -> Keys:
    """Prepare the part unless it is already finished, and return its keys.

    Raises TuningError if the tokenizer or the benchmark file is not valid, or if a request to
    Cloud Storage fails.
    """
    if keys := Parts(job.store).keys(job.number):
        return keys
    with _opened(job.rows) as batch:
        return _prepare_seed(job, batch) if job.rules.options.is_seed else _prepare(job, batch)


@contextlib.contextmanager
def _opened(rows: pa.RecordBatch | Path | bytes) -> Iterator[pa.RecordBatch]:
    if isinstance(rows, pa.RecordBatch):
        yield rows
        return
    source = pa.memory_map(str(rows)) if isinstance(rows, Path) else pa.BufferReader(rows)
    with source as file, pa.ipc.open_stream(file) as reader:
        yield reader.read_next_batch()


def _prepare_seed(job: Job, batch: pa.RecordBatch) -> Keys:
    """Write the texts of the seed preset without changes.

    No value becomes a Python object, so the threads rarely wait for the global interpreter lock.
    """
    options = job.rules.options
    batch = batch.take(as_indices(np.argsort(job.places)))
    texts = (batch.column(name) for name in text_columns(job.roles, options))
    lines, (prompts, answers) = encode_columns(dict(zip(ONE_TEXT[options.format], texts, strict=True)))
    both = joined(lines, "\n", *attribution_heads(job.roles, batch), "[]}")
    line_size = _lengths(pc.binary_length(lines)) + 1
    template_length = len(job.rules.template) + 1  # the template and the space before the question
    keys = {
        **_ids(job.roles, batch),
        "line_size": line_size,
        "tail_size": _lengths(pc.binary_length(both)) - line_size,
        "question_length": prompts.astype(np.int32) - template_length,
        "answer_length": answers.astype(np.int32),
    }
    return Parts(job.store).write(job.number, content_of(both), keys, Notes())


def _prepare(job: Job, batch: pa.RecordBatch) -> Keys:
    options = job.rules.options
    columns = [batch.column(name).to_pylist() for name in text_columns(job.roles, options)]
    pairs = [Pair(row, *(column[row] for column in columns)) for row in np.argsort(job.places).tolist()]
    clean_and_filter(pairs, job.rules)
    if options.decisions:
        _reject(pairs, batch.column(job.roles.attribution["example_id"]).to_pylist(), rejected(options.decisions))
    kept = [pair for pair in pairs if not pair.reason]
    heads = joined(*attribution_heads(job.roles, batch)).to_pylist()
    lines = [line_of(pair, job.rules) for pair in kept]
    tails = [heads[pair.row] + orjson.dumps(pair.changes) + b"}" for pair in kept]
    questions = [pair.question for pair in kept]
    answers = [pair.answer for pair in kept]
    compared = [compared_answer(pair.question, pair.answer) for pair in kept]
    ids = _ids(job.roles, batch.take(as_indices(np.array([pair.row for pair in kept]))))
    prompt_tokens, answer_tokens = _tokens(kept, ids["question_id"], job.rules)
    keys = {
        **ids,
        "line_size": _ints(map(len, lines)),
        "tail_size": _ints(map(len, tails)),
        "question_length": _ints(map(len, questions)),
        "answer_length": _ints(map(len, answers)),
        "prompt_tokens": prompt_tokens,
        "answer_tokens": answer_tokens,
        "question_key": text_keys(questions),
        "answer_key": text_keys(compared),
        "question_exact": exact_keys(questions),
        "answer_exact": exact_keys(compared),
        "question_bands": band_hashes(questions),
        "answer_bands": band_hashes(compared),
    }
    if options.is_preference:
        keys["rejected_length"] = _ints(len(pair.rejected or "") for pair in kept)
        keys["similarity"] = np.fromiter((pair.similarity for pair in kept), np.float32)
    content = b"".join(blob for pair in zip(lines, tails, strict=True) for blob in pair)
    items = [pair.benchmark_item for pair in pairs if pair.benchmark_item is not None]
    return Parts(job.store).write(job.number, content, keys, Notes(_dropped(pairs, heads), items))


def _reject(pairs: Sequence[Pair], names: Sequence[str], decided: Set[str]) -> None:
    """Drop the pairs that a person has rejected. `names` are the examples of all rows."""
    for pair in pairs:
        if not pair.reason and names[pair.row] in decided:
            pair.drop("filter", REASON)


def _tokens(pairs: Sequence[Pair], question_ids: Column, rules: Rules) -> npt.NDArray[np.int32]:
    """Return the tokens of the prompts and of the answers, with shape (2, pairs): -1 where they are not counted.

    The questions to count are chosen by a salted hash. Without a tokenizer, nothing is counted: the tokens of all
    texts are guessed.
    """
    tokenizer, bound = rules.options.tokenizer, int(rules.counted * 2**64)
    ids, seed = question_ids.tolist(), rules.options.seed
    chosen = [at for at, one in enumerate(ids) if not tokenizer or salted("tokens", seed, one) < bound]
    tokens = np.full((2, len(pairs)), -1, dtype=np.int32)
    tokens[0, chosen] = count_tokens([pairs[at].prompt_text for at in chosen], tokenizer)
    tokens[1, chosen] = count_tokens([pairs[at].answer for at in chosen], tokenizer)
    return tokens


def _ids(roles: MartColumns, batch: pa.RecordBatch) -> Keys:
    column = roles.attribution
    links = batch.column(roles.links)
    keys: Keys = {
        "question_id": integers(batch.column(column["question_id"])),
        "answer_id": integers(batch.column(column["answer_id"])),
        "links": integers(pc.list_flatten(links)),
        "link_counts": np.bincount(integers(pc.list_parent_indices(links)), minlength=len(links)).astype(np.int32),
    }
    if roles.is_own:  # of duplicates, the one with the larger score stays: that of the evaluation side
        is_eval, copies = (integers(batch.column(name)) for name in (roles.side, roles.copies))
        return keys | {"score": is_eval, "is_eval": is_eval, "copies": copies, "answered_at": np.zeros_like(is_eval)}
    times = {"answered_at": "answer_created_at"}
    if "rejected_created_at" in column:
        times |= {"asked_at": "question_created_at", "rejected_at": "rejected_created_at"}
    return keys | {
        "score": integers(batch.column(column["answer_score"])),
        **{key: _microseconds(batch.column(column[name])) for key, name in times.items()},
    }


def _microseconds(times: pa.Array) -> Column:
    return integers(times.cast(pa.timestamp("us")).cast(pa.int64()))


def _ints(values: Iterable[int]) -> npt.NDArray[np.int32]:
    return np.fromiter(values, np.int32)


def _lengths(values: pa.Array) -> npt.NDArray[np.int32]:
    return integers(values).astype(np.int32)


def _dropped(pairs: Sequence[Pair], heads: Sequence[bytes]) -> list[Dropped]:
    by_reason: dict[tuple[str, str], Dropped] = {}
    for pair in pairs:
        if pair.reason:
            about = orjson.loads(b"{%b[]}" % heads[pair.row])
            example = DroppedExample.of(about, pair.title, pair.body, pair.answer)
            by_reason.setdefault((pair.step, pair.reason), Dropped(pair.step, pair.reason)).add(1, [example])
    return list(by_reason.values())
