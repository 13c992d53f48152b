"""What the ingest benchmark measures: ours, and what one would write without it; all from Posts.xml to Parquet."""

import tempfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from lxml import etree

from tuning.sources.dump import open_dump
from tuning.sources.ingest import settle_site, write_tables
from tuning.sources.schemas import columns

_ROWS = 10_000  # of a row group in the baselines
_COLUMNS = tuple("".join(word.capitalize() for word in column.name.split("_")) for column in columns("posts_questions"))


def ours(path: str, tag: str = "") -> dict[str, int]:
    dump = open_dump(Path(path))
    with tempfile.TemporaryDirectory() as folder:
        report = write_tables(dump, settle_site(dump, ""), tag, Path(folder))
    return {"questions": report.rows["posts_questions"], "answers": report.rows["posts_answers"]}


def element_tree_per_line(path: str, tag: str = "") -> dict[str, int]:
    return _write(_kept(_rows_by_element_tree(path), tag))


def element_tree_parse_only(path: str, tag: str = "") -> dict[str, int]:
    """No Parquet at all: less work than the others do."""
    kinds = [row["PostTypeId"] for row in _kept(_rows_by_element_tree(path), tag)]
    return {"questions": kinds.count("1"), "answers": kinds.count("2")}


def lxml_iterparse(path: str, tag: str = "") -> dict[str, int]:
    return _write(_kept(_rows_by_iterparse(path), tag))


def _rows_by_element_tree(path: str) -> Iterator[dict[str, str]]:
    with Path(path).open("rb") as lines:
        for line in lines:
            if line.lstrip().startswith(b"<row"):
                yield ElementTree.fromstring(line).attrib  # noqa: S314  # the file is the benchmark's own


def _rows_by_iterparse(path: str) -> Iterator[dict[str, str]]:
    for _, element in etree.iterparse(path, tag="row"):
        yield dict(element.attrib)
        element.clear()
        while element.getprevious() is not None:
            del element.getparent()[0]


def _kept(rows: Iterable[dict[str, str]], tag: str) -> Iterator[dict[str, str]]:
    questions = set()
    for row in rows:
        if row["PostTypeId"] == "1" and tag in row["Tags"]:
            questions.add(row["Id"])
            yield row
        elif row["PostTypeId"] == "2" and (not tag or row["ParentId"] in questions):
            yield row


def _write(rows: Iterable[dict[str, str]]) -> dict[str, int]:
    schema = pa.schema([(name, pa.string()) for name in _COLUMNS])
    kinds = {"1": "questions", "2": "answers"}
    counts = dict.fromkeys(kinds.values(), 0)
    with tempfile.TemporaryDirectory() as folder:
        waiting: dict[str, list[dict[str, str]]] = {kind: [] for kind in kinds}
        writers = {
            kind: pq.ParquetWriter(Path(folder) / f"{name}.parquet", schema, compression="zstd")
            for kind, name in kinds.items()
        }
        for row in rows:
            kind = row["PostTypeId"]
            counts[kinds[kind]] += 1
            waiting[kind].append(row)
            if len(waiting[kind]) == _ROWS:
                writers[kind].write_table(pa.Table.from_pylist(waiting[kind], schema))
                waiting[kind] = []
        for kind, writer in writers.items():
            writer.write_table(pa.Table.from_pylist(waiting[kind], schema))
            writer.close()
    return counts
