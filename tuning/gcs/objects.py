"""Upload, download, list and delete ``gs://`` objects.

An object appears only when it is complete. CRC32C checksums are compared after each transfer. The next call resumes an
interrupted download. On target local, without TUNING_STORAGE_ENDPOINT, an object is the local file that
`tuning.storage.local_path` returns.
"""

import contextlib
import io
import shutil
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from tuning.errors import TuningError
from tuning.gcs.access import backoff, google_errors
from tuning.gcs.object_file import AT_LEAST, PARALLEL, ObjectFile, Source, blob_at, client, look
from tuning.gcs.upload import as_stored, upload
from tuning.progress import progress
from tuning.settings import Settings
from tuning.storage import CHUNK, atomic_file, local_path, split_uri
from tuning.target import find_target

if TYPE_CHECKING:
    from google.cloud.storage import Blob


@dataclass(frozen=True)
class Stored:
    """Hold the facts of an object after a transfer. `sent` is False if the target already had the same bytes."""

    uri: str
    size: int
    crc32c: str
    sent: bool


def is_folder(settings: Settings) -> bool:
    """Return whether ``gs://`` addresses are files under TUNING_HOME."""
    return not find_target(settings).has_bucket


def put(settings: Settings, source: Source, uri: str) -> Stored:
    """Write the bytes of `source` to `uri`. Sends nothing if the object already has these bytes.

    If `source` is an object, the server copies it. Raises TuningError if another process writes the same object at the
    same time, if the checksums differ after the transfer, or if Google refuses a call.
    """
    if isinstance(source, ObjectFile):
        checksum, size = source.crc32c, source.size
    else:
        checksum, size = crc32c(source), source.stat().st_size
        if is_folder(settings):
            return _put_locally(settings, source, uri, checksum, size)
    with google_errors(f"uploading {source.name} to {uri}"):
        existing = look(settings, uri)
        if existing and existing.crc32c == checksum:
            return Stored(uri, size, checksum, sent=False)
        blob, generation = blob_at(settings, uri), int(existing.generation) if existing else 0
        if isinstance(source, ObjectFile):
            _rewrite(source, blob, generation)
        else:
            upload(settings, source, blob, checksum, generation)
        arrived = look(settings, uri)
    if arrived is None or arrived.crc32c != checksum:
        raise TuningError(
            f"the upload of {source} is damaged: {uri} has a different checksum", "Run the same command again"
        )
    return Stored(uri, size, checksum, sent=True)


def put_folder(settings: Settings, folder: Path, prefix: str, last: str) -> list[Stored]:
    """Upload every file of `folder` as `put_files` does. Raises TuningError for the same reasons."""
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return put_files(settings, {name: folder / name for name in names}, prefix, last)


def put_files(settings: Settings, files: Mapping[str, Source], prefix: str, last: str) -> list[Stored]:
    """Upload each file to ``prefix/NAME``, in parallel. The file named `last` is uploaded after all others.

    So if the object of `last` exists, all others exist too. Raises TuningError if an upload fails, as `put` does.
    """
    sizes = sum(one.size if isinstance(one, ObjectFile) else one.stat().st_size for one in files.values())
    with progress(f"uploading to {prefix}", sizes, "bytes") as advance:

        def send(name: str) -> Stored:
            stored = put(settings, files[name], f"{prefix}/{name}")
            advance(stored.size)
            return stored

        with ThreadPoolExecutor(PARALLEL) as pool:
            stored = list(pool.map(send, [name for name in files if name != last]))
        return stored + [send(name) for name in files if name == last]


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


def get(settings: Settings, uri: str, path: Path) -> Stored:
    """Download an object to `path`. Resumes a partial download of the same generation.

    Raises TuningError if the object does not exist, if the checksums differ after the transfer, or if Google refuses a
    call.
    """
    if is_folder(settings):
        source = _require_file(settings, uri)
        with source.open("rb") as opened, atomic_file(path) as file:
            shutil.copyfileobj(opened, file, CHUNK)
        return Stored(uri, path.stat().st_size, crc32c(path), sent=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    with google_errors(f"downloading {uri}"):
        blob = _require_blob(settings, uri)
        if path.is_file() and crc32c(path) == blob.crc32c:
            return Stored(uri, int(blob.size), blob.crc32c, sent=False)
        partial = path.with_name(f".{path.name}.{blob.generation}.part")
        _fetch_rest(blob, partial)
    if crc32c(partial) != blob.crc32c:
        partial.unlink()
        raise TuningError(
            f"the download of {uri} is damaged: its checksum differs from the object's", "Run the same command again"
        )
    partial.rename(path)
    return Stored(uri, int(blob.size), blob.crc32c, sent=True)


def open_object(settings: Settings, uri: str) -> BinaryIO:
    """Return a seekable reader of the object's current generation, which never mixes in bytes of a later one.

    Raises TuningError if the object does not exist or Google refuses the call.
    """
    if is_folder(settings):
        return _require_file(settings, uri).open("rb")
    with google_errors(f"reading {uri}"):
        blob = _require_blob(settings, uri)
        # Buffer the reader, because Google's own reader reads a line byte by byte.
        return io.BufferedReader(blob.open("rb", chunk_size=AT_LEAST, if_generation_match=blob.generation))


def object_files(settings: Settings, prefix: str) -> list[ObjectFile]:
    """Return the objects whose addresses begin with `prefix`, sorted by address.

    Use it only if ``is_folder(settings)`` is False. Raises TuningError if Google refuses the call.
    """
    bucket, name = split_uri(prefix)
    with google_errors(f"listing {prefix}"):
        blobs = list(client(settings).list_blobs(bucket, prefix=name, retry=backoff()))
    return [
        ObjectFile(settings, f"gs://{bucket}/{blob.name}", int(blob.generation), int(blob.size), blob.crc32c)
        for blob in blobs
    ]


def list_objects(settings: Settings, prefix: str) -> Iterator[str]:
    """Yield the addresses that begin with `prefix`, sorted. Raises TuningError if Google refuses the call."""
    bucket, name = split_uri(prefix)
    if is_folder(settings):
        root = settings.gcs_dir / bucket
        names = sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())
        yield from (f"gs://{bucket}/{path}" for path in names if path.startswith(name))
        return
    yield from (file.uri for file in object_files(settings, prefix))


def crc32c(path: Path) -> str:
    """Return the CRC32C of a file in the notation of Cloud Storage, base64."""
    import google_crc32c

    checksum: Any = google_crc32c.Checksum()  # type: ignore[no-untyped-call]
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            checksum.update(chunk)
    return as_stored(checksum)


def _put_locally(settings: Settings, path: Path, uri: str, checksum: str, size: int) -> Stored:
    target = local_path(settings, uri)
    if target.is_file() and crc32c(target) == checksum:
        return Stored(uri, size, checksum, sent=False)
    with path.open("rb") as source, atomic_file(target) as file:
        shutil.copyfileobj(source, file, CHUNK)
    return Stored(uri, size, checksum, sent=True)


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


def _require_blob(settings: Settings, uri: str) -> "Blob":
    blob = look(settings, uri)
    if blob is None:
        raise TuningError(f"there is no {uri}")
    return blob


def _require_file(settings: Settings, uri: str) -> Path:
    path = local_path(settings, uri)
    if not path.is_file():
        raise TuningError(f"there is no {uri}", f"On target local, this address is the file {path}")
    return path
