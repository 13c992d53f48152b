"""Objects of ``gs://``: whole or absent, checked by crc32c on both ends, resumed where a transfer was cut.

On target local, without TUNING_STORAGE_ENDPOINT, an object is the file that `tuning.storage.local_path` names.
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

if TYPE_CHECKING:
    from google.cloud.storage import Blob


@dataclass(frozen=True)
class Stored:
    """An object as it now stands; `sent` is False where it already held these bytes."""

    uri: str
    size: int
    crc32c: str
    sent: bool


def is_folder(settings: Settings) -> bool:
    """Whether ``gs://`` means a folder under TUNING_HOME."""
    return settings.target == "local" and not settings.storage_endpoint


def put(settings: Settings, source: Source, uri: str) -> Stored:
    """Make `uri` hold the bytes of `source`; sends nothing where it already does, and has an object copied there by
    the server.

    Raises TuningError when somebody else writes the object meanwhile, or when what arrived differs.
    """
    if isinstance(source, ObjectFile):
        checksum, size = source.crc32c, source.size
    else:
        checksum, size = crc32c(source), source.stat().st_size
        if is_folder(settings):
            return _put_locally(settings, source, uri, checksum, size)
    with google_errors(f"uploading {source.name} to {uri}"):
        found = look(settings, uri)
        if found and found.crc32c == checksum:
            return Stored(uri, size, checksum, sent=False)
        blob, generation = blob_at(settings, uri), int(found.generation) if found else 0
        if isinstance(source, ObjectFile):
            _rewrite(source, blob, generation)
        else:
            upload(settings, source, blob, checksum, generation)
        arrived = look(settings, uri)
    if arrived is None or arrived.crc32c != checksum:
        raise TuningError(f"{uri} arrived with another checksum than {source} has", "Run the same command again")
    return Stored(uri, size, checksum, sent=True)


def put_folder(settings: Settings, folder: Path, prefix: str, last: str) -> list[Stored]:
    """`put_files` of every file of `folder`."""
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return put_files(settings, {name: folder / name for name in names}, prefix, last)


def put_files(settings: Settings, files: Mapping[str, Source], prefix: str, last: str) -> list[Stored]:
    """Each file under its name below ``prefix/``, in parallel; the one named `last` only after all others are there,
    so that whoever sees it sees all."""
    sizes = sum(one.size if isinstance(one, ObjectFile) else one.stat().st_size for one in files.values())
    with progress(f"to {prefix}", sizes, "bytes") as advance:

        def send(name: str) -> Stored:
            stored = put(settings, files[name], f"{prefix}/{name}")
            advance(stored.size)
            return stored

        with ThreadPoolExecutor(PARALLEL) as pool:
            done = list(pool.map(send, [name for name in files if name != last]))
        return done + [send(name) for name in files if name == last]


def delete(files: Sequence[ObjectFile]) -> None:
    """Delete these generations, in parallel; one that is not there any more is no error."""
    from google.api_core.exceptions import NotFound

    def delete_one(file: ObjectFile) -> None:
        with google_errors(f"deleting {file}"), contextlib.suppress(NotFound):
            blob_at(file.settings, file.uri).delete(if_generation_match=file.generation, retry=backoff())

    with ThreadPoolExecutor(PARALLEL) as pool:
        list(pool.map(delete_one, files))


def get(settings: Settings, uri: str, path: Path) -> Stored:
    """Make `path` hold the object's bytes, going on from what an earlier call had fetched of the same generation."""
    if is_folder(settings):
        source = _existing(settings, uri)
        with source.open("rb") as opened, atomic_file(path) as file:
            shutil.copyfileobj(opened, file, CHUNK)
        return Stored(uri, path.stat().st_size, crc32c(path), sent=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    with google_errors(f"downloading {uri}"):
        blob = _found(settings, uri)
        if path.is_file() and crc32c(path) == blob.crc32c:
            return Stored(uri, int(blob.size), blob.crc32c, sent=False)
        partial = path.with_name(f".{path.name}.{blob.generation}.part")
        _fetch_rest(blob, partial)
    if crc32c(partial) != blob.crc32c:
        partial.unlink()
        raise TuningError(f"{uri} arrived with another checksum than it has there", "Run the same command again")
    partial.rename(path)
    return Stored(uri, int(blob.size), blob.crc32c, sent=True)


def open_object(settings: Settings, uri: str) -> BinaryIO:
    """A seekable reader of one generation of the object: what is read stays one file even if it is replaced."""
    if is_folder(settings):
        return _existing(settings, uri).open("rb")
    with google_errors(f"reading {uri}"):
        blob = _found(settings, uri)
        # Google's reader by itself reads a line one byte at a time.
        return io.BufferedReader(blob.open("rb", chunk_size=AT_LEAST, if_generation_match=blob.generation))


def object_files(settings: Settings, prefix: str) -> list[ObjectFile]:
    """The objects whose addresses begin with `prefix`, by address, as they are now. Not for a local folder."""
    bucket, name = split_uri(prefix)
    with google_errors(f"listing {prefix}"):
        found = list(client(settings).list_blobs(bucket, prefix=name, retry=backoff()))
    return [
        ObjectFile(settings, f"gs://{bucket}/{blob.name}", int(blob.generation), int(blob.size), blob.crc32c)
        for blob in found
    ]


def list_objects(settings: Settings, prefix: str) -> Iterator[str]:
    """The addresses that begin with `prefix`, sorted."""
    bucket, name = split_uri(prefix)
    if is_folder(settings):
        root = settings.gcs_dir / bucket
        names = sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())
        yield from (f"gs://{bucket}/{found}" for found in names if found.startswith(name))
        return
    yield from (file.uri for file in object_files(settings, prefix))


def crc32c(path: Path) -> str:
    """The checksum of a file as Cloud Storage writes it."""
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
    """Copied by the server, in as many requests as it wants, while the target still has `generation`, 0 for none."""
    blob, token = blob_at(source.settings, source.uri, source.generation), None
    with source.reading():
        while True:
            token, _, _ = target.rewrite(blob, token=token, if_generation_match=generation, retry=backoff())
            if token is None:
                return


def _fetch_rest(blob: "Blob", partial: Path) -> None:
    have = partial.stat().st_size if partial.exists() else 0
    with partial.open("ab") as file:
        if have < int(blob.size):
            # raw_download: the stored bytes, so that sizes and checksum are those of the object.
            blob.download_to_file(
                file, start=have, if_generation_match=blob.generation, raw_download=True, checksum=None, retry=backoff()
            )


def _found(settings: Settings, uri: str) -> "Blob":
    blob = look(settings, uri)
    if blob is None:
        raise TuningError(f"there is no {uri}")
    return blob


def _existing(settings: Settings, uri: str) -> Path:
    path = local_path(settings, uri)
    if not path.is_file():
        raise TuningError(f"there is no {uri}", f"Locally that is {path}")
    return path
