"""Write files and folders atomically, lock files, and map ``gs://`` addresses to local files."""

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, NoReturn, Protocol

import filelock
import orjson

from tuning.errors import TuningError
from tuning.paths import home_problem
from tuning.settings import Settings, variable
from tuning.values import shown

_DBT_SOURCES = frozenset({".sql", ".yml", ".yaml", ".csv"})
_WRITTEN_BY_DBT = frozenset({"target", "logs", "dbt_packages"})

CHUNK = 1 << 20  # bytes read at a time
_SCHEME = "gs://"  # of an address in Cloud Storage
_MOST_FILES = 10_000  # in a folder of data
_MOUNT = Path("/gcs")  # where a step on Vertex AI sees the buckets


def check_home(settings: Settings, *, writes: bool) -> None:
    """Raise TuningError if the home cannot be read or, with `writes`, if this user cannot write into it."""
    folders = (settings.warehouse_dir, settings.gcs_dir, settings.datasets_dir, settings.runs_dir, settings.models_dir)
    if problem := home_problem(settings.home, folders if writes else ()):
        raise TuningError(
            f"the home {shown(settings.home)} {problem}",
            f"Change its owner or permissions, or set {variable('home')} to another folder",
        )


@contextlib.contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """Yield a binary file that replaces `path` when the block ends. If the block raises, `path` does not change.

    The file has a temporary name until it is synced to disk and renamed. Raises TuningError if `path` is a folder.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=_beside(path), suffix=".tmp")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        try:
            temporary.rename(path)
        except IsADirectoryError:
            raise TuningError(f"{path} is a folder, but a file belongs there", "Delete or move the folder") from None
        sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield a folder that replaces `path` when the block ends. If the block raises, `path` does not change.

    The files in it are synced to disk first. A reader never sees a mix of the old and the new folder. If there was an
    old folder, `path` is missing for the moment between two renames.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=_beside(path), suffix=".tmp"))
    temporary.chmod(0o755)
    try:
        yield temporary
        for file in sorted(temporary.rglob("*")):
            if file.is_file():
                file.chmod(0o644)  # libraries write some files for this user only
                sync(file)
        if path.exists():
            old = Path(tempfile.mkdtemp(dir=path.parent, prefix=_beside(path), suffix=".tmp"))
            path.rename(old / "old")
            temporary.rename(path)
            shutil.rmtree(old)
        else:
            temporary.rename(path)
        sync(path.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def sync(path: Path) -> None:
    """Write a file, or the names in a folder, to disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_bytes(path: Path, content: bytes) -> None:
    """Replace the file `path` atomically."""
    with atomic_file(path) as file:
        file.write(content)


def link_or_copy(source: Path, target: Path) -> None:
    """Create a hard link to the file, or a copy if the file system does not support links."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def write_json(path: Path, value: object) -> None:
    """Write `value` as `json_bytes` does."""
    write_bytes(path, json_bytes(value))


def json_bytes(value: object) -> bytes:
    """Return `value` as indented JSON with sorted keys, so that equal values give equal bytes."""
    return orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE)


def files_inside(folder: Path, option: str, *, hidden: bool = False) -> list[Path]:
    """Return the files in the folder that `option` names and in those inside it, sorted.

    Hidden ones are left out unless `hidden`. Raises TuningError if a folder cannot be read, or if there are more files
    than a dataset has, as in the folder of a whole disk.
    """
    found: list[Path] = []
    try:
        for root, folders, names in os.walk(folder, onerror=_raise):
            folders[:] = [name for name in folders if hidden or not name.startswith(".")]
            found += [Path(root, name) for name in names if hidden or not name.startswith(".")]
            if len(found) > _MOST_FILES:
                raise TuningError(
                    f"{option}: the folder {folder} has more than {_MOST_FILES:,} files",
                    "Name the folder of one dataset",
                )
        return sorted(path for path in found if path.is_file())
    except OSError as error:
        raise TuningError(f"{option}: {error.filename} cannot be read ({error.strerror})") from None


def _raise(error: OSError) -> NoReturn:
    raise error


def remove(path: Path) -> None:
    """Delete a file, or a folder that is in its place, if there is one."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


class Readable(Protocol):
    """Represent a local file or an object in Cloud Storage."""

    def open(self, mode: Any) -> contextlib.AbstractContextManager[BinaryIO]:
        """Open the file for reading."""


def sha256_of(file: Readable) -> str:
    """Return the SHA-256 of a file as hex digits."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()  # type: ignore[arg-type]  # every binary file has readinto


def total_sha256(path: Path, of: Callable[[Path], str | None]) -> str:
    """Return a hash of the names of the files in a folder, or of one file, and of what `of` returns for each.

    A file for which `of` returns None does not count.
    """
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    total = hashlib.sha256()
    for file in files:
        name = file.relative_to(path) if file != path else Path()
        if (content := of(file)) is not None:
            total.update(f"{name.as_posix()} {content}\n".encode())
    return total.hexdigest()


def dbt_project_sha256(project: Path) -> str:
    """Return a hash of the source files of a dbt project. Files that dbt itself writes are left out."""
    digest = hashlib.sha256()
    for path in sorted(project.rglob("*")):
        name = path.relative_to(project)
        if path.suffix in _DBT_SOURCES and name.parts[0] not in _WRITTEN_BY_DBT:
            digest.update(f"{name.as_posix()} {sha256_of(path)}\n".encode())
    return digest.hexdigest()


class InUseError(TuningError):
    """Report that another process holds a lock."""


@contextlib.contextmanager
def locked(path: Path, what: str, timeout: float = 600) -> Iterator[None]:
    """Hold the lock file `path` during the block. The operating system frees the lock if this process dies.

    Raises InUseError if another process still holds the lock after `timeout` seconds, and TuningError if `path` is a
    folder.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(path)
    try:
        lock.acquire(timeout=timeout)
    except filelock.Timeout:
        raise InUseError(
            f"{what} is in use by another process (lock file {path})", "Wait for that process to end, or stop it"
        ) from None
    except IsADirectoryError:
        raise TuningError(f"{path} is a folder, but a lock file belongs there", "Delete the folder") from None
    try:
        yield
    finally:
        lock.release()


def is_in_bucket(address: str) -> bool:
    """Return whether an address is in Cloud Storage. Any other one is a path or the address of another server."""
    return address.startswith(_SCHEME)


def split_uri(uri: str) -> tuple[str, str]:
    """Return the bucket and the object name of ``gs://BUCKET/NAME``. Raises TuningError for any other form."""
    bucket, slash, name = uri.removeprefix(_SCHEME).partition("/")
    if not is_in_bucket(uri) or not bucket or not slash or ".." in name.split("/"):
        raise TuningError(f"{uri!r} is not an address of the form gs://BUCKET/NAME")
    return bucket, name


def registry_address(settings: Settings) -> str:
    """Return the folder of the journal, the model versions and the records of runs."""
    return f"{_SCHEME}{settings.bucket}/registry"


def runs_address(settings: Settings) -> str:
    """Return the folder of the records and reports of runs, which contains a folder for each run."""
    return f"{registry_address(settings)}/runs"


def local_path(settings: Settings, uri: str) -> Path:
    """Return the file under ``TUNING_HOME`` that replaces ``gs://BUCKET/NAME`` on target local.

    The registry has folders of its own there. Raises TuningError if `uri` does not have this form.
    """
    bucket, name = split_uri(uri)
    for address, folder in (
        (runs_address(settings), settings.runs_dir),
        (registry_address(settings), settings.models_dir),
    ):
        if uri == address or uri.startswith(f"{address}/"):
            return folder / uri.removeprefix(address).lstrip("/")
    return settings.gcs_dir / bucket / name


def mounted(uri: str) -> Path:
    """Return the path at which a step can read `uri`. Vertex AI mounts buckets (``gs://``) under /gcs."""
    return _MOUNT / uri.removeprefix(_SCHEME) if is_in_bucket(uri) else Path(uri)


def unmounted(path: str) -> str:
    """Return the address of a file that a step reads in a mounted bucket, or '' for any other file."""
    return f"{_SCHEME}{Path(path).relative_to(_MOUNT)}" if Path(path).is_relative_to(_MOUNT) else ""


def _beside(path: Path) -> str:
    """Return the start of a temporary name. It is short enough for a `path` with the longest name of a file system."""
    return f".{path.name[:40]}."
