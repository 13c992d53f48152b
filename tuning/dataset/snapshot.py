"""The mart as Parquet files in a folder, with the build that made it and a digest that no order changes."""

import contextlib
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from tuning.errors import TuningError
from tuning.storage import write_json

Kind = Literal["instructions", "preferences"]
FACTS = "snapshot.json"
_BATCH_ROWS = 1024
_MODULUS = 1 << 256


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    folder: Path
    kind: Kind
    rows: int
    digest: str  # of the rows, whatever their order and their division into files and row groups
    build: dict[str, Any]  # the row of python_qa_build

    @property
    def template(self) -> str:
        return str(self.build["instruction_template"])

    def recorded_build(self) -> dict[str, object]:
        """The build without what differs from one run of dbt to the next on the same source."""
        return {name: value for name, value in self.build.items() if name != "invocation_id"}

    @property
    def files(self) -> list[Path]:
        return parquet_files(self.folder)


def open_snapshot(folder: Path) -> Snapshot:
    """The finished snapshot in `folder`."""
    try:
        facts = orjson.loads((folder / FACTS).read_bytes())
    except FileNotFoundError:
        raise TuningError(f"{folder} holds no finished snapshot", "`invoke export` makes one") from None
    return msgspec.convert({**facts, "folder": str(folder)}, Snapshot, dec_hook=lambda kind, value: kind(value))


def seal_snapshot(folder: Path, kind: Kind, build: dict[str, object]) -> Snapshot:
    """Read the folder's Parquet files once for their digest, and write the facts that finish the snapshot."""
    rows, digest = digest_rows(parquet_files(folder))
    facts = {"kind": kind, "rows": rows, "digest": digest, "build": build}
    write_json(folder / FACTS, facts)
    return open_snapshot(folder)


def parquet_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.parquet"))


def digest_rows(files: Sequence[Path]) -> tuple[int, str]:
    """Number of rows, and the sum of the rows' hashes modulo 2^256: equal sets of rows give equal sums."""
    rows, total = 0, 0
    for batch in read_batches(files):
        names = sorted(batch.schema.names)
        for values in zip(*(batch.column(name).to_pylist() for name in names), strict=True):
            content = orjson.dumps(values, option=orjson.OPT_UTC_Z)
            total += int.from_bytes(hashlib.blake2b(content, digest_size=32).digest(), "big")
        rows += batch.num_rows
    content = orjson.dumps([column_names(files), rows, f"{total % _MODULUS:064x}"])
    return rows, hashlib.sha256(content).hexdigest()


def read_batches(
    files: Sequence[Path], columns: Sequence[str] | None = None, rows: int = _BATCH_ROWS
) -> Iterator[pa.RecordBatch]:
    """Batches of at most `rows` rows in the order of the files. Memory does not grow with a file or a row group."""
    for path in files:
        with _whole(path), pq.ParquetFile(path, buffer_size=1 << 20, pre_buffer=False) as file:
            yield from file.iter_batches(batch_size=rows, columns=columns, use_threads=False)


@contextlib.contextmanager
def _whole(path: Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowInvalid, OSError) as error:
        raise TuningError(f"{path} is no whole Parquet file ({error})", "`invoke export` makes it anew") from None


def column_names(files: Sequence[Path]) -> list[str]:
    names = []
    for path in files:
        with _whole(path):
            names.append(sorted(pq.read_schema(path).names))
    if any(other != names[0] for other in names):
        raise TuningError(f"the files of {files[0].parent} differ in their columns", "`invoke export` makes them again")
    return names[0] if names else []
