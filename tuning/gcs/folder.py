"""Keep ``gs://`` objects as files under TUNING_HOME, as target local does without TUNING_STORAGE_ENDPOINT."""

import contextlib
import hashlib
import shutil
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from tuning.errors import TuningError
from tuning.gcs.object_file import ABSENT, Content, ObjectFile, Source, Stored, crc32c_of, size_of
from tuning.paths import read_whole
from tuning.settings import Settings
from tuning.storage import CHUNK, atomic_file, link_or_copy, local_path, locked, split_uri, sync, write_bytes


@dataclass(frozen=True)
class FolderStorage:
    """Keep objects as the files that `tuning.storage.local_path` returns."""

    settings: Settings

    def put(self, source: Source, uri: str) -> Stored:
        """Copy `source` to `uri`. Copies nothing if the file there already has these bytes."""
        checksum, size, target = crc32c_of(source), size_of(source), local_path(self.settings, uri)
        if target.is_file() and crc32c_of(target) == checksum:
            return Stored(uri, size, checksum, sent=False)
        with source.open("rb") as opened, atomic_file(target) as file:
            shutil.copyfileobj(opened, file, CHUNK)
        return Stored(uri, size, checksum, sent=True)

    def get(self, uri: str, path: Path) -> Stored:
        """Copy the file at `uri` to `path`. Raises TuningError if there is none."""
        with self.open(uri) as opened, atomic_file(path) as file:
            shutil.copyfileobj(opened, file, CHUNK)
        return Stored(uri, path.stat().st_size, crc32c_of(path), sent=True)

    def open(self, uri: str) -> BinaryIO:
        """Open the file at `uri` for reading. Raises TuningError if there is none."""
        path = local_path(self.settings, uri)
        if not path.is_file():
            raise TuningError(f"there is no {uri}", f"On target local, this address is the file {path}")
        return path.open("rb")

    def read(self, uri: str) -> Content | None:
        """Return the bytes of a small file and their hash, or None if there is no file.

        Raises OSError if it cannot be read, or if a pipe, a device or a far larger file is in its place.
        """
        path = local_path(self.settings, uri)
        try:
            content = read_whole(path)
        except FileNotFoundError:
            return None
        return Content(str(path), content, hashlib.sha256(content).hexdigest())

    def replace(self, uri: str, content: bytes, generation: str) -> bool:
        """Write a small file if it still has this generation (ABSENT: if it does not exist). Return whether it had.

        A process that is killed leaves the old file, and the operating system frees its lock.
        """
        path, home = local_path(self.settings, uri), self.settings.home
        lock = home / path.relative_to(home).parts[0] / ".lock"
        with locked(lock, f"the folder {lock.parent}", timeout=60):
            found = self.read(uri)
            if (found.generation if found else ABSENT) != generation:
                return False
            write_bytes(path, content)
        return True

    def keep(self, file: Path, uri: str) -> None:
        """Link the file to `uri`, or copy it if the file system does not support links."""
        target = local_path(self.settings, uri)
        link_or_copy(file, target)
        target.chmod(0o644)  # libraries write some files for this user only
        for path in (target, *(self.settings.home / one for one in target.relative_to(self.settings.home).parents)):
            sync(path)

    def children(self, folder: str) -> list[str]:
        """Return the names of the files and folders in the folder at this address, sorted, without hidden ones."""
        return sorted(path.name for path in local_path(self.settings, folder).glob("[!.]*"))

    def move(self, uri: str, to: str) -> None:
        """Give what is at `uri`, if there is something, the address `to`."""
        with contextlib.suppress(FileNotFoundError):
            local_path(self.settings, uri).rename(local_path(self.settings, to))

    def clear(self, folder: str) -> None:
        """Delete the folder at this address."""
        shutil.rmtree(local_path(self.settings, folder), ignore_errors=True)

    def shown(self, uri: str) -> str:
        """Return the path of the file that replaces `uri`."""
        return str(local_path(self.settings, uri))

    def addresses(self, prefix: str) -> Iterator[str]:
        """Yield the addresses that begin with `prefix`, sorted, without those of the registry."""
        bucket, name = split_uri(prefix)
        root = self.settings.gcs_dir / bucket
        names = sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())
        yield from (f"gs://{bucket}/{path}" for path in names if path.startswith(name))

    @contextlib.contextmanager
    def reserved(self, name: str, doing: str) -> Iterator[str]:
        """Yield the same word every time, and hold the lock file ``NAME.lock`` of the home during the block.

        Raises TuningError if another process holds the lock for ten minutes.
        """
        with locked(self.settings.home / f"{name}.lock", doing):
            yield "here"

    @contextlib.contextmanager
    def offered(self, files: Sequence[Path], prefix: str) -> Iterator[list[str]]:
        """Link or copy the files below `prefix`, yield their addresses, and delete the links or copies afterwards."""
        folder = local_path(self.settings, prefix)
        shutil.rmtree(folder, ignore_errors=True)  # left by a killed process
        uris = part_uris(prefix, len(files))
        try:
            for file, uri in zip(files, uris, strict=True):
                link_or_copy(file, local_path(self.settings, uri))
            yield uris
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def collect(self, prefix: str, write: Callable[[str], object]) -> list[Source]:
        """Let ``write(uri)`` write a Parquet file, and return it below `prefix`, where it replaces an older one."""
        folder = local_path(self.settings, prefix)
        folder.mkdir(parents=True, exist_ok=True)
        path, partial = folder / "part-000000000000.parquet", f"{prefix}/.{uuid.uuid4().hex}.parquet"
        try:
            write(partial)
            local_path(self.settings, partial).replace(path)
        finally:
            local_path(self.settings, partial).unlink(missing_ok=True)
        return [path]

    def settle(self, files: Sequence[Source], folder: Path) -> list[ObjectFile]:
        """Move the collected files to `folder`. Returns an empty list, because none stays in Cloud Storage."""
        for number, file in enumerate(files):
            shutil.move(str(file), folder / f"part-{number:05d}.parquet")
        return []


def part_uris(prefix: str, number: int) -> list[str]:
    """Return the addresses of `number` Parquet files below `prefix`."""
    return [f"{prefix}/part-{part:05d}.parquet" for part in range(number)]
