"""Select the columns to read from the two marts, and write the attribution of each row as JSON."""

from collections.abc import Sequence
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from tuning.dataset.arrow import as_array, constant, joined
from tuning.dataset.dataset import Attribution
from tuning.dataset.options import DatasetOptions
from tuning.warehouse.mart_columns import MartColumns


def text_columns(roles: MartColumns, options: DatasetOptions) -> tuple[str, ...]:
    """Return the columns whose texts become the JSONL line. With the seed preset, these are the notebook's two."""
    return roles.notebook_texts if options.is_seed else roles.texts


def columns(roles: MartColumns, options: DatasetOptions) -> list[str]:
    """Return all columns that a dataset with these options reads."""
    quality = quality_columns(roles, options)
    own = [roles.side, roles.copies] if roles.is_own else []
    return [*roles.attribution.values(), roles.links, *quality, *own, *text_columns(roles, options)]


def quality_columns(roles: MartColumns, options: DatasetOptions) -> tuple[str, ...]:
    """Return the column that says why a row is left out. The preset seed leaves out none."""
    return () if options.is_seed or not roles.quality else (roles.quality,)


def attribution_heads(roles: MartColumns, batch: pa.RecordBatch) -> list[pa.Array | str]:
    """Return the JSON of each row's Attribution, from `example_id` to the key `changes`, as arguments of `joined`.

    The JSON is written column by column. Converting every value to a Python object first takes three times as long.
    """
    pieces: list[pa.Array | str] = []
    between = ""
    # Use the order of the struct's fields, because dbt sorts the keys of the exposure.
    for field in (name for name in Attribution.__struct_fields__ if name in roles.attribution):
        before, values, after = _as_json(batch.column(roles.attribution[field]))
        pieces += [f'{between}"{field}":{before}', values]
        between = f"{after},"
    return [*pieces, f'{between}"changes":']


_ESCAPED = bytes([*range(0x20), *b'"\\'])  # characters that a JSON string must escape


def _as_json(column: pa.Array) -> tuple[str, pa.Array, str]:
    """Return each value as JSON: a text before every value, the values as strings, and a text after every value.

    Null becomes ``null`` in columns of times and integers, and an empty list or string in other columns.
    """
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
    text = _filled(column, "")  # the name and the profile page of a deleted user are null
    return (
        ('"', text, '"') if _is_plain(text) else ("", _each_as_json([value or "" for value in column.to_pylist()]), "")
    )


def _filled(values: pa.Array, null: str) -> pa.LargeBinaryArray:
    return values.cast(pa.large_binary()).fill_null(constant(null))


def _is_plain(texts: pa.Array) -> bool:
    """Return whether the array's buffer has no character that JSON escapes. The buffer can also hold other rows."""
    data = texts.buffers()[2]
    raw = data.to_pybytes() if data else b""
    return len(raw.translate(None, _ESCAPED)) == len(raw)


def _each_as_json(values: Sequence[Any]) -> pa.LargeBinaryArray:
    return as_array([orjson.dumps(value) for value in values])
