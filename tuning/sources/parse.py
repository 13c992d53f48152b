"""Parse blocks of ``<row … />`` elements into record batches of the raw tables, and count dropped rows by reason."""

import datetime
import functools
import itertools
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from tuning.sources.reading.plain_rows import read_plain
from tuning.sources.reading.xml_rows import LONGEST_ROW, Counts, parse_rows
from tuning.sources.schemas import TABLES, Column, Kind, arrow_schema, columns
from tuning.sources.tables import text_bytes

READ = "read"

_POST_TABLES = {"1": "posts_questions", "2": "posts_answers"}
_POST_TYPES = {
    "3": "orphaned tag wikis",
    "4": "tag wiki excerpts",
    "5": "tag wikis",
    "6": "moderator nominations",
    "7": "wiki placeholders",
    "8": "privilege wikis",
}
# Columns that are always null in the public dataset. They are null here too, even if a dump has values.
_UNUSED = {
    "posts_questions": {"parent_id"},
    "posts_answers": {"title", "accepted_answer_id", "answer_count", "favorite_count", "tags", "view_count"},
}
_REQUIRED = {
    "posts_questions": ("id", "creation_date", "title", "body"),
    "posts_answers": ("id", "creation_date", "parent_id", "body"),
    "users": ("id",),
    "post_links": ("id", "post_id", "related_post_id", "link_type_id"),
}
# https://stackoverflow.com/help/licensing
_LICENSE_3 = datetime.datetime(2011, 4, 8, tzinfo=datetime.UTC)
_LICENSE_4 = datetime.datetime(2018, 5, 2, tzinfo=datetime.UTC)
# The year 0, which Arrow reads, is neither a year of BigQuery nor of Python.
_FIRST_TIME = datetime.datetime(1, 1, 1, tzinfo=datetime.UTC)
# Dumps write "CC BY-SA 4.0".
_LICENSE = re.compile(r"CC[ _-]BY[ _-]SA[ _-](\d\.\d)", re.IGNORECASE | re.ASCII)


def _attribute(column: str) -> str:
    return "".join(word.capitalize() for word in column.split("_"))


_ATTRIBUTES = frozenset(_attribute(column.name) for table in TABLES for column in columns(table))


@dataclass
class Parsed:
    """Hold parsed rows and counts. `batches` has the table as its key.

    `licensed` is the number of posts that state their license. For `other_license` of them, the license that follows
    from their dates is different. `unknown_license` is the number of posts that state something else than a version of
    CC BY-SA.
    """

    batches: dict[str, pa.RecordBatch] = field(default_factory=dict)
    counts: Counts = field(default_factory=Counter)
    licensed: int = 0
    other_license: int = 0
    unknown_license: int = 0


Parser = Callable[[Sequence[bytes]], Parsed]


def parse_posts(blocks: Sequence[bytes]) -> Parsed:
    """Parse the questions and answers in the blocks. Count other kinds of posts, but do not parse them further."""
    parsed = Parsed()
    rows = _rows(blocks, "posts", parsed.counts)
    kinds = _texts(rows, "PostTypeId").fill_null("")
    for kind, count in zip(*(one.to_pylist() for one in kinds.value_counts().flatten()), strict=True):
        table = _POST_TABLES.get(kind)
        parsed.counts[table or post_type_name(kind), READ] += count
    for kind, table in _POST_TABLES.items():
        if (chosen := rows.filter(pc.equal(kinds, kind))).num_rows:
            _to_batch(table, chosen, parsed)
    return parsed


def parse_table(table: str) -> Parser:
    """Return a function that parses blocks of the table `users` or `post_links`. You can pickle it."""
    return functools.partial(_parse_table, table)


def post_type_name(kind: str) -> str:
    """Return the name that the counts use for a ``PostTypeId`` that is neither a question nor an answer."""
    return _POST_TYPES.get(kind, f"posts of type {kind[:20] or 'unknown'}")


def _parse_table(table: str, blocks: Sequence[bytes]) -> Parsed:
    parsed = Parsed()
    rows = _rows(blocks, table, parsed.counts)
    parsed.counts[table, READ] += rows.num_rows
    if rows.num_rows:
        _to_batch(table, rows, parsed)
    return parsed


def _rows(blocks: Sequence[bytes], table: str, counts: Counts) -> pa.Table:
    """Return the rows of the blocks in order, with a string column for each attribute that a raw table has.

    The blocks are read together if all of them are written as usual. If not, each is read alone.
    """
    is_short = max(map(len, blocks), default=0) <= LONGEST_ROW
    if is_short and (plain := read_plain(b"".join(blocks), _ATTRIBUTES)) is not None:
        return plain
    if len(blocks) > 1:
        return pa.concat_tables([_rows([block], table, counts) for block in blocks], promote_options="default")
    rows = [row for block in blocks for row in parse_rows(block, table, counts)]
    names = sorted(_ATTRIBUTES & {"Id", *itertools.chain.from_iterable(rows)})
    return pa.table({name: pa.array([row.get(name) for row in rows], pa.string()) for name in names})


def _texts(rows: pa.Table, attribute: str) -> pa.StringArray:
    """Return the attribute of each row, with null where it has none."""
    if attribute not in rows.column_names:
        return pa.nulls(rows.num_rows, pa.string())
    return rows.column(attribute).combine_chunks()


def _to_batch(table: str, rows: pa.Table, parsed: Parsed) -> None:
    reasons: list[str | None] = [None] * rows.num_rows
    arrays = {}
    for column in columns(table):
        arrays[column.name] = _column(table, column, rows, reasons)
    for name in _REQUIRED[table]:
        _mark(reasons, arrays[name].is_null(), f"no {_attribute(name)}")
    batch = pa.RecordBatch.from_arrays(list(arrays.values()), schema=arrow_schema(table))
    if any(reasons):
        parsed.counts.update((table, reason) for reason in reasons if reason)
        batch = batch.filter(pa.array([reason is None for reason in reasons]))
    if table in _UNUSED:
        _count_licenses(batch, parsed)
    parsed.batches[table] = batch


def _column(table: str, column: Column, rows: pa.Table, reasons: list[str | None]) -> pa.Array:
    """Return one column's values. A malformed value becomes null, and its row gets a reason to be dropped."""
    attribute = _attribute(column.name)
    if column.name in _UNUSED.get(table, ()):
        return pa.nulls(rows.num_rows, arrow_schema(table).field(column.name).type)
    text = _texts(rows, attribute)
    if column.name == "content_license":
        return _stated_licenses(text)
    values = _convert(text, column.kind)
    if column.name == "id" and table in _UNUSED:
        values = pc.if_else(pc.greater(values, 0), values, None)
    if values.null_count > text.null_count:
        _mark(reasons, pc.and_(text.is_valid(), values.is_null()), f"malformed {attribute}")
    if column.name == "tags":
        return plain_tags(values)
    if column.name in ("title", "body"):
        return pc.if_else(pc.equal(pc.utf8_trim_whitespace(values), ""), None, values)
    return values


def plain_tags(tags: pa.Array) -> pa.Array:
    """Convert the dumps' tags, ``<a><b>`` or ``|a|b|``, to the format of the public dataset: ``a|b``."""
    return pc.replace_substring(pc.utf8_trim(tags, "<>|"), "><", "|")


def _stated_licenses(texts: pa.Array) -> pa.Array:
    """Return each licence in the form ``CC BY-SA 4.0``. Text that names no version of CC BY-SA stays as it is."""
    encoded = texts.dictionary_encode()
    stated = [(text.strip(), _LICENSE.fullmatch(text.strip())) for text in encoded.dictionary.to_pylist()]
    names = [f"CC BY-SA {match[1]}" if match else text or None for text, match in stated]
    return pa.DictionaryArray.from_arrays(encoded.indices, pa.array(names, pa.string())).cast(pa.string())


def _convert(text: pa.Array, kind: Kind) -> pa.Array:
    if kind == "STRING":
        return text
    try:
        return _cast(text, kind)
    except pa.ArrowInvalid:  # at least one value is malformed; convert them one by one
        return pa.chunked_array(
            [_cast_one(text[number : number + 1], kind) for number in range(len(text))]
        ).combine_chunks()


def _cast(text: pa.Array, kind: Kind) -> pa.Array:
    if kind == "INT64":
        if b"x" in bytes(text_bytes(text)).lower():  # Arrow reads hexadecimal numbers too
            raise pa.ArrowInvalid("a number is not decimal")
        return text.cast(pa.int64())
    times = text.cast(pa.timestamp("us")).cast(pa.timestamp("us", tz="UTC"))  # dumps write UTC without an offset
    return pc.if_else(pc.less(times, _FIRST_TIME), None, times)


def _cast_one(text: pa.Array, kind: Kind) -> pa.Array:
    try:
        return _cast(text, kind)
    except pa.ArrowInvalid:
        return pa.nulls(1, pa.int64() if kind == "INT64" else pa.timestamp("us", tz="UTC"))


def _mark(reasons: list[str | None], mask: pa.Array, reason: str) -> None:
    """Set the reason of the rows in `mask`, unless a row already has one."""
    if pc.any(mask).as_py():
        for number in pc.indices_nonzero(mask).to_pylist():
            reasons[number] = reasons[number] or reason


def _count_licenses(batch: pa.RecordBatch, parsed: Parsed) -> None:
    """Count the posts whose stated licence differs from the one derived from their dates.

    dbt uses the stated licence. The public dataset has no licence column, so there dbt derives the licence from the
    date.
    """
    stated = batch.column("content_license")
    given = pc.if_else(pc.starts_with(stated, "CC BY-SA "), stated, None)
    dates = pc.coalesce(batch.column("last_edit_date"), batch.column("creation_date"))
    newer = pc.if_else(pc.less(dates, _LICENSE_4), "CC BY-SA 3.0", "CC BY-SA 4.0")
    derived = pc.if_else(pc.less(dates, _LICENSE_3), "CC BY-SA 2.5", newer)
    parsed.licensed += len(given) - given.null_count
    parsed.other_license += pc.sum(pc.not_equal(given, derived)).as_py() or 0
    parsed.unknown_license += given.null_count - stated.null_count
