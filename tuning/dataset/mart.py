"""The columns that are read of the two marts, and what of a row stands in its attribution."""

from collections.abc import Iterator, Sequence
from typing import Any

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
    """For each row the fields of Attribution from `example_id` on, save `changes`."""
    fields = attributed(options)
    lists = [_values(batch.column(column)) for column in fields.values()]
    for row in zip(*lists, strict=True):
        yield dict(zip(fields, row, strict=True))


def _post(field: str, column: str) -> dict[str, str]:
    return {f"{field}_{one}": f"{column}_{other}" for one, other in _ABOUT_A_POST.items()}


def _values(column: pa.Array) -> list[Any]:
    if pa.types.is_timestamp(column.type):  # UTC: 2022-02-18T18:02:59.179Z
        text = column.cast(pa.timestamp("us")).cast(pa.timestamp("ms"), safe=False).cast(pa.string())
        column = pc.binary_join_element_wise(pc.replace_substring(text, " ", "T", max_replacements=1), "Z", "")
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        column = pc.fill_null(column, "")  # a deleted user has neither name nor page
    return column.to_pylist()  # type: ignore[no-any-return]
