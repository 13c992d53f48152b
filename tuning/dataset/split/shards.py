"""Write the lines of a split as Parquet shards, which `datasets.load_dataset("parquet", …)` reads.

The bytes depend only on the lines and on the version of pyarrow, which is part of the dataset's ID.
"""

from collections.abc import Iterator
from itertools import islice
from types import UnionType
from typing import Any, Literal, get_args, get_origin

import msgspec
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from tuning.dataset.dataset import FileFacts, Split
from tuning.dataset.formats.records import LINES, Format
from tuning.dataset.workspace.outputs import Output, Outputs

SHARD = 256 << 20  # bytes of lines in a shard, about
_GROUP = 1000  # rows


def write_shards(
    outputs: Outputs, split: Split, format_: Format, lines: FileFacts, shard: int = SHARD
) -> dict[str, FileFacts]:
    """Write ``SPLIT-00000-of-0000N.parquet`` from the finished ``SPLIT.jsonl``. Return the facts of each by name.

    `lines` are the facts of that file, and `shard` is the size of its part, in bytes, that becomes one shard. One row
    group is in memory at a time. Raises TuningError if a request to Cloud Storage fails.
    """
    count = max(1, -(-lines.bytes // shard))
    rows = max(1, -(-lines.rows // count))
    schema = pa.schema(_columns(LINES[format_]))
    facts = {}
    with outputs.sources[f"{split}.jsonl"].open("rb") as file:
        for number in range(count):
            name = f"{split}-{number:05}-of-{count:05}.parquet"
            with outputs.open(name) as output:
                _write(islice(file, rows), schema, output)
            facts[name] = output.facts
    return facts


def _columns(record: type[msgspec.Struct]) -> list[pa.Field]:
    return [pa.field(field.encode_name, _kind(field.type)) for field in msgspec.structs.fields(record)]


def _kind(hint: Any) -> pa.DataType:
    """Return the type of Arrow for a field of a record: a text, a number, another record, or a list of one of these."""
    if get_origin(hint) is list:
        return pa.list_(_kind(get_args(hint)[0]))
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return pa.struct(_columns(hint))
    if get_origin(hint) is UnionType:  # a field that a line can lack
        return _kind(get_args(hint)[0])
    return {str: pa.string(), float: pa.float64()}[str if get_origin(hint) is Literal else hint]


def _write(lines: Iterator[bytes], schema: pa.Schema, output: Output) -> None:
    sink = _Sink(output)
    with pa.PythonFile(sink, mode="w") as file, pq.ParquetWriter(file, schema, compression="zstd") as writer:
        while group := [orjson.loads(line) for line in islice(lines, _GROUP)]:
            writer.write_table(pa.Table.from_pylist(group, schema=schema), row_group_size=_GROUP)
            sink.rows += len(group)
    output.append(pa.py_buffer(b""), sink.rows)


class _Sink:
    """Pass what pyarrow writes to an output."""

    closed = False

    def __init__(self, output: Output) -> None:
        self._output, self._at, self.rows = output, 0, 0

    def write(self, content: bytes) -> int:
        self._output.append(pa.py_buffer(bytes(content)), 0)
        self._at += len(content)
        return len(content)

    def tell(self) -> int:
        return self._at

    def flush(self) -> None:
        pass

    def close(self) -> None:
        self.closed = True
