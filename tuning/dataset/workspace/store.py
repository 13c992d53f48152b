"""Where the files lie that are made and used up while a dataset is made: a folder, or objects of Cloud Storage."""

import base64
import functools
import io
import os
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

import google_crc32c
import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tuning.gcs.access import backoff, google_errors
from tuning.gcs.object_file import PARALLEL, blob_at, bytes_of, look
from tuning.gcs.objects import delete, object_files
from tuning.settings import Settings

Array = npt.NDArray[Any]
Span = tuple[str, int, int]  # a file's name, offset and size in bytes
_CUT = 2 << 20  # bytes, the fewest at a time, as each cut takes a while


class Store(Protocol):
    """Files by name, whole or not there. Plain values: it travels to the workers."""

    @property
    def gap(self) -> int:
        """Bytes between two spans that take less time to be read too than it takes to read twice."""

    def within(self, name: str) -> "Store":
        """The part of it below ``name/``."""

    def write(self, name: str, content: bytes | memoryview | pa.Buffer) -> None: ...

    def read(self, name: str) -> bytes | None:
        """None where there is no such file."""

    def read_spans(self, spans: Sequence[Span]) -> pa.Buffer:
        """What they hold, one after another."""

    def cut(self, name: str, size: int) -> None:
        """Give back what the file holds from byte `size` on, where that spares much."""

    def crc32c(self, name: str) -> int | None:
        """The checksum of what the file holds now; None where there is none."""

    def save(self, name: str, array: Array) -> None: ...

    def load(self, name: str) -> Array:
        """What was saved under that name."""

    def lend(self, slot: int, batch: pa.RecordBatch) -> Path | bytes:
        """Rows as a worker is given them."""

    def clear(self) -> None:
        """Delete it all."""


class FolderStore(msgspec.Struct, frozen=True):
    folder: Path

    gap = 1 << 14

    def within(self, name: str) -> "FolderStore":
        return FolderStore(self.folder / name)

    def write(self, name: str, content: bytes | memoryview | pa.Buffer) -> None:
        """Whole or not at all while the machine runs; a crash of the machine is found by the checksum."""
        self.folder.mkdir(parents=True, exist_ok=True)
        temporary = self.folder / f"{name}.{os.getpid()}.tmp"
        temporary.write_bytes(content)
        temporary.rename(self.folder / name)

    def read(self, name: str) -> bytes | None:
        try:
            return (self.folder / name).read_bytes()
        except FileNotFoundError:
            return None

    def read_spans(self, spans: Sequence[Span]) -> pa.Buffer:
        buffer = pa.allocate_buffer(sum(size for *_, size in spans))
        rest = memoryview(buffer)
        for name, offset, size in spans:
            with (self.folder / name).open("rb", buffering=0) as file:
                if os.preadv(file.fileno(), [rest[:size]], offset) != size:
                    raise OSError(f"{self.folder / name} ends before byte {offset + size}")
            rest = rest[size:]
        return buffer

    def cut(self, name: str, size: int) -> None:
        path = self.folder / name
        if path.stat().st_size - size >= _CUT:
            os.truncate(path, size)

    def crc32c(self, name: str) -> int | None:
        content = self.read(name)
        return None if content is None else google_crc32c.value(content)

    def save(self, name: str, array: Array) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        np.save(self.folder / name, array, allow_pickle=False)

    def load(self, name: str) -> Array:
        array: Array = np.load(self.folder / name, mmap_mode="r")
        return array

    def lend(self, slot: int, batch: pa.RecordBatch) -> Path:
        """In a file of a few that are written again and again, which costs a fifth of sending them through a pipe."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"slot-{slot}"
        path.touch()
        with path.open("r+b", buffering=0) as file, pa.ipc.new_stream(file, batch.schema) as writer:
            writer.write_batch(batch)
        return path

    def clear(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


class BucketStore(msgspec.Struct, frozen=True):
    settings: Settings
    prefix: str  # ``gs://BUCKET/NAME``

    gap = 1 << 20

    def within(self, name: str) -> "BucketStore":
        return BucketStore(self.settings, f"{self.prefix}/{name}")

    def write(self, name: str, content: bytes | memoryview | pa.Buffer) -> None:
        """Replaces what differs. Refused where somebody else writes the object meanwhile, unless the same bytes."""
        from google.api_core.exceptions import PreconditionFailed

        uri, content, generation = f"{self.prefix}/{name}", bytes(content), 0
        with google_errors(f"writing {uri}"):
            while True:
                try:
                    blob_at(self.settings, uri).upload_from_string(
                        content,
                        content_type="application/octet-stream",
                        checksum="crc32c",
                        if_generation_match=generation,
                        retry=backoff(),
                    )
                except PreconditionFailed:  # something is there, perhaps of this very request, whose answer was lost
                    found = look(self.settings, uri)
                    if found and _number(found.crc32c) == google_crc32c.value(content):
                        return
                    if found is None or generation:
                        raise
                    generation = int(found.generation)
                else:
                    return

    def read(self, name: str) -> bytes | None:
        from google.api_core.exceptions import NotFound

        uri = f"{self.prefix}/{name}"
        with google_errors(f"reading {uri}"):
            try:
                content: bytes = blob_at(self.settings, uri).download_as_bytes(
                    raw_download=True, checksum="crc32c", retry=backoff()
                )
            except NotFound:
                return None
        return content

    def read_spans(self, spans: Sequence[Span]) -> pa.Buffer:
        with ThreadPoolExecutor(PARALLEL) as pool:
            return pa.py_buffer(b"".join(pool.map(self._read_span, spans)))

    def _read_span(self, span: Span) -> bytes:
        name, offset, size = span
        uri = f"{self.prefix}/{name}"
        with google_errors(f"reading {uri}"):
            return bytes_of(blob_at(self.settings, uri), offset, size)

    def cut(self, name: str, size: int) -> None:
        """Objects stay as they are."""

    def crc32c(self, name: str) -> int | None:
        uri = f"{self.prefix}/{name}"
        with google_errors(f"looking for {uri}"):
            found = look(self.settings, uri)
        return _number(found.crc32c) if found else None

    def save(self, name: str, array: Array) -> None:
        file = io.BytesIO()
        np.save(file, array, allow_pickle=False)
        self.write(name, file.getbuffer())

    def load(self, name: str) -> Array:
        return _load(self, name)

    def lend(self, slot: int, batch: pa.RecordBatch) -> bytes:
        """The rows themselves: beside the way of the part to the bucket the pipe is short."""
        del slot
        file = io.BytesIO()
        with pa.ipc.new_stream(file, batch.schema) as writer:
            writer.write_batch(batch)
        return file.getvalue()

    def clear(self) -> None:
        delete(object_files(self.settings, f"{self.prefix}/"))


@functools.lru_cache(8)  # a worker needs the same few again for each block of lines
def _load(store: BucketStore, name: str) -> Array:
    content = store.read(name)
    if content is None:
        raise FileNotFoundError(f"{store.prefix}/{name}")
    array: Array = np.load(io.BytesIO(content), allow_pickle=False)
    return array


def _number(crc32c: str) -> int:
    """What Cloud Storage writes as base64."""
    return int.from_bytes(base64.b64decode(crc32c), "big")
