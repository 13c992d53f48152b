"""Pass one, in a worker: a batch of mart rows becomes encoded lines in a part file, and keys that stay in memory."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa

from tuning.dataset import clean
from tuning.dataset.benchmark import overlap
from tuning.dataset.formats import as_prompt, encode
from tuning.dataset.funnel import Dropped, DroppedExample, excerpt
from tuning.dataset.mart import LINKS, attributed, attributions, text_columns
from tuning.dataset.near import band_hashes
from tuning.dataset.options import DatasetOptions
from tuning.dataset.parts import Notes, Parts
from tuning.dataset.records import Example, Message
from tuning.dataset.redact import redact
from tuning.dataset.shingles import text_keys


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """All that a worker needs to know. Plain values: it travels to another process."""

    options: DatasetOptions
    template: str
    base_url: str  # of the site, for relative links
    folder: Path  # of the part files


class Pair(msgspec.Struct):
    """One row on its way to a line. `reason` is set where it is dropped."""

    row: int
    title: str
    body: str
    answer: str
    rejected: str | None = None
    changes: list[str] = []  # as the attribution has them
    step: str = ""
    reason: str = ""

    def drop(self, step: str, reason: str) -> None:
        self.step, self.reason = step, str(reason)


_recipe: Recipe


def begin(recipe: Recipe) -> None:
    """Once in each worker."""
    global _recipe
    _recipe = recipe


def prepare(job: tuple[int, pa.RecordBatch]) -> pa.RecordBatch:
    """The keys of the part with that number, made from the batch or found finished."""
    number, batch = job
    parts = Parts(_recipe.folder)
    if (keys := parts.keys(number)) is not None:
        return keys
    return _prepare_seed(parts, number, batch) if _recipe.options.is_seed else _prepare(parts, number, batch)


def _prepare_seed(parts: Parts, number: int, batch: pa.RecordBatch) -> pa.RecordBatch:
    """The seed's texts as they are."""
    options = _recipe.options
    prompts, answers = (batch.column(name).to_pylist() for name in text_columns(options))
    lines = [
        encode(options.format, Example((Message("user", prompt),), answer)) + b"\n"
        for prompt, answer in zip(prompts, answers, strict=True)
    ]
    tails = [_tail(fields, []) for fields in attributions(options, batch)]
    asked = len(_recipe.template) + 1  # characters before the question
    keys = {
        **_ids(batch),
        **_sizes(lines, tails),
        **_lengths([len(prompt) - asked for prompt in prompts], map(len, answers)),
    }
    return parts.write(number, _woven(lines, tails), keys, Notes())


def _prepare(parts: Parts, number: int, batch: pa.RecordBatch) -> pa.RecordBatch:
    options = _recipe.options
    columns = [batch.column(name).to_pylist() for name in text_columns(options)]
    pairs = [Pair(row, *texts) for row, texts in enumerate(zip(*columns, strict=True))]
    for pair in pairs:
        _clean(pair)
    if options.decontaminate:
        _decontaminate([pair for pair in pairs if not pair.reason], options.decontaminate)
    kept = [pair for pair in pairs if not pair.reason]
    fields = list(attributions(options, batch))
    lines = [_line(pair) for pair in kept]
    tails = [_tail(fields[pair.row], pair.changes) for pair in kept]
    questions = [f"{pair.title}\n\n{pair.body}" for pair in kept]
    answers = [pair.answer for pair in kept]
    rows = pa.array([pair.row for pair in kept], pa.int32())
    keys = {
        **_ids(batch.take(rows)),
        **_sizes(lines, tails),
        **_lengths(map(len, questions), map(len, answers)),
        "question_key": pa.array(text_keys(questions)),
        "answer_key": pa.array(text_keys(answers)),
        "question_bands": _fixed_lists(band_hashes(questions)),
        "answer_bands": _fixed_lists(band_hashes(answers)),
    }
    return parts.write(number, _woven(lines, tails), keys, Notes(dropped=_dropped(pairs, fields)))


def _clean(pair: Pair) -> None:
    """Convert, redact and judge one pair in place."""
    if _recipe.options.body == "markdown":
        for name in ("body", "answer", "rejected"):
            html = getattr(pair, name)
            markdown = html if html is None else clean.to_markdown(html, _recipe.base_url)
            if isinstance(markdown, clean.Dropped):
                return pair.drop("clean", markdown.reason)
            setattr(pair, name, markdown)
        pair.changes = ["converted to Markdown"]
    kinds: Counter[str] = Counter()
    for name in ("title", "body", "answer", "rejected"):
        if (text := getattr(pair, name)) is not None:
            redacted, found = redact(text)
            setattr(pair, name, redacted)
            kinds.update(found)
    pair.changes += [f"redacted {count} {kind}" for kind, count in sorted(kinds.items())]
    return None


def _line(pair: Pair) -> bytes:
    options = _recipe.options
    prompt = as_prompt(options.format, _recipe.template, pair.title, pair.body, options.body)
    return encode(options.format, Example(prompt, pair.answer, pair.rejected)) + b"\n"


def _tail(fields: dict[str, Any], changes: list[str]) -> bytes:
    """The attribution's JSON after its first fields, which pass two knows."""
    return orjson.dumps({**fields, "changes": changes})[1:]


def _woven(lines: Sequence[bytes], tails: Sequence[bytes]) -> list[bytes]:
    return [blob for pair in zip(lines, tails, strict=True) for blob in pair]


def _ids(batch: pa.RecordBatch) -> dict[str, pa.Array]:
    column = attributed(_recipe.options)
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


def _lengths(questions: Iterable[int], answers: Iterable[int]) -> dict[str, pa.Array]:
    """In characters."""
    return {"question_length": pa.array(questions, pa.int32()), "answer_length": pa.array(answers, pa.int32())}


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


def _decontaminate(pairs: Sequence[Pair], path: Path) -> None:
    questions = overlap([f"{pair.title}\n\n{pair.body}" for pair in pairs], path)
    answers = overlap([pair.answer for pair in pairs], path)
    for pair, in_question, in_answer in zip(pairs, questions, answers, strict=True):
        if in_question or in_answer:
            pair.drop("filter", "shares 13 words in a row with the benchmark")
