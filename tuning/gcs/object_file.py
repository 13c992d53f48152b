"""One generation of an object of Cloud Storage, read where it lies; and what can be read alike, it or a local file."""

import contextlib
import functools
import io
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal

from tuning.errors import TuningError
from tuning.gcs.access import backoff, credentials, google_errors
from tuning.settings import Settings
from tuning.storage import CHUNK, split_uri

if TYPE_CHECKING:
    from google.cloud.storage import Blob, Client

PARALLEL = 8  # transfers at a time; more gain nothing on a common line
AT_LEAST = 8 * CHUNK  # bytes of one request where a file is read from its beginning to its end


@functools.lru_cache(8)
def client(settings: Settings) -> "Client":
    """A Cloud Storage client. An endpoint given is used as it is; STORAGE_EMULATOR_HOST is not needed."""
    from google.cloud.storage import Client

    options = {"api_endpoint": settings.storage_endpoint} if settings.storage_endpoint else None
    return Client(
        project=settings.project, credentials=credentials(settings.storage_endpoint, settings), client_options=options
    )


def blob_at(settings: Settings, uri: str, generation: int | None = None) -> "Blob":
    bucket, name = split_uri(uri)
    return client(settings).bucket(bucket).blob(name, generation=generation)


def look(settings: Settings, uri: str, generation: int | None = None) -> "Blob | None":
    """The object as it is now, or that generation of it; None where there is none."""
    bucket, name = split_uri(uri)
    return client(settings).bucket(bucket).get_blob(name, generation=generation, retry=backoff())


def bytes_of(blob: "Blob", offset: int, size: int) -> bytes:
    if not size:
        return b""
    content: bytes = blob.download_as_bytes(
        start=offset, end=offset + size - 1, raw_download=True, checksum=None, retry=backoff()
    )
    return content


@dataclass(frozen=True)
class ObjectFile:
    """One generation of an object: what takes its place is never read in its stead.

    Reading raises TuningError, at the beginning or on the way, where this generation is no longer there.
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
        return self.uri.rpartition("/")[2]

    def facts(self) -> dict[str, str | int]:
        """All but the settings."""
        return {"uri": self.uri, "generation": self.generation, "size": self.size, "crc32c": self.crc32c}

    @contextlib.contextmanager
    def open(self, mode: Literal["rb"] = "rb") -> Iterator[BinaryIO]:
        """A reader for a file that is read from its beginning to its end, as a local path's of the same mode."""
        with self.open_ranges(AT_LEAST, mode) as reader:
            yield io.BufferedReader(reader)  # type: ignore[type-var]  # Google's by itself reads a line byte by byte

    @contextlib.contextmanager
    def open_ranges(self, at_least: int, mode: Literal["rb"] = "rb") -> Iterator[BinaryIO]:
        """A seekable reader that asks the server for what is read and no more, but for `at_least` bytes."""
        with self.reading():
            blob = look(self.settings, self.uri, self.generation)
            if blob is None:
                raise self._gone()
            with blob.open(mode, chunk_size=at_least, raw_download=True, retry=backoff()) as reader:
                yield reader

    def read_range(self, offset: int, size: int) -> bytes:
        with self.reading():
            return bytes_of(blob_at(self.settings, self.uri, self.generation), offset, size)

    def exists(self) -> bool:
        with google_errors(f"looking for {self}"):
            return look(self.settings, self.uri, self.generation) is not None

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """What Google's clients raise in the block, as a TuningError."""
        from google.api_core.exceptions import NotFound

        with google_errors(f"reading {self}"):
            try:
                yield
            except NotFound:
                raise self._gone() from None

    def _gone(self) -> TuningError:
        return TuningError(f"{self} is gone or another than it was", "`invoke dataset` makes it anew")


Source = Path | ObjectFile


def read_ranges(spans: Sequence[tuple[Source, int, int]]) -> list[bytes]:
    """`read_range` for each, those of objects in parallel."""
    if any(isinstance(source, ObjectFile) for source, *_ in spans):
        with ThreadPoolExecutor(PARALLEL) as pool:
            return list(pool.map(read_range, *zip(*spans, strict=True)))
    return [read_range(*span) for span in spans]


def read_range(source: Source, offset: int, size: int) -> bytes:
    if isinstance(source, ObjectFile):
        return source.read_range(offset, size)
    with source.open("rb", buffering=0) as file:
        return os.pread(file.fileno(), size, offset)
