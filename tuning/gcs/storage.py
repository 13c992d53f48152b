"""Choose where ``gs://`` objects are kept: in Cloud Storage, or in files under TUNING_HOME."""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO, Protocol, TypeVar

from tuning.gcs.bucket import BucketStorage
from tuning.gcs.folder import FolderStorage
from tuning.gcs.object_file import PARALLEL, Content, ObjectFile, Source, Stored, size_of
from tuning.progress import progress
from tuning.settings import Settings
from tuning.target import find_target

File = TypeVar("File", bound=Source)
Result = TypeVar("Result")


class Storage(Protocol):
    """Keep objects at ``gs://BUCKET/NAME``. An object is complete or does not exist."""

    def put(self, source: Source, uri: str) -> Stored:
        """Write the bytes of `source` to `uri`, unless they are already there. Raises TuningError if that fails."""

    def get(self, uri: str, path: Path) -> Stored:
        """Copy an object to the file `path`. Raises TuningError if the object does not exist or the copy fails."""

    def open(self, uri: str) -> BinaryIO:
        """Return a seekable reader of an object. Raises TuningError if the object does not exist."""

    def read(self, uri: str) -> Content | None:
        """Return the bytes and the generation of a small object, or None if it does not exist.

        Raises OSError if a file cannot be read.
        """

    def replace(self, uri: str, content: bytes, generation: str) -> bool:
        """Write a small object if it still has this generation (ABSENT: if it does not exist). Return whether it had.

        So of two processes that change what they have read, one is told to read it again. If an answer of the server
        is lost, the result can be False although the object was written.
        """

    def keep(self, file: Path, uri: str) -> None:
        """Write a file that never changes to `uri`. On target local, it is linked if possible, and not copied."""

    def children(self, folder: str) -> list[str]:
        """Return the names of the files and folders in the folder at this address, sorted, without hidden ones."""

    def move(self, uri: str, to: str) -> None:
        """Give the object `uri`, if there is one, the address `to`."""

    def clear(self, folder: str) -> None:
        """Delete all objects in the folder at this address."""

    def shown(self, uri: str) -> str:
        """Return how messages name `uri`: as an address, or as the path of the file that replaces it."""

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


def get_files(settings: Settings, uri: str, target: Path) -> int:
    """Copy the object `uri` to the file `target`, or all objects of the folder `uri` to the folder `target`.

    Return their number, 0 if there are none. Raises TuningError if the copy fails.
    """
    found = list_files(settings, uri)
    for one in found:
        find_storage(settings).get(one, target / one.removeprefix(f"{uri}/") if one != uri else target)
    return len(found)


def list_files(settings: Settings, uri: str) -> list[str]:
    """Return the addresses of the object `uri`, or of those in the folder `uri`, sorted."""
    return [one for one in find_storage(settings).addresses(uri) if one == uri or one.startswith(f"{uri}/")]


def put_files(settings: Settings, files: Mapping[str, Source], prefix: str, last: str) -> list[Stored]:
    """Upload each file to ``prefix/NAME``, in parallel. The file named `last` is uploaded after all others.

    So if the object of `last` exists, all others exist too. Raises TuningError if an upload fails.
    """
    return _send(files, prefix, last, find_storage(settings).put)


def keep_files(settings: Settings, files: Mapping[str, Path], prefix: str, last: str) -> None:
    """Store files that never change as `put_files` does. On target local, they are linked if possible."""
    _send(files, prefix, last, find_storage(settings).keep)


def _send(files: Mapping[str, File], prefix: str, last: str, send: Callable[[File, str], Result]) -> list[Result]:
    with progress(f"uploading to {prefix}", sum(map(size_of, files.values())), "bytes") as advance:

        def send_one(name: str) -> Result:
            result = send(files[name], f"{prefix}/{name}")
            advance(size_of(files[name]))
            return result

        with ThreadPoolExecutor(PARALLEL) as pool:
            sent = list(pool.map(send_one, [name for name in files if name != last]))
        return sent + [send_one(name) for name in files if name == last]
