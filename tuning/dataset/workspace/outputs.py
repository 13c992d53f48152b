"""Where the large files of a dataset are written: into its folder, or to Cloud Storage as they come."""

import contextlib
import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

import msgspec
import pyarrow as pa

from tuning.dataset.dataset import MANIFEST, FileFacts, Manifest, note_objects
from tuning.errors import TuningError
from tuning.gcs.access import google_errors
from tuning.gcs.object_file import ObjectFile, Source, blob_at, look
from tuning.gcs.objects import delete, get, object_files, put_files
from tuning.gcs.upload import Stream
from tuning.settings import Settings
from tuning.storage import atomic_folder


class Outputs(Protocol):
    """The large files of one dataset."""

    @property
    def sources(self) -> dict[str, Source]:
        """Those that are finished, by name."""

    def open(self, name: str) -> contextlib.AbstractContextManager["Output"]: ...

    def finish(self, folder: Path) -> None:
        """To be called when `folder` has all other files."""


class Output:
    """A file that grows. What was appended last is written and hashed in two threads, while the next is made."""

    def __init__(self, write: Callable[[pa.Buffer], object], threads: ThreadPoolExecutor) -> None:
        self._write, self._threads = write, threads
        self._hash = hashlib.sha256()
        self._rows = self._bytes = 0
        self._under_way: list[Future[object]] = []

    def append(self, content: pa.Buffer, rows: int) -> None:
        self.wait()
        self._under_way = [self._threads.submit(step, content) for step in (self._hash.update, self._write)]
        self._rows += rows
        self._bytes += len(content)

    def wait(self) -> None:
        """Until all is written. Raises what went wrong with it."""
        for step in self._under_way:
            step.result()

    @property
    def facts(self) -> FileFacts:
        self.wait()
        return FileFacts(self._rows, self._bytes, self._hash.hexdigest())


@contextlib.contextmanager
def _output(write: Callable[[pa.Buffer], object]) -> Iterator[Output]:
    """All is written when the block has ended."""
    with ThreadPoolExecutor(2) as threads:
        output = Output(write, threads)
        yield output
        output.wait()


class FolderOutputs:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.sources: dict[str, Source] = {}

    @contextlib.contextmanager
    def open(self, name: str) -> Iterator[Output]:
        path = self._folder / name
        with path.open("wb") as file, _output(file.write) as output:
            yield output
        self.sources[name] = path

    def finish(self, folder: Path) -> None:
        """Nothing is left to do."""


class BucketOutputs:
    """Below ``gs://BUCKET/datasets/ID/``, where the manifest comes last: where it is, all is there."""

    def __init__(self, settings: Settings, prefix: str) -> None:
        self._settings, self._prefix = settings, prefix
        self._objects: dict[str, ObjectFile] = {}

    @property
    def sources(self) -> dict[str, Source]:
        return dict(self._objects)

    @contextlib.contextmanager
    def open(self, name: str) -> Iterator[Output]:
        uri = f"{self._prefix}/{name}"
        with google_errors(f"writing {uri}"):
            found = look(self._settings, uri)
            stream = Stream(self._settings, blob_at(self._settings, uri), int(found.generation) if found else 0)
            with _output(stream.write) as output:
                yield output
            stream.close()
            arrived = look(self._settings, uri)
        size = output.facts.bytes
        if arrived is None or (arrived.crc32c, int(arrived.size)) != (stream.crc32c, size):
            raise TuningError(f"{uri} arrived with another checksum than was sent", "Run the same command again")
        self._objects[name] = ObjectFile(self._settings, uri, int(arrived.generation), size, stream.crc32c)

    def finish(self, folder: Path) -> None:
        """Put the small files beside the large ones, and note in `folder` where those are."""
        put_files(self._settings, {path.name: path for path in folder.iterdir()}, self._prefix, last=MANIFEST)
        note_objects(folder, self._objects)


def adopt(settings: Settings, prefix: str, folder: Path) -> bool:
    """Make `folder` that of a dataset which another run, perhaps of another machine, has finished below `prefix`.

    What is there and not whole loses its manifest, if it has one.
    """
    found = {file.name: file for file in object_files(settings, f"{prefix}/")}
    if MANIFEST not in found:
        return False
    with found[MANIFEST].open() as file:
        manifest = msgspec.json.decode(file.read(), type=Manifest)
    sizes = {name: found[name].size if name in found else -1 for name in manifest.files}
    if sizes != {name: facts.bytes for name, facts in manifest.files.items()}:
        delete([found[MANIFEST]])
        return False
    with atomic_folder(folder) as unfinished:
        for name in found.keys() - sizes.keys():
            get(settings, found[name].uri, unfinished / name)
        note_objects(unfinished, {name: found[name] for name in sizes})
    return True
