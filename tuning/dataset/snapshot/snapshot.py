"""The mart as Parquet files, with the build that made it and a digest that no order changes.

A snapshot is a folder. The files lie in it, or in Cloud Storage: then the folder holds their addresses and generations,
and rows are read from there without a copy on this machine.
"""

import contextlib
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

import msgspec
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from tuning.errors import TuningError
from tuning.gcs.object_file import ObjectFile, Source
from tuning.settings import Settings
from tuning.storage import write_json

Kind = Literal["instructions", "preferences"]
FACTS = "snapshot.json"
_BATCH_ROWS = 1024
_READ, _READ_FAR = 1 << 20, 1 << 22  # bytes asked for at a time of a file here, and of one that each request takes long
_LEAST_READ = 1 << 18  # bytes of a ranged read: columns of few bytes lie side by side and are then had in one
_MODULUS = 1 << 256
if "jemalloc" in pa.supported_memory_backends():  # a seventh faster than Arrow's own choice, in a tenth less memory
    pa.set_memory_pool(pa.jemalloc_memory_pool())


class _Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What FACTS holds."""

    kind: Kind
    rows: int
    digest: str
    build: dict[str, Any]
    objects: list[dict[str, Any]] = []


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    folder: Path
    kind: Kind
    rows: int
    digest: str  # of the rows, whatever their order and their division into files and row groups
    build: dict[str, Any]  # the row of python_qa_build
    files: Sequence[Source]

    @property
    def template(self) -> str:
        return str(self.build["instruction_template"])

    def recorded_build(self) -> dict[str, object]:
        """The build without what differs from one run of dbt to the next on the same source."""
        return {name: value for name, value in self.build.items() if name != "invocation_id"}

    def marks(self) -> list[list[str | int]]:
        """What tells these very files from others, without reading them."""
        return [
            [file.uri, file.generation]
            if isinstance(file, ObjectFile)
            else [file.name, file.stat().st_size, file.stat().st_mtime_ns]
            for file in self.files
        ]


def open_snapshot(folder: Path, settings: Settings | None = None) -> Snapshot:
    """The finished snapshot in `folder`; `settings` say how its files are reached where they are in Cloud Storage."""
    try:
        facts = msgspec.json.decode((folder / FACTS).read_bytes(), type=_Facts)
    except FileNotFoundError:
        raise TuningError(f"{folder} holds no finished snapshot", "`invoke export` makes one") from None
    if facts.objects and settings is None:
        raise ValueError(f"the files of {folder} are in Cloud Storage")
    return Snapshot(
        folder=folder,
        kind=facts.kind,
        rows=facts.rows,
        digest=facts.digest,
        build=facts.build,
        files=[ObjectFile(settings, **one) for one in facts.objects if settings] or parquet_files(folder),
    )


def seal_snapshot(folder: Path, kind: Kind, build: dict[str, object], objects: Sequence[ObjectFile] = ()) -> Snapshot:
    """Read the Parquet files, `objects` or else the folder's own, once for their digest, and write the facts that
    finish the snapshot."""
    rows, digest = digest_rows(objects or parquet_files(folder))
    facts = {"kind": kind, "rows": rows, "digest": digest, "build": build}
    write_json(folder / FACTS, facts | ({"objects": [one.facts() for one in objects]} if objects else {}))
    return open_snapshot(folder, objects[0].settings if objects else None)


def parquet_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.parquet"))


def digest_rows(files: Sequence[Source]) -> tuple[int, str]:
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
    files: Sequence[Source], columns: Sequence[str] | None = None, rows: int = _BATCH_ROWS
) -> Iterator[pa.RecordBatch]:
    """Batches of at most `rows` rows in the order of the files. Memory does not grow with a file or a row group, and of
    a file in Cloud Storage only the wanted columns are asked for."""
    for source in files:
        with _opened(source) as file:
            yield from file.iter_batches(batch_size=rows, columns=columns, use_threads=False)


@contextlib.contextmanager
def _opened(source: Source) -> Iterator[pq.ParquetFile]:
    try:
        with contextlib.ExitStack() as stack:
            opened: BinaryIO | Path
            if isinstance(source, ObjectFile):
                opened, size = stack.enter_context(source.open_ranges(_LEAST_READ)), _READ_FAR
            else:
                opened, size = source, _READ
            # Checksums of pages are looked at where whoever wrote the file noted them.
            file = pq.ParquetFile(opened, buffer_size=size, pre_buffer=False, page_checksum_verification=True)
            yield stack.enter_context(file)
    except (pa.ArrowInvalid, OSError) as error:
        raise TuningError(f"{source} is no whole Parquet file ({error})", "`invoke export` makes it anew") from None


def column_names(files: Sequence[Source]) -> list[str]:
    names = []
    for source in files:
        with _opened(source) as file:
            names.append(sorted(file.schema_arrow.names))
    if any(other != names[0] for other in names):
        raise TuningError(
            f"{files[0]} and the files beside it differ in their columns", "`invoke export` makes them again"
        )
    return names[0] if names else []
