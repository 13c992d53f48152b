"""Keep ``gs://`` objects in Cloud Storage, or on the server that TUNING_STORAGE_ENDPOINT names.

An object appears only when it is complete. CRC32C checksums are compared after each transfer. The next call resumes an
interrupted download.
"""

import contextlib
import io
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from tuning.errors import TuningError
from tuning.gcs.access import backoff, google_errors
from tuning.gcs.folder import part_uris
from tuning.gcs.object_file import (
    AT_LEAST,
    PARALLEL,
    Content,
    ObjectFile,
    Source,
    Stored,
    blob_at,
    bytes_of,
    client,
    crc32c_of,
    look,
    objects_in,
    size_of,
)
from tuning.gcs.upload import upload
from tuning.settings import Settings
from tuning.storage import split_uri

if TYPE_CHECKING:
    from google.cloud.storage import Blob


@dataclass(frozen=True)
class BucketStorage:
    """Keep objects in buckets. Every method raises TuningError if Google refuses a call."""

    settings: Settings

    def put(self, source: Source, uri: str) -> Stored:
        """Write the bytes of `source` to `uri`. Sends nothing if the object already has these bytes.

        If `source` is an object, the server copies it. Raises TuningError if another process writes the same object at
        the same time, or if the checksums differ after the transfer.
        """
        checksum, size = crc32c_of(source), size_of(source)
        with google_errors(f"uploading {source.name} to {uri}"):
            existing = look(self.settings, uri)
            if existing and existing.crc32c == checksum:
                return Stored(uri, size, checksum, sent=False)
            blob, generation = blob_at(self.settings, uri), int(existing.generation) if existing else 0
            if isinstance(source, ObjectFile):
                _rewrite(source, blob, generation)
            else:
                upload(self.settings, source, blob, checksum, generation)
            arrived = look(self.settings, uri)
        if arrived is None or arrived.crc32c != checksum:
            raise TuningError(
                f"the upload of {source} is damaged: {uri} has a different checksum", "Run the same command again"
            )
        return Stored(uri, size, checksum, sent=True)

    def get(self, uri: str, path: Path) -> Stored:
        """Download an object to `path`. Resumes a partial download of the same generation.

        Raises TuningError if the object does not exist, or if the checksums differ after the transfer.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        with google_errors(f"downloading {uri}"):
            blob = self._require(uri)
            if path.is_file() and crc32c_of(path) == blob.crc32c:
                return Stored(uri, int(blob.size), blob.crc32c, sent=False)
            partial = path.with_name(f".{path.name}.{blob.generation}.part")
            _fetch_rest(blob, partial)
        if crc32c_of(partial) != blob.crc32c:
            partial.unlink()
            raise TuningError(
                f"the download of {uri} is damaged: its checksum differs from the object's",
                "Run the same command again",
            )
        partial.rename(path)
        return Stored(uri, int(blob.size), blob.crc32c, sent=True)

    def open(self, uri: str) -> BinaryIO:
        """Return a seekable reader of the object's current generation, which never mixes in bytes of a later one.

        Raises TuningError if the object does not exist.
        """
        with google_errors(f"reading {uri}"):
            blob = self._require(uri)
            # Buffer the reader, because Google's own reader reads a line byte by byte.
            reader = blob.open("rb", chunk_size=AT_LEAST, if_generation_match=blob.generation, retry=backoff())
            return io.BufferedReader(reader)

    def read(self, uri: str) -> Content | None:
        """Return the bytes and the generation of a small object, or None if it does not exist."""
        from google.api_core.exceptions import NotFound

        with google_errors(f"reading {uri}"):
            while blob := look(self.settings, uri):
                generation = str(blob.generation)  # a download can change the property
                try:
                    return Content(uri, bytes_of(blob, 0, int(blob.size)), generation)
                except NotFound:  # it was replaced after the look
                    continue
        return None

    def replace(self, uri: str, content: bytes, generation: str) -> bool:
        """Write a small object if it still has this generation (ABSENT: if it does not exist). Return whether it had.

        A request whose answer is lost is sent again. If the first one arrived, the second one is refused, and the
        result is False.
        """
        from google.api_core.exceptions import PreconditionFailed

        with google_errors(f"writing {uri}"):
            try:
                blob_at(self.settings, uri).upload_from_string(
                    content,
                    content_type="application/octet-stream",
                    if_generation_match=int(generation or 0),
                    checksum="crc32c",
                    retry=backoff(),
                )
            except PreconditionFailed:
                return False
        return True

    def keep(self, file: Path, uri: str) -> None:
        """Upload the file as `put` does."""
        self.put(file, uri)

    def children(self, folder: str) -> list[str]:
        """Return the names of the objects and folders in the folder at this address, sorted, without hidden ones."""
        bucket, name = split_uri(f"{folder}/")
        with google_errors(f"listing {folder}"):
            found = client(self.settings).list_blobs(bucket, prefix=name, delimiter="/", retry=backoff())
            names = [blob.name for blob in found] + [prefix.rstrip("/") for prefix in found.prefixes]
        return sorted(child for child in (one.removeprefix(name) for one in names) if child and child[0] != ".")

    def move(self, uri: str, to: str) -> None:
        """Give the object `uri`, if there is one, the address `to`. The server copies it."""
        for file in object_files(self.settings, uri):
            if file.uri == uri:
                self.put(file, to)
                delete([file])

    def clear(self, folder: str) -> None:
        """Delete all objects in the folder at this address."""
        delete(object_files(self.settings, f"{folder}/"))

    def shown(self, uri: str) -> str:
        """Return the address."""
        return uri

    def addresses(self, prefix: str) -> Iterator[str]:
        """Yield the addresses that begin with `prefix`, sorted."""
        yield from (file.uri for file in object_files(self.settings, prefix))

    @contextlib.contextmanager
    def reserved(self, name: str, doing: str) -> Iterator[str]:
        """Yield a random word, because others may work in the same warehouse at the same time."""
        del name, doing
        yield uuid.uuid4().hex[:12]

    @contextlib.contextmanager
    def offered(self, files: Sequence[Path], prefix: str) -> Iterator[list[str]]:
        """Upload the files below `prefix`, yield their addresses, and delete the objects afterwards."""
        uris = part_uris(prefix, len(files))
        try:
            for file, uri in zip(files, uris, strict=True):
                self.put(file, uri)
            yield uris
        finally:
            delete(object_files(self.settings, f"{prefix}/"))

    def collect(self, prefix: str, write: Callable[[str], object]) -> list[Source]:
        """Let ``write(uri)`` write Parquet files, and return them below `prefix`. Older objects there are deleted."""
        delete(object_files(self.settings, f"{prefix}/"))
        write(f"{prefix}/part-*.parquet")
        return list(object_files(self.settings, f"{prefix}/part-"))

    def settle(self, files: Sequence[Source], folder: Path) -> list[ObjectFile]:
        """Return the collected files, which stay where they are."""
        del folder
        return objects_in(files)

    def _require(self, uri: str) -> "Blob":
        blob = look(self.settings, uri)
        if blob is None:
            raise TuningError(f"there is no {uri}")
        return blob


def object_files(settings: Settings, prefix: str) -> list[ObjectFile]:
    """Return the objects whose addresses begin with `prefix`, sorted by address.

    Raises TuningError if Google refuses the call.
    """
    bucket, name = split_uri(prefix)
    with google_errors(f"listing {prefix}"):
        blobs = list(client(settings).list_blobs(bucket, prefix=name, retry=backoff()))
    return [
        ObjectFile(settings, f"gs://{bucket}/{blob.name}", int(blob.generation), int(blob.size), blob.crc32c)
        for blob in blobs
    ]


def delete(files: Sequence[ObjectFile]) -> None:
    """Delete these generations in parallel. A generation that no longer exists is not an error.

    Raises TuningError if Google refuses a call.
    """
    from google.api_core.exceptions import NotFound

    def delete_one(file: ObjectFile) -> None:
        with google_errors(f"deleting {file}"), contextlib.suppress(NotFound):
            blob_at(file.settings, file.uri).delete(if_generation_match=file.generation, retry=backoff())

    with ThreadPoolExecutor(PARALLEL) as pool:
        list(pool.map(delete_one, files))


def _rewrite(source: ObjectFile, target: "Blob", generation: int) -> None:
    """Let the server copy an object. A large object takes several requests.

    The server refuses the copy if the target does not have `generation` (0: the target must not exist).
    """
    blob, token = blob_at(source.settings, source.uri, source.generation), None
    with source.reading():
        while True:
            token, _, _ = target.rewrite(blob, token=token, if_generation_match=generation, retry=backoff())
            if token is None:
                return


def _fetch_rest(blob: "Blob", partial: Path) -> None:
    start = partial.stat().st_size if partial.exists() else 0
    with partial.open("ab") as file:
        if start < int(blob.size):
            # raw_download returns the bytes as stored, so that their size and checksum match those of the object.
            blob.download_to_file(
                file,
                start=start,
                if_generation_match=blob.generation,
                raw_download=True,
                checksum=None,
                retry=backoff(),
            )
