"""Store working files while a dataset is being created, in a folder or as objects in Cloud Storage."""

import base64
import functools
import io
import os
import shutil
import uuid
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
from tuning.gcs.bucket import delete, object_files
from tuning.gcs.object_file import PARALLEL, blob_at, bytes_of, look
from tuning.settings import Settings

Array = npt.NDArray[Any]
Span = tuple[str, int, int]  # a file's name, offset and size in bytes
_CUT = 2 << 20  # least number of bytes to truncate at a time, because each truncation is slow


class Store(Protocol):
    """Store files by name. A file is complete or does not exist.

    A store can be sent to the worker processes. The methods of `BucketStore` raise TuningError if a request to Cloud
    Storage fails.
    """

    @property
    def gap(self) -> int:
        """Return the largest gap in bytes between two spans for which one read is faster than two."""

    def within(self, name: str) -> "Store":
        """Return a store for the files below ``name/``."""

    def write(self, name: str, content: bytes | memoryview | pa.Buffer) -> None:
        """Write a file. Replaces an existing file."""

    def read(self, name: str) -> bytes | None:
        """Return the content of a file, or None if it does not exist."""

    def read_spans(self, spans: Sequence[Span]) -> pa.Buffer:
        """Return the concatenated content of the spans."""

    def cut(self, name: str, size: int) -> None:
        """Truncate a file to `size` bytes, if this is possible and frees enough space."""

    def crc32c(self, name: str) -> int | None:
        """Return the checksum of the file's current content, or None if it does not exist."""

    def save(self, name: str, array: Array) -> None:
        """Write an array."""

    def load(self, name: str) -> Array:
        """Return the array that was saved under this name."""

    def lend(self, slot: int, batch: pa.RecordBatch) -> Path | bytes:
        """Prepare rows for a worker: return them in the Arrow IPC stream format, or the path of a file with them.

        `slot` names the file. It can be reused when the worker has finished.
        """

    def clear(self) -> None:
        """Delete all files of the store."""


class FolderStore(msgspec.Struct, frozen=True):
    """Store files in a local folder."""

    folder: Path

    gap = 1 << 14  # bytes

    def within(self, name: str) -> "FolderStore":
        """Return a store for the subfolder."""
        return FolderStore(self.folder / name)

    def write(self, name: str, content: bytes | memoryview | pa.Buffer) -> None:
        """Write a file and then rename it into place, so that a killed run leaves no incomplete file.

        Two machines that share the folder can write the same file at the same time: its temporary names differ.
        After a crash of the machine, the file can be damaged. `Parts.keys` detects this with the checksum.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        temporary = self.folder / f"{name}.{uuid.uuid4().hex}.tmp"
        try:
            temporary.write_bytes(content)
            temporary.rename(self.folder / name)
        finally:
            temporary.unlink(missing_ok=True)

    def read(self, name: str) -> bytes | None:
        """Return the content of a file, or None if it does not exist."""
        try:
            return (self.folder / name).read_bytes()
        except FileNotFoundError:
            return None

    def read_spans(self, spans: Sequence[Span]) -> pa.Buffer:
        """Return the concatenated content of the spans. Raises OSError if a file is shorter than its span."""
        buffer = pa.allocate_buffer(sum(size for *_, size in spans))
        rest = memoryview(buffer)
        for name, offset, size in spans:
            with (self.folder / name).open("rb", buffering=0) as file:
                if os.preadv(file.fileno(), [rest[:size]], offset) != size:
                    raise OSError(f"{self.folder / name} ends before byte {offset + size}")
            rest = rest[size:]
        return buffer

    def cut(self, name: str, size: int) -> None:
        """Truncate a file to `size` bytes, if this frees 2 MiB or more."""
        path = self.folder / name
        if path.stat().st_size - size >= _CUT:
            os.truncate(path, size)

    def crc32c(self, name: str) -> int | None:
        """Compute the checksum of a file, or return None if it does not exist."""
        content = self.read(name)
        return None if content is None else google_crc32c.value(content)

    def save(self, name: str, array: Array) -> None:
        """Write an array as a `.npy` file. The name must end with `.npy`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        np.save(self.folder / name, array, allow_pickle=False)

    def load(self, name: str) -> Array:
        """Open a saved array as a memory map."""
        array: Array = np.load(self.folder / name, mmap_mode="r")
        return array

    def lend(self, slot: int, batch: pa.RecordBatch) -> Path:
        """Write the rows to the file of the slot and return its path.

        The few slot files are overwritten again and again. This takes a fifth of the time of a pipe to the worker.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"slot-{slot}"
        path.touch()
        with path.open("r+b", buffering=0) as file, pa.ipc.new_stream(file, batch.schema) as writer:
            writer.write_batch(batch)
        return path

    def clear(self) -> None:
        """Delete the store's folder and everything in it."""
        shutil.rmtree(self.folder, ignore_errors=True)


class BucketStore(msgspec.Struct, frozen=True):
    """Store files as objects in a Cloud Storage bucket."""

    settings: Settings
    prefix: str  # ``gs://BUCKET/NAME``

    gap = 1 << 20  # bytes

    def within(self, name: str) -> "BucketStore":
        """Return a store for the objects below ``prefix/name/``."""
        return BucketStore(self.settings, f"{self.prefix}/{name}")

    def write(self, name: str, content: bytes | memoryview | pa.Buffer) -> None:
        """Write an object, and replace an existing one with other content.

        Raises TuningError if the request fails or if another process writes other content at the same time.
        """
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
                except PreconditionFailed:  # it exists, perhaps from this request if the response was lost
                    found = look(self.settings, uri)
                    if found and _number(found.crc32c) == google_crc32c.value(content):
                        return
                    if found is None or generation:
                        raise
                    generation = int(found.generation)
                else:
                    return

    def read(self, name: str) -> bytes | None:
        """Return the content of an object, or None if it does not exist. Raises TuningError if the request fails."""
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
        """Read the spans in parallel and return their concatenated content. Raises TuningError if a read fails."""
        with ThreadPoolExecutor(PARALLEL) as pool:
            return pa.py_buffer(b"".join(pool.map(self._read_span, spans)))

    def _read_span(self, span: Span) -> bytes:
        name, offset, size = span
        uri = f"{self.prefix}/{name}"
        with google_errors(f"reading {uri}"):
            return bytes_of(blob_at(self.settings, uri), offset, size)

    def cut(self, name: str, size: int) -> None:
        """Do nothing, because objects cannot be truncated."""

    def crc32c(self, name: str) -> int | None:
        """Return the checksum of an object, or None if it does not exist. Raises TuningError if the request fails."""
        uri = f"{self.prefix}/{name}"
        with google_errors(f"looking for {uri}"):
            found = look(self.settings, uri)
        return _number(found.crc32c) if found else None

    def save(self, name: str, array: Array) -> None:
        """Write an array as an object in the `.npy` format. Raises TuningError if the request fails."""
        file = io.BytesIO()
        np.save(file, array, allow_pickle=False)
        self.write(name, file.getbuffer())

    def load(self, name: str) -> Array:
        """Read a saved array. Raises FileNotFoundError if it does not exist and TuningError if the request fails."""
        return _load(self, name)

    def lend(self, slot: int, batch: pa.RecordBatch) -> bytes:
        """Return the rows as bytes. Sending them to a worker is fast compared with the later upload of the part."""
        del slot
        return stream_of(batch)

    def clear(self) -> None:
        """Delete all objects below the prefix. Raises TuningError if the request fails."""
        delete(object_files(self.settings, f"{self.prefix}/"))


@functools.lru_cache(8)  # a worker needs the same few arrays for each block of lines
def _load(store: BucketStore, name: str) -> Array:
    content = store.read(name)
    if content is None:
        raise FileNotFoundError(f"{store.prefix}/{name}")
    array: Array = np.load(io.BytesIO(content), allow_pickle=False)
    return array


def stream_of(batch: pa.RecordBatch) -> bytes:
    """Return the rows in the Arrow IPC stream format, without those that a slice leaves out."""
    file = io.BytesIO()
    with pa.ipc.new_stream(file, batch.schema) as writer:
        writer.write_batch(batch)
    return file.getvalue()


def _number(crc32c: str) -> int:
    """Decode a checksum, which Cloud Storage gives in base64."""
    return int.from_bytes(base64.b64decode(crc32c), "big")
