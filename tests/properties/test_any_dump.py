"""Any dump is loaded with every row right or counted by its reason, or refused with one line."""

import codecs
import datetime
import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from hypothesis import given
from hypothesis import strategies as st

from tests.properties.any_text import attempt, short_text
from tests.sources.dumps import row
from tuning.sources.dump import open_dump
from tuning.sources.ingest import settle_site, write_tables
from tuning.sources.parse import READ, parse_posts, parse_table
from tuning.sources.raw_tables import DUPLICATE
from tuning.sources.reading.encoding import as_utf8
from tuning.sources.reading.mend import REPLACEMENT
from tuning.sources.report import IngestReport
from tuning.sources.rows import blocks
from tuning.sources.schemas import columns

TABLES = ("posts_questions", "posts_answers")
FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
texts = short_text.map(lambda text: FORBIDDEN.sub("", text)).filter(str.strip)
ids = st.integers(1, 12)
dates = st.datetimes(datetime.datetime(2008, 1, 1), datetime.datetime(2024, 1, 1))  # noqa: DTZ001
numbers = st.integers(-(2**63), 2**63 - 1)
odd = st.one_of(
    short_text, numbers.map(str), st.integers().map(str), st.floats().map(str), st.sampled_from(["", " ", "0x10"])
)
tags = st.lists(
    st.sampled_from(["python", "python-3.x", "c++", "IronPython", "é"]), min_size=1, max_size=3, unique=True
)
PREFIXES = {
    "utf-8": b"",
    "utf-8-sig": b"",
    "utf-16-le": b"",
    "utf-16-be": b"",
    "utf-16 LE": codecs.BOM_UTF16_LE,
    "utf-16 BE": codecs.BOM_UTF16_BE,
}


def good(
    number: int, text: str, date: datetime.datetime, score: int, tag_names: Sequence[str], parent: int
) -> dict[str, object]:
    """The attributes of a question, or of an answer if it has a parent."""
    shared = {"CreationDate": date.isoformat(timespec="milliseconds"), "Score": score, "Body": text}
    if parent:
        return {"Id": number, "PostTypeId": 2, "ParentId": parent, **shared}
    return {"Id": number, "PostTypeId": 1, **shared, "Title": text, "Tags": "".join(f"<{tag}>" for tag in tag_names)}


good_rows = st.builds(good, ids, texts, dates, numbers, tags, st.just(0) | ids)
NAMES = ("Id", "PostTypeId", "ParentId", "CreationDate", "Score", "Body", "Title", "Tags", "AcceptedAnswerId", "Junk")
changes = st.dictionaries(st.sampled_from(NAMES), st.none() | odd.map(lambda text: FORBIDDEN.sub("", text)), max_size=3)


def changed(one: dict[str, object], change: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in {**one, **change}.items() if value is not None}


odd_rows = st.builds(changed, good_rows, changes)


def written(rows: Sequence[dict[str, object]], encoding: str = "utf-8", newline: str = "\n") -> bytes:
    lines = ['<?xml version="1.0" encoding="utf-8"?>', "<posts>", *(row(**one) for one in rows), "</posts>"]
    return PREFIXES[encoding] + newline.join(lines).encode(encoding.lower().replace(" ", "-"))


def parsed(content: bytes, piece: int) -> Any:
    """The posts of a file whose bytes arrive `piece` at a time."""
    pieces: Iterator[bytes] = (content[at : at + piece] for at in range(0, len(content), piece))
    return parse_posts(list(blocks(as_utf8(pieces, "Posts.xml"), "Posts.xml", "posts")))


def ingested(content: bytes, tag: str = "") -> tuple[IngestReport, dict[str, list[dict[str, Any]]]]:
    """The report and the rows of a dump of one file."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "Posts.xml").write_bytes(content)
        dump = open_dump(folder / "Posts.xml")
        report = write_tables(dump, settle_site(dump, ""), tag, folder, 1)
        return report, {table: pq.read_table(folder / f"{table}.parquet").to_pylist() for table in TABLES}


@given(
    st.lists(good_rows, max_size=6),
    st.sampled_from(sorted(PREFIXES)),
    st.sampled_from(["\n", "\r\n", ""]),
    st.integers(1, 200),
)
def test_good_rows_come_out_as_they_are_in_any_encoding(
    rows: list[dict[str, object]], encoding: str, newline: str, piece: int
) -> None:
    found = parsed(written(rows, encoding, newline), piece)
    for table, kind in zip(TABLES, (1, 2), strict=True):
        expected = [
            (one["Id"], str(one["Body"]), one.get("ParentId"), one["Score"], one["CreationDate"])
            for one in rows
            if one["PostTypeId"] == kind
        ]
        batch = found.batches[table].to_pylist() if table in found.batches else []
        assert expected == [
            (
                one["id"],
                one["body"],
                one["parent_id"],
                one["score"],
                f"{one['creation_date']:%Y-%m-%dT%H:%M:%S.%f}"[:-3],
            )
            for one in batch
        ]
    assert {reason for _, reason in found.counts} <= {READ}


@given(st.lists(odd_rows, max_size=8), st.integers(1, 200))
def test_every_odd_row_is_right_or_counted_by_its_reason(rows: list[dict[str, object]], piece: int) -> None:
    found = parsed(written(rows), piece)
    assert sum(count for (_, reason), count in found.counts.items() if reason == READ) == len(rows)
    for table, kind in zip(TABLES, ("1", "2"), strict=True):
        table_rows = [one for one in rows if str(one.get("PostTypeId", "")) == kind]
        dropped = sum(count for (name, reason), count in found.counts.items() if name == table and reason != READ)
        batch = found.batches[table].to_pylist() if table in found.batches else []
        assert len(batch) + dropped == len(table_rows)
        left = iter(table_rows)
        for one in batch:  # in the order of the file, and every value is that of its attribute
            assert any(_is_same(one, source) for source in left), one


def _is_same(one: dict[str, Any], source: dict[str, object]) -> bool:
    """Whether the values of a parsed row are those of the attributes."""
    score = source.get("Score")
    return (
        _number(source.get("Id")) == one["id"]
        and source.get("Body") == one["body"]
        and _number(score) == one["score"]
        and str(source.get("CreationDate")).startswith(f"{one['creation_date'].year:04}-")
    )


def _number(value: object) -> int | None:
    return int(str(value)) if re.fullmatch(r"-?[0-9]+", str(value)) else None


def attributes_of(table: str) -> list[str]:
    return ["".join(word.capitalize() for word in column.name.split("_")) for column in columns(table)]


@given(st.sampled_from(["users", "post_links"]), st.data())
def test_every_odd_row_of_the_other_tables_is_kept_or_counted(table: str, data: st.DataObject) -> None:
    values = odd.map(lambda text: FORBIDDEN.sub("", text)) | dates.map(lambda date: date.isoformat())
    row_of = st.dictionaries(st.sampled_from(attributes_of(table)), values, max_size=9)
    rows = data.draw(st.lists(row_of, min_size=1, max_size=6))
    found = parse_table(table)(["".join(row(**one) for one in rows).encode()])
    dropped = sum(count for (_, reason), count in found.counts.items() if reason != READ)
    assert len(found.batches[table].to_pylist()) + dropped == len(rows) == found.counts[table, READ]


@given(st.lists(odd_rows, max_size=8))
def test_a_dump_with_a_tag_has_the_rows_of_the_whole_dump_with_that_tag(rows: list[dict[str, object]]) -> None:
    content = written(rows)
    whole, part = (attempt(lambda tag=tag: ingested(content, tag))[0] for tag in ("", "python"))
    if whole is None:
        assert part is None
        return
    for report, tables in (whole, part) if part else (whole,):
        assert sum(count for (_, reason), count in report.counts.items() if reason == READ) == len(rows)
        for table in TABLES:
            dropped = sum(count for (name, reason), count in report.counts.items() if name == table and reason != READ)
            assert len(tables[table]) + dropped == report.counts[table, READ]
    questions = {one["id"] for one in whole[1]["posts_questions"] if "python" in (one["tags"] or "").lower()}
    assert (part is not None) >= bool(questions)
    if part and not any(whole[0].counts[table, DUPLICATE] for table in TABLES):
        assert {one["id"] for one in part[1]["posts_questions"]} == questions
        answers = {one["id"] for one in whole[1]["posts_answers"] if one["parent_id"] in questions}
        assert {one["id"] for one in part[1]["posts_answers"]} >= answers


@given(st.lists(good_rows, min_size=1, max_size=4), st.sampled_from(sorted(PREFIXES)), st.data())
def test_a_dump_that_is_cut_off_anywhere_is_refused(
    rows: list[dict[str, object]], encoding: str, data: st.DataObject
) -> None:
    content = written(rows, encoding)
    cut = data.draw(st.integers(0, len(content) - 1))
    assert attempt(lambda: parsed(content[:cut], 50))[1]


@given(st.lists(good_rows, min_size=1, max_size=4), st.sampled_from(sorted(PREFIXES)), st.data())
def test_damaged_bytes_cost_their_rows_or_the_dump_is_refused(
    rows: list[dict[str, object]], encoding: str, data: st.DataObject
) -> None:
    content = bytearray(written(rows, encoding))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place : place + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=3))
    tag = data.draw(st.sampled_from(["", "python"]))
    result, _ = attempt(lambda: ingested(bytes(content), tag))
    if result:
        report, tables = result
        for table in TABLES:
            dropped = sum(count for (name, reason), count in report.counts.items() if name == table and reason != READ)
            assert len(tables[table]) + dropped == report.counts[table, READ]


@given(
    st.lists(good_rows, min_size=1, max_size=3),
    st.binary(max_size=4) | st.sampled_from([b"&#1;", b"&#xD800;", b"&#99999999;"]),
)
def test_bytes_that_xml_forbids_become_a_replacement_in_their_row_only(
    rows: list[dict[str, object]], inserted: bytes
) -> None:
    first = written([{**rows[0], "Body": "MARK"}, *rows[1:]]).replace(b"MARK", b"a" + inserted + b"b")
    result, _ = attempt(lambda: parsed(first, 1000))
    if result is None:
        assert b"<" in inserted
        return
    batches = [one for batch in result.batches.values() for one in batch.to_pylist()]
    lost = sum(count for (_, reason), count in result.counts.items() if reason == "not well-formed XML")
    assert len(batches) + lost == len(rows)
    assert not lost or set(inserted) & set(b'&<">')
    assert not any(FORBIDDEN.search(one["body"].replace(REPLACEMENT, "")) for one in batches)
