"""Write the rows of one raw table to one Parquet file in bounded memory. Each ID is written once."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyroaring import BitMap64

from tuning.sources.schemas import arrow_schema

ROW_GROUP = 8 << 20  # bytes of Arrow data after which a row group is written; it can be larger by up to one batch


class TableFile:
    """Write a Parquet file batch by batch.

    The digest depends on the rows and their order, but not on how they were split into batches.
    """

    def __init__(self, folder: Path, table: str) -> None:
        self.path = folder / f"{table}.parquet"
        self.rows = 0
        self._schema = arrow_schema(table)
        # Texts rarely repeat, so dictionaries do not help. These files are not filtered, so statistics are not needed.
        self._writer = pq.ParquetWriter(
            self.path, self._schema, compression="zstd", use_dictionary=False, write_statistics=False
        )
        self._pending: list[pa.RecordBatch] = []
        self._pending_bytes = 0
        self._digest = ContentDigest(self._schema)

    def add(self, batch: pa.RecordBatch) -> None:
        """Append the rows of a batch."""
        if not batch.num_rows:
            return
        self._digest.add(batch)
        self.rows += batch.num_rows
        self._pending.append(batch)
        self._pending_bytes += batch.nbytes
        if self._pending_bytes >= ROW_GROUP:
            self._flush()

    def close(self) -> str:
        """Finish the file and return the digest of its content."""
        self._flush()
        self._writer.close()
        return self._digest.hexdigest()

    def _flush(self) -> None:
        if self._pending:
            table = pa.Table.from_batches(self._pending, self._schema)
            self._writer.write_table(table, row_group_size=table.num_rows)
            self._pending, self._pending_bytes = [], 0


class ContentDigest:
    """Compute the SHA-256 of a table that is added batch by batch.

    Each column has two hashes: one of its values, and one of their lengths and nulls.
    """

    def __init__(self, schema: pa.Schema) -> None:
        self._names = schema.names
        self._values = [hashlib.sha256() for _ in schema]
        self._shapes = [hashlib.sha256() for _ in schema]

    def add(self, batch: pa.RecordBatch) -> None:
        """Add the rows of a batch to the digest."""
        for column, values, shape in zip(batch.columns, self._values, self._shapes, strict=True):
            if column.null_count == len(column):
                shape.update(b"\xff" * 4 * len(column))
            elif pa.types.is_string(column.type):
                shape.update(np.asarray(pc.binary_length(column).fill_null(-1), dtype="<i4").tobytes())
                values.update(text_bytes(column))
            else:
                shape.update(np.where(np.asarray(column.is_valid()), 0, -1).astype("<i4").tobytes())
                values.update(np.asarray(column.drop_null().cast(pa.int64()), dtype="<i8").tobytes())

    def hexdigest(self) -> str:
        """Return the digest of all rows so far, in hexadecimal."""
        parts = zip(self._names, self._values, self._shapes, strict=True)
        return combined_digest([f"{name} {value.hexdigest()} {shape.hexdigest()}" for name, value, shape in parts])


def combined_digest(parts: Sequence[str]) -> str:
    """Return the SHA-256 of the lines `parts`, in hexadecimal."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


class SeenIds:
    """Remember the IDs of rows in a compressed bitmap. It needs about one bit per ID in a dense range."""

    def __init__(self) -> None:
        self.ids = BitMap64()

    def first_only(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return the rows whose ID is new, and remember their IDs."""
        numbers = ids_of(batch.column("id"))
        new = BitMap64(numbers)
        if len(new) == len(numbers) and self.ids.isdisjoint(new):
            self.ids |= new
            return batch
        mask = []
        for number in numbers.tolist():
            mask.append(number not in self.ids)
            self.ids.add(number)
        return batch.filter(pa.array(mask))


def ids_of(column: pa.Array) -> "np.ndarray[tuple[int], np.dtype[np.uint64]]":
    """Return the IDs that are not null as unsigned integers. -1, the ID of the user Community, becomes the largest."""
    return np.asarray(column.drop_null(), dtype=np.int64).astype(np.uint64)


def text_bytes(column: pa.StringArray) -> memoryview:
    """Return the bytes of all values without a copy. A null has no bytes."""
    _, offsets, data = column.buffers()
    ends = np.frombuffer(offsets, dtype=np.int32)[column.offset : column.offset + len(column) + 1]
    return memoryview(data if data is not None else b"")[int(ends[0]) : int(ends[-1])]
