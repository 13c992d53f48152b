"""Objects of ``gs://``: whole or absent, checked by crc32c on both ends, resumed where a transfer was cut.

On target local, without TUNING_STORAGE_ENDPOINT, an object is the file that `tuning.storage.local_path` names.
"""

import base64
import contextlib
import io
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from tuning.access import backoff, credentials, google_errors
from tuning.errors import TuningError
from tuning.progress import progress
from tuning.settings import Settings
from tuning.storage import CHUNK, atomic_file, local_path, split_uri
from tuning.upload import upload

if TYPE_CHECKING:
    from google.cloud.storage import Blob, Client

PARALLEL = 8  # transfers at a time; more gain nothing on a common line
_LEAST_READ = 1 << 18  # bytes of a ranged read: columns of few bytes lie side by side and are then had in one


@dataclass(frozen=True)
class Stored:
    """An object as it now stands; `sent` is False where it already held these bytes."""

    uri: str
    size: int
    crc32c: str
    sent: bool


@dataclass(frozen=True)
class ObjectFile:
    """One generation of an object, read where it lies: what takes its place is never read in its stead."""

    settings: Settings = field(repr=False)
    uri: str
    generation: int
    size: int
    crc32c: str

    def __str__(self) -> str:
        return self.uri

    def facts(self) -> dict[str, str | int]:
        """All but the settings."""
        return {"uri": self.uri, "generation": self.generation, "size": self.size, "crc32c": self.crc32c}

    @contextlib.contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """A seekable reader that asks the server for no more than what is read, a little of it at least.

        Raises TuningError, at the beginning or while it is read, where this generation is no longer there.
        """
        from google.api_core.exceptions import NotFound

        gone = TuningError(f"{self} is gone or another than it was", "`invoke export` makes it anew")
        with google_errors(f"reading {self}"):
            blob = _look(self.settings, self.uri, self.generation)
            if blob is None:
                raise gone
            try:
                with blob.open("rb", chunk_size=_LEAST_READ, raw_download=True, retry=backoff()) as reader:
                    yield reader
            except NotFound:
                raise gone from None

    def exists(self) -> bool:
        with google_errors(f"looking for {self}"):
            return _look(self.settings, self.uri, self.generation) is not None


def is_folder(settings: Settings) -> bool:
    """Whether ``gs://`` means a folder under TUNING_HOME."""
    return settings.target == "local" and not settings.storage_endpoint


def client(settings: Settings) -> "Client":
    """A Cloud Storage client. An endpoint given is used as it is; STORAGE_EMULATOR_HOST is not needed."""
    from google.cloud.storage import Client

    options = {"api_endpoint": settings.storage_endpoint} if settings.storage_endpoint else None
    return Client(
        project=settings.project, credentials=credentials(settings.storage_endpoint, settings), client_options=options
    )


def put(settings: Settings, path: Path, uri: str) -> Stored:
    """Make `uri` hold the bytes of `path`; sends nothing where it already does.

    Raises TuningError when somebody else writes the object meanwhile, or when what arrived differs.
    """
    checksum, size = crc32c(path), path.stat().st_size
    if is_folder(settings):
        target = local_path(settings, uri)
        if target.is_file() and crc32c(target) == checksum:
            return Stored(uri, size, checksum, sent=False)
        with path.open("rb") as source, atomic_file(target) as file:
            shutil.copyfileobj(source, file, CHUNK)
        return Stored(uri, size, checksum, sent=True)
    with google_errors(f"uploading {path.name} to {uri}"):
        found = _look(settings, uri)
        if found and found.crc32c == checksum:
            return Stored(uri, size, checksum, sent=False)
        upload(settings, path, _blob(settings, uri), checksum, generation=int(found.generation) if found else 0)
        arrived = _look(settings, uri)
    if arrived is None or arrived.crc32c != checksum:
        raise TuningError(f"{uri} arrived with another checksum than {path} has", "Run the same command again")
    return Stored(uri, size, checksum, sent=True)


def put_folder(settings: Settings, folder: Path, prefix: str, last: str) -> list[Stored]:
    """Every file of `folder` under ``prefix/``, in parallel; the file named `last` only after all others are there,
    so that whoever sees it sees a whole folder."""
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    sizes = sum((folder / name).stat().st_size for name in names)
    with progress(f"to {prefix}", sizes, "bytes") as advance:

        def send(name: str) -> Stored:
            stored = put(settings, folder / name, f"{prefix}/{name}")
            advance(stored.size)
            return stored

        with ThreadPoolExecutor(PARALLEL) as pool:
            done = list(pool.map(send, [name for name in names if name != last]))
        return done + [send(name) for name in names if name == last]


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
        return io.BufferedReader(blob.open("rb", chunk_size=8 * CHUNK, if_generation_match=blob.generation))


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
    """The checksum as Cloud Storage writes it: base64 of the big-endian CRC32C."""
    import google_crc32c

    checksum: Any = google_crc32c.Checksum()  # type: ignore[no-untyped-call]
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            checksum.update(chunk)
    return base64.b64encode(checksum.digest()).decode()


def _fetch_rest(blob: "Blob", partial: Path) -> None:
    have = partial.stat().st_size if partial.exists() else 0
    with partial.open("ab") as file:
        if have < int(blob.size):
            # raw_download: the stored bytes, so that sizes and checksum are those of the object.
            blob.download_to_file(
                file, start=have, if_generation_match=blob.generation, raw_download=True, checksum=None, retry=backoff()
            )


def _blob(settings: Settings, uri: str) -> "Blob":
    bucket, name = split_uri(uri)
    return client(settings).bucket(bucket).blob(name)


def _look(settings: Settings, uri: str, generation: int | None = None) -> "Blob | None":
    """The object as it is now, or that generation of it; None where there is none."""
    bucket, name = split_uri(uri)
    return client(settings).bucket(bucket).get_blob(name, generation=generation, retry=backoff())


def _found(settings: Settings, uri: str) -> "Blob":
    blob = _look(settings, uri)
    if blob is None:
        raise TuningError(f"there is no {uri}")
    return blob


def _existing(settings: Settings, uri: str) -> Path:
    path = local_path(settings, uri)
    if not path.is_file():
        raise TuningError(f"there is no {uri}", f"Locally that is {path}")
    return path
