"""The columns that are read of the two marts, and what of a row stands in its attribution."""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tuning.dataset.options import DatasetOptions
from tuning.errors import TuningError

LINKS = "linked_question_ids"
_ABOUT_A_POST = {
    "score": "score",
    "created_at": "created_at",
    "url": "url",
    "author": "author_name",
    "author_url": "author_url",
    "license": "license",
    "license_url": "license_url",
}


def text_columns(options: DatasetOptions) -> tuple[str, ...]:
    """The columns that become the line: the seed's prompt and answer; else title, body and one answer or two."""
    if options.is_seed:
        return ("input_text_instruct", "output_text")
    if options.is_preference:
        return ("question_title", "question_body", "chosen_body", "rejected_body")
    return ("question_title", "question_body", "answer_body")


def columns(options: DatasetOptions) -> list[str]:
    """Every column that a dataset with these options reads, each once."""
    return [*attributed(options).values(), LINKS, *text_columns(options)]


def check_columns(options: DatasetOptions, present: Sequence[str], where: str) -> None:
    if missing := [column for column in columns(options) if column not in present]:
        raise TuningError(f"{where} lacks the column {missing[0]}", "`invoke build` makes the mart anew")


def attributed(options: DatasetOptions) -> dict[str, str]:
    """Field of Attribution: column of the mart."""
    answer = "chosen" if options.is_preference else "answer"
    fields = {
        "example_id": "example_id",
        "question_id": "question_id",
        "answer_id": "chosen_answer_id" if options.is_preference else "answer_id",
        "tags": "tags",
        **_post("question", "question"),
        **_post("answer", answer),
    }
    if options.is_preference:
        fields |= {"rejected_answer_id": "rejected_answer_id", **_post("rejected", "rejected")}
    return fields


def attributions(options: DatasetOptions, batch: pa.RecordBatch) -> Iterator[dict[str, Any]]:
    """For each row the fields of Attribution from `example_id` on, `changes` empty."""
    fields = attributed(options)
    columns_ = [_values(batch.column(column)) for column in fields.values()]
    names = [*fields, "changes"]
    for row in zip(*columns_, itertools.repeat([])):
        yield dict(zip(names, row))  # noqa: B905 - by construction as long as each other, and this runs per row


def lists(column: pa.Array) -> list[list[Any]]:
    """The values of a column of lists, null as empty: ``to_pylist`` takes ten times as long."""
    values = pc.list_flatten(column).to_pylist()
    lengths = (length or 0 for length in pc.list_value_length(column).to_pylist())
    return [values[begin:end] for begin, end in itertools.pairwise(itertools.accumulate(lengths, initial=0))]


def integers(column: pa.Array) -> npt.NDArray[np.int64]:
    """Not ``to_numpy``, which imports pandas: that is 40 MB and a fifth of a second in every worker."""
    return np.array(column.to_pylist(), dtype=np.int64)


def _post(field: str, column: str) -> dict[str, str]:
    return {f"{field}_{one}": f"{column}_{other}" for one, other in _ABOUT_A_POST.items()}


def _values(column: pa.Array) -> list[Any]:
    if pa.types.is_timestamp(column.type):  # UTC: 2022-02-18T18:02:59.179Z
        text = column.cast(pa.timestamp("us")).cast(pa.timestamp("ms"), safe=False).cast(pa.string())
        return [value and f"{value[:10]}T{value[11:]}Z" for value in text.to_pylist()]
    if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        return lists(column)
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        # null: a deleted user has neither name nor page
        return [value or "" for value in column.to_pylist()]
    return column.to_pylist()  # type: ignore[no-any-return]
