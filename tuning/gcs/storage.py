"""Choose where ``gs://`` objects are kept: in Cloud Storage, or in files under TUNING_HOME."""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO, Protocol

from tuning.gcs.bucket import BucketStorage
from tuning.gcs.folder import FolderStorage
from tuning.gcs.object_file import PARALLEL, ObjectFile, Source, Stored, size_of
from tuning.progress import progress
from tuning.settings import Settings
from tuning.target import find_target


class Storage(Protocol):
    """Keep objects at ``gs://BUCKET/NAME``. An object is complete or does not exist."""

    def put(self, source: Source, uri: str) -> Stored:
        """Write the bytes of `source` to `uri`, unless they are already there. Raises TuningError if that fails."""

    def get(self, uri: str, path: Path) -> Stored:
        """Copy an object to the file `path`. Raises TuningError if the object does not exist or the copy fails."""

    def open(self, uri: str) -> BinaryIO:
        """Return a seekable reader of an object. Raises TuningError if the object does not exist."""

    def addresses(self, prefix: str) -> Iterator[str]:
        """Yield the addresses that begin with `prefix`, sorted."""

    def reserved(self, name: str, doing: str) -> AbstractContextManager[str]:
        """Yield a word for the names of temporary files and tables, which no other command uses during the block.

        `name` and `doing` name the lock and the work, if a lock is needed. Raises TuningError if it cannot be had.
        """

    def offered(self, files: Sequence[Path], prefix: str) -> AbstractContextManager[list[str]]:
        """Yield addresses below `prefix` at which a load job can read the files during the block."""

    def collect(self, prefix: str, write: Callable[[str], object]) -> list[Source]:
        """Let ``write(uri)`` write Parquet files below `prefix` and return them. Older files there are replaced."""

    def settle(self, files: Sequence[Source], folder: Path) -> list[ObjectFile]:
        """Move collected files that are on this machine to `folder`. Return those that stay in Cloud Storage."""


def find_storage(settings: Settings) -> Storage:
    """Return the storage that the target and TUNING_STORAGE_ENDPOINT select."""
    return BucketStorage(settings) if find_target(settings).has_bucket else FolderStorage(settings)


def put_bytes(settings: Settings, content: bytes, uri: str) -> Stored:
    """Write `content` to `uri`, unless it is already there. Raises TuningError if that fails."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "content"
        path.write_bytes(content)
        return find_storage(settings).put(path, uri)


def put_folder(settings: Settings, folder: Path, prefix: str, last: str) -> list[Stored]:
    """Upload every file of `folder` as `put_files` does. Raises TuningError for the same reasons."""
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return put_files(settings, {name: folder / name for name in names}, prefix, last)


def put_files(settings: Settings, files: Mapping[str, Source], prefix: str, last: str) -> list[Stored]:
    """Upload each file to ``prefix/NAME``, in parallel. The file named `last` is uploaded after all others.

    So if the object of `last` exists, all others exist too. Raises TuningError if an upload fails.
    """
    storage = find_storage(settings)
    with progress(f"uploading to {prefix}", sum(map(size_of, files.values())), "bytes") as advance:

        def send(name: str) -> Stored:
            stored = storage.put(files[name], f"{prefix}/{name}")
            advance(stored.size)
            return stored

        with ThreadPoolExecutor(PARALLEL) as pool:
            stored = list(pool.map(send, [name for name in files if name != last]))
        return stored + [send(name) for name in files if name == last]
