"""Rows of one raw table into one Parquet file: bounded memory, every id once, and a digest of the content."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyroaring import BitMap64

from tuning.sources.schemas import arrow_schema

ROW_GROUP = 8 << 20  # bytes of Arrow data: a row group holds no more than this and one batch


class TableFile:
    """A Parquet file that grows by batches. `digest` depends on the rows and their order, not on how they were cut."""

    def __init__(self, folder: Path, table: str) -> None:
        self.path = folder / f"{table}.parquet"
        self.rows = 0
        self._schema = arrow_schema(table)
        # Texts repeat too little for dictionaries; nobody filters these files, so statistics are dead weight.
        self._writer = pq.ParquetWriter(
            self.path, self._schema, compression="zstd", use_dictionary=False, write_statistics=False
        )
        self._pending: list[pa.RecordBatch] = []
        self._pending_bytes = 0
        self._digest = ContentDigest(self._schema)

    def add(self, batch: pa.RecordBatch) -> None:
        if not batch.num_rows:
            return
        self._digest.add(batch)
        self.rows += batch.num_rows
        self._pending.append(batch)
        self._pending_bytes += batch.nbytes
        if self._pending_bytes >= ROW_GROUP:
            self._flush()

    def close(self) -> str:
        """Finish the file; the digest of its content."""
        self._flush()
        self._writer.close()
        return self._digest.hexdigest()

    def _flush(self) -> None:
        if self._pending:
            table = pa.Table.from_batches(self._pending, self._schema)
            self._writer.write_table(table, row_group_size=table.num_rows)
            self._pending, self._pending_bytes = [], 0


class ContentDigest:
    """sha256 over columns: of each, its values one after another, and apart from them their lengths and nulls."""

    def __init__(self, schema: pa.Schema) -> None:
        self._names = schema.names
        self._values = [hashlib.sha256() for _ in schema]
        self._shapes = [hashlib.sha256() for _ in schema]

    def add(self, batch: pa.RecordBatch) -> None:
        for column, values, shape in zip(batch.columns, self._values, self._shapes, strict=True):
            if column.null_count == len(column):
                shape.update(b"\xff" * 4 * len(column))
            elif pa.types.is_string(column.type):
                shape.update(np.asarray(pc.binary_length(column).fill_null(-1), dtype="<i4").tobytes())
                values.update(_text_bytes(column))
            else:
                shape.update(np.where(np.asarray(column.is_valid()), 0, -1).astype("<i4").tobytes())
                values.update(np.asarray(column.drop_null().cast(pa.int64()), dtype="<i8").tobytes())

    def hexdigest(self) -> str:
        parts = zip(self._names, self._values, self._shapes, strict=True)
        return combined_digest([f"{name} {value.hexdigest()} {shape.hexdigest()}" for name, value, shape in parts])


def combined_digest(parts: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


class SeenIds:
    """Every id once. Compressed bitmaps: about one bit for each id of a dense range, never the rows themselves."""

    def __init__(self) -> None:
        self._ids = BitMap64()

    def first_only(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The rows whose id has not come before."""
        numbers = ids_of(batch.column("id"))
        new = BitMap64(numbers)
        if len(new) == len(numbers) and self._ids.isdisjoint(new):
            self._ids |= new
            return batch
        mask = []
        for number in numbers.tolist():
            mask.append(number not in self._ids)
            self._ids.add(number)
        return batch.filter(pa.array(mask))


def ids_of(column: pa.Array) -> "np.ndarray[tuple[int], np.dtype[np.uint64]]":
    """The ids that are not null, as a bitmap takes them: -1 (the user Community) becomes the largest number."""
    return np.asarray(column.drop_null(), dtype=np.int64).astype(np.uint64)


def _text_bytes(column: pa.StringArray) -> memoryview:
    """The bytes of all values, nulls being empty, without a copy."""
    _, offsets, data = column.buffers()
    ends = np.frombuffer(offsets, dtype=np.int32)[column.offset : column.offset + len(column) + 1]
    return memoryview(data if data is not None else b"")[int(ends[0]) : int(ends[-1])]
