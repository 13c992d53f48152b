"""Read one generation of a Cloud Storage object in place, with the same functions as a local file."""

import contextlib
import functools
import io
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, TypedDict

from tuning.errors import TuningError
from tuning.gcs.access import backoff, credentials, google_errors
from tuning.gcs.upload import as_stored
from tuning.paths import refuse_pipe
from tuning.settings import Settings
from tuning.storage import CHUNK, split_uri

if TYPE_CHECKING:
    from google.cloud.storage import Blob, Client

PARALLEL = 8  # transfers at a time; more are not faster on a typical connection
_READ, _READ_FAR = 1 << 20, 1 << 22  # bytes of one read: local, and from Cloud Storage, where requests are slow
_LEAST_READ = 1 << 18  # minimum bytes of a ranged read: small columns are adjacent, so one read gets several
AT_LEAST = 8 * CHUNK  # minimum bytes per request when a file is read from beginning to end


@functools.lru_cache(8)
def client(settings: Settings) -> "Client":
    """Return a Cloud Storage client for Google or for TUNING_STORAGE_ENDPOINT. STORAGE_EMULATOR_HOST is not needed.

    Raises TuningError if there are no usable credentials.
    """
    from google.cloud.storage import Client

    options = {"api_endpoint": settings.storage_endpoint} if settings.storage_endpoint else None
    return Client(
        project=settings.project, credentials=credentials(settings.storage_endpoint, settings), client_options=options
    )


def blob_at(settings: Settings, uri: str, generation: int | None = None) -> "Blob":
    """Return a handle for an object, without a request. Raises TuningError if `uri` is not ``gs://BUCKET/NAME``."""
    bucket, name = split_uri(uri)
    return client(settings).bucket(bucket).blob(name, generation=generation)


def look(settings: Settings, uri: str, generation: int | None = None) -> "Blob | None":
    """Fetch the metadata of an object, or of one generation of it. Returns None if it does not exist.

    Raises TuningError if `uri` is not ``gs://BUCKET/NAME``. Errors of Google's client pass unchanged.
    """
    bucket, name = split_uri(uri)
    return client(settings).bucket(bucket).get_blob(name, generation=generation, retry=backoff())


def bytes_of(blob: "Blob", offset: int, size: int) -> bytes:
    """Download `size` bytes of an object from `offset` on. Errors of Google's client pass unchanged."""
    if not size:
        return b""
    content: bytes = blob.download_as_bytes(
        start=offset, end=offset + size - 1, raw_download=True, checksum=None, retry=backoff()
    )
    return content


class ObjectFacts(TypedDict):
    """Hold every field of an ObjectFile except the settings."""

    uri: str
    generation: int
    size: int
    crc32c: str


@dataclass(frozen=True)
class ObjectFile:
    """Represent one generation of an object. If the object is replaced, the new generation is never read instead.

    Reading raises TuningError if this generation no longer exists, at the beginning or during the read.
    """

    settings: Settings = field(repr=False)
    uri: str
    generation: int
    size: int
    crc32c: str

    def __str__(self) -> str:
        return self.uri

    @property
    def name(self) -> str:
        """Return the last part of the address."""
        return self.uri.rpartition("/")[2]

    def facts(self) -> ObjectFacts:
        """Return every field except the settings, by name."""
        return {"uri": self.uri, "generation": self.generation, "size": self.size, "crc32c": self.crc32c}

    @contextlib.contextmanager
    def open(self, mode: Literal["rb"] = "rb") -> Iterator[BinaryIO]:
        """Yield a reader for reading from beginning to end, like `Path.open`.

        Raises TuningError if this generation no longer exists.
        """
        with self.open_ranges(AT_LEAST, mode) as reader:
            yield io.BufferedReader(reader)  # type: ignore[type-var]  # Faster: Google's reader reads a line byte by byte.

    @contextlib.contextmanager
    def open_ranges(self, at_least: int, mode: Literal["rb"] = "rb") -> Iterator[BinaryIO]:
        """Yield a seekable reader that downloads only the ranges that are read, at least `at_least` bytes each time.

        Raises TuningError if this generation no longer exists.
        """
        with self.reading():
            blob = look(self.settings, self.uri, self.generation)
            if blob is None:
                raise self._gone()
            with blob.open(mode, chunk_size=at_least, raw_download=True, retry=backoff()) as reader:
                yield reader

    def read_range(self, offset: int, size: int) -> bytes:
        """Return `size` bytes from `offset` on. Raises TuningError if this generation no longer exists."""
        with self.reading():
            return bytes_of(blob_at(self.settings, self.uri, self.generation), offset, size)

    def exists(self) -> bool:
        """Return whether this generation still exists. Raises TuningError if Google refuses the call."""
        with google_errors(f"looking for {self}"):
            return look(self.settings, self.uri, self.generation) is not None

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """Raise TuningError if a Google client fails in the block or this generation no longer exists."""
        from google.api_core.exceptions import NotFound

        with google_errors(f"reading {self}"):
            try:
                yield
            except NotFound:
                raise self._gone() from None

    def _gone(self) -> TuningError:
        return TuningError(f"{self} was deleted or replaced", "Run `invoke dataset` to create it again")


Source = Path | ObjectFile


ABSENT = ""  # the generation of an object that does not exist


@dataclass(frozen=True)
class Content:
    """Hold the bytes of an object, and the generation that has them. On target local, it is a hash of the bytes."""

    place: str  # the address or the path, for messages
    content: bytes
    generation: str

    def __str__(self) -> str:
        return self.place

    def open(self, mode: Literal["rb"] = "rb") -> BinaryIO:
        """Return a reader of the bytes, like `Path.open`."""
        del mode
        return io.BytesIO(self.content)


@dataclass(frozen=True)
class Stored:
    """Hold the facts of an object after a transfer. `sent` is False if the target already had the same bytes."""

    uri: str
    size: int
    crc32c: str
    sent: bool


def objects_in(files: Sequence[Source]) -> list[ObjectFile]:
    """Return those of the files that are in Cloud Storage."""
    return [file for file in files if isinstance(file, ObjectFile)]


def size_of(source: Source) -> int:
    """Return the size of a file in bytes."""
    return source.size if isinstance(source, ObjectFile) else source.stat().st_size


def crc32c_of(source: Source) -> str:
    """Return the CRC32C of a file in the notation of Cloud Storage, base64."""
    if isinstance(source, ObjectFile):
        return source.crc32c
    import google_crc32c

    checksum: Any = google_crc32c.Checksum()  # type: ignore[no-untyped-call]
    with source.open("rb") as file:
        while chunk := file.read(CHUNK):
            checksum.update(chunk)
    return as_stored(checksum)


def mark_of(source: Source) -> list[str | int]:
    """Return values that change when a file is replaced, without reading its content."""
    if isinstance(source, ObjectFile):
        return [source.uri, source.generation]
    return [source.name, source.stat().st_size, source.stat().st_mtime_ns]


@contextlib.contextmanager
def open_parts(source: Source) -> Iterator[tuple[BinaryIO | Path, int]]:
    """Yield a path or a seekable reader, for reading single parts, and how many bytes to read at a time.

    Raises TuningError if the object no longer exists, and OSError if a pipe or device is in place of the file.
    """
    if isinstance(source, ObjectFile):
        with source.open_ranges(_LEAST_READ) as reader:
            yield reader, _READ_FAR
    else:
        refuse_pipe(source)
        yield source, _READ


def read_ranges(spans: Sequence[tuple[Source, int, int]]) -> list[bytes]:
    """Return the bytes of each span (source, offset, size). Reads from Cloud Storage run in parallel.

    Raises TuningError if an object no longer exists.
    """
    if objects_in([source for source, *_ in spans]):
        with ThreadPoolExecutor(PARALLEL) as pool:
            return list(pool.map(read_range, *zip(*spans, strict=True)))
    return [read_range(*span) for span in spans]


def read_range(source: Source, offset: int, size: int) -> bytes:
    """Return `size` bytes of an object or a local file from `offset` on.

    Raises TuningError if the object no longer exists.
    """
    if isinstance(source, ObjectFile):
        return source.read_range(offset, size)
    with source.open("rb", buffering=0) as file:
        return os.pread(file.fileno(), size, offset)
