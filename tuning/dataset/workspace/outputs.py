"""Write the large files of a dataset to its folder, or stream them to Cloud Storage."""

import contextlib
import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from tuning.dataset.dataset import MANIFEST, FileFacts, adopt, bucket_address, note_objects
from tuning.errors import TuningError
from tuning.gcs.access import google_errors
from tuning.gcs.bucket import delete, object_files
from tuning.gcs.object_file import ObjectFile, Source, blob_at, look
from tuning.gcs.storage import put_files
from tuning.gcs.upload import Stream
from tuning.settings import Settings


class Outputs(Protocol):
    """Write the large files of one dataset.

    The methods of `BucketOutputs` raise TuningError if a request to Cloud Storage fails.
    """

    @property
    def sources(self) -> dict[str, Source]:
        """Return the finished files, by name."""

    def open(self, name: str) -> contextlib.AbstractContextManager["Output"]:
        """Open a file for writing. It is finished when the block ends without an exception."""

    def finish(self, folder: Path) -> None:
        """Complete the dataset. Call this when `folder` contains all other files."""


class Output:
    """Write one file. Two threads write and hash the last appended content while the caller prepares the next."""

    def __init__(self, write: Callable[[pa.Buffer], object], threads: ThreadPoolExecutor) -> None:
        self._write, self._threads = write, threads
        self._hash = hashlib.sha256()
        self._rows = self._bytes = 0
        self._pending: list[Future[object]] = []

    def append(self, content: pa.Buffer, rows: int) -> None:
        """Append content of this number of rows. Raises the exception of the previous write, if it failed."""
        self.wait()
        self._pending = [self._threads.submit(step, content) for step in (self._hash.update, self._write)]
        self._rows += rows
        self._bytes += len(content)

    def wait(self) -> None:
        """Wait until all content is written. Raises the exception of the write, if it failed."""
        for step in self._pending:
            step.result()

    @property
    def facts(self) -> FileFacts:
        """Return the number of rows, the size in bytes and the SHA-256 of the content so far."""
        self.wait()
        return FileFacts(self._rows, self._bytes, self._hash.hexdigest())


@contextlib.contextmanager
def _output(write: Callable[[pa.Buffer], object]) -> Iterator[Output]:
    """Yield an output, and wait at the end of the block until all content is written."""
    with ThreadPoolExecutor(2) as threads:
        output = Output(write, threads)
        yield output
        output.wait()


class FolderOutputs:
    """Write the large files to a local folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.sources: dict[str, Source] = {}

    @contextlib.contextmanager
    def open(self, name: str) -> Iterator[Output]:
        """Open a file in the folder for writing."""
        path = self._folder / name
        with path.open("wb") as file, _output(file.write) as output:
            yield output
        self.sources[name] = path

    def finish(self, folder: Path) -> None:
        """Do nothing, because all files are already in the folder."""


class BucketOutputs:
    """Write the files below ``gs://BUCKET/datasets/ID/``.

    The manifest is written last. So a dataset with a manifest is complete.
    """

    def __init__(self, settings: Settings, prefix: str) -> None:
        self._settings, self._prefix = settings, prefix
        self._objects: dict[str, ObjectFile] = {}

    @property
    def sources(self) -> dict[str, Source]:
        """Return the finished objects, by file name."""
        return dict(self._objects)

    @contextlib.contextmanager
    def open(self, name: str) -> Iterator[Output]:
        """Open an object for writing and check it at the end.

        Raises TuningError if a request fails or the uploaded object has another checksum or size than the content.
        """
        uri = f"{self._prefix}/{name}"
        with google_errors(f"writing {uri}"):
            found = look(self._settings, uri)
            stream = Stream(self._settings, blob_at(self._settings, uri), int(found.generation) if found else 0)
            with _output(stream.write) as output:
                yield output
            stream.close()
            uploaded = look(self._settings, uri)
        size = output.facts.bytes
        if uploaded is None or (uploaded.crc32c, int(uploaded.size)) != (stream.crc32c, size):
            raise TuningError(f"{uri} does not have the checksum of the uploaded data", "Run the same command again")
        self._objects[name] = ObjectFile(self._settings, uri, int(uploaded.generation), size, stream.crc32c)

    def finish(self, folder: Path) -> None:
        """Upload the small files from `folder`, and record in `folder` where the large files are.

        Raises TuningError if an upload fails.
        """
        put_files(self._settings, {path.name: path for path in folder.iterdir()}, self._prefix, last=MANIFEST)
        note_objects(folder, self._objects)


def adopt_or_discard(settings: Settings, dataset_id: str, folder: Path) -> bool:
    """Create `folder` as `adopt` does. If the dataset is incomplete, delete its manifest, and return False."""
    if adopt(settings, dataset_id, folder):
        return True
    manifest = f"{bucket_address(settings, dataset_id)}/{MANIFEST}"
    delete([file for file in object_files(settings, manifest) if file.uri == manifest])
    return False
