"""Where the large files of a dataset are written: into its folder by the workers, or to Cloud Storage as they come."""

import contextlib
import hashlib
from collections.abc import Iterator
from io import FileIO
from pathlib import Path
from typing import Protocol

import msgspec

from tuning.access import google_errors
from tuning.dataset.dataset import MANIFEST, FileFacts, Manifest, note_objects
from tuning.errors import TuningError
from tuning.object_file import ObjectFile, Source, blob_at, look
from tuning.objects import delete, get, object_files, put_files
from tuning.settings import Settings
from tuning.storage import atomic_folder
from tuning.upload import Stream

_BUFFER = 1 << 18  # bytes: stays in the processor's cache


class Output(Protocol):
    """A file that grows; its content goes by here."""

    @property
    def facts(self) -> "Facts": ...

    @property
    def path(self) -> Path | None:
        """Where workers write lines in their place; None: they are handed back."""

    def append(self, content: bytes, rows: int) -> None: ...

    def take(self, lines: bytes, size: int, rows: int) -> None:
        """Go on with lines that are handed back, or with the next `size` bytes that a worker has written."""


class Outputs(Protocol):
    """The large files of one dataset."""

    @property
    def sources(self) -> dict[str, Source]:
        """Those that are finished, by name."""

    def open(self, name: str) -> contextlib.AbstractContextManager[Output]: ...

    def finish(self, folder: Path) -> None:
        """To be called when `folder` has all other files."""


class Facts:
    """Of a file, as its content goes by."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._rows = self._bytes = 0

    def add(self, content: bytes | memoryview, rows: int) -> None:
        self._hash.update(content)
        self._rows += rows
        self._bytes += len(content)

    def as_facts(self) -> FileFacts:
        return FileFacts(self._rows, self._bytes, self._hash.hexdigest())


class FolderOutputs:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.sources: dict[str, Source] = {}

    @contextlib.contextmanager
    def open(self, name: str) -> Iterator["_FolderOutput"]:
        path = self._folder / name
        with path.open("w+b", buffering=0) as file:
            yield _FolderOutput(path, file)
        self.sources[name] = path

    def finish(self, folder: Path) -> None:
        """Nothing is left to do."""


class _FolderOutput:
    def __init__(self, path: Path, file: FileIO) -> None:
        self.path, self._file, self.facts = path, file, Facts()
        self._buffer = memoryview(bytearray(_BUFFER))

    def append(self, content: bytes, rows: int) -> None:
        self.facts.add(content, rows)
        rest = memoryview(content)
        while rest:
            rest = rest[self._file.write(rest) :]

    def take(self, lines: bytes, size: int, rows: int) -> None:
        del lines
        while size:
            read = self._file.readinto(self._buffer[: min(size, len(self._buffer))])
            if not read:
                raise OSError(f"{self.path} ends before what was written to it")
            self.facts.add(self._buffer[:read], 0)
            size -= read
        self.facts.add(b"", rows)


class BucketOutputs:
    """Below ``gs://BUCKET/datasets/ID/``, where the manifest comes last: where it is, all is there."""

    def __init__(self, settings: Settings, prefix: str) -> None:
        self._settings, self._prefix = settings, prefix
        self._objects: dict[str, ObjectFile] = {}

    @property
    def sources(self) -> dict[str, Source]:
        return dict(self._objects)

    @contextlib.contextmanager
    def open(self, name: str) -> Iterator["_BucketOutput"]:
        uri = f"{self._prefix}/{name}"
        with google_errors(f"writing {uri}"):
            found = look(self._settings, uri)
            stream = Stream(self._settings, blob_at(self._settings, uri), int(found.generation) if found else 0)
            output = _BucketOutput(stream)
            yield output
            stream.close()
            arrived = look(self._settings, uri)
        size = output.facts.as_facts().bytes
        if arrived is None or (arrived.crc32c, int(arrived.size)) != (stream.crc32c, size):
            raise TuningError(f"{uri} arrived with another checksum than was sent", "Run the same command again")
        self._objects[name] = ObjectFile(self._settings, uri, int(arrived.generation), size, stream.crc32c)

    def finish(self, folder: Path) -> None:
        """Put the small files beside the large ones, and note in `folder` where those are."""
        put_files(self._settings, {path.name: path for path in folder.iterdir()}, self._prefix, last=MANIFEST)
        note_objects(folder, self._objects)


class _BucketOutput:
    path = None

    def __init__(self, stream: Stream) -> None:
        self._stream, self.facts = stream, Facts()

    def append(self, content: bytes, rows: int) -> None:
        self.facts.add(content, rows)
        self._stream.write(content)

    def take(self, lines: bytes, size: int, rows: int) -> None:
        del size
        self.append(lines, rows)


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
