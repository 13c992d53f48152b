"""The columns that are read of the two marts, and what of a row stands in its attribution."""

from collections.abc import Sequence
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from tuning.dataset.arrow import as_array, constant, joined
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


def attribution_heads(options: DatasetOptions, batch: pa.RecordBatch) -> list[pa.Array | str]:
    """The JSON of each row's Attribution from `example_id` on, up to and without the value of `changes`, for `joined`.

    Column by column: to make every value a Python object first takes three times as long.
    """
    pieces: list[pa.Array | str] = []
    between = ""
    for field, column in attributed(options).items():
        before, values, after = _as_json(batch.column(column))
        pieces += [f'{between}"{field}":{before}', values]
        between = f"{after},"
    return [*pieces, f'{between}"changes":']


def _post(field: str, column: str) -> dict[str, str]:
    return {f"{field}_{one}": f"{column}_{other}" for one, other in _ABOUT_A_POST.items()}


_ESCAPED = bytes([*range(0x20), *b'"\\'])  # in a string of JSON


def _as_json(column: pa.Array) -> tuple[str, pa.Array, str]:
    """Each value as JSON: what stands before it, strings, and what stands after it. Null is as Attribution has it."""
    if pa.types.is_timestamp(column.type):  # UTC: 2022-02-18T18:02:59.179Z
        text = column.cast(pa.timestamp("us")).cast(pa.timestamp("ms"), safe=False).cast(pa.string())
        text = pc.replace_substring(text, " ", "T")
        return ("", _filled(joined('"', text, 'Z"'), "null"), "") if text.null_count else ('"', text, 'Z"')
    if pa.types.is_integer(column.type):
        return "", _filled(column.cast(pa.string()), "null"), ""
    if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        texts = column.cast(pa.list_(pa.large_binary()))
        if not _is_plain(texts.values):
            return "", _each_as_json([value or [] for value in column.to_pylist()]), ""
        quoted = joined('"', pc.binary_join(texts, constant('","')), '"')
        is_any = pc.list_value_length(texts).cast(pa.bool_())
        return "[", _filled(pc.if_else(is_any, quoted, constant("")), ""), "]"
    text = _filled(column, "")  # null: a deleted user has neither name nor page
    return (
        ('"', text, '"') if _is_plain(text) else ("", _each_as_json([value or "" for value in column.to_pylist()]), "")
    )


def _filled(values: pa.Array, null: str) -> pa.LargeBinaryArray:
    return values.cast(pa.large_binary()).fill_null(constant(null))


def _is_plain(texts: pa.Array) -> bool:
    """Whether no string, nor what lies beside them in memory, holds a character that JSON escapes."""
    data = texts.buffers()[2]
    raw = data.to_pybytes() if data else b""
    return len(raw.translate(None, _ESCAPED)) == len(raw)


def _each_as_json(values: Sequence[Any]) -> pa.LargeBinaryArray:
    return as_array([orjson.dumps(value) for value in values])
