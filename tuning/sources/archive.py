"""Read a ``.7z`` archive as byte streams, one member at a time, without unpacking it to disk."""

import contextlib
import io
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO

import py7zr
from py7zr.exceptions import ArchiveError, PasswordRequired, UnsupportedCompressionMethodError

from tuning.errors import TuningError
from tuning.sources.reading.decoders import DAMAGED, RefusedError
from tuning.sources.reading.pipe import Put, read_members
from tuning.sources.reading.seven_zip import check_header, unpack, unpacked_size
from tuning.sources.reading.volumes import Volumes, incomplete, parts_of, whole_name

# What is raised for a damaged archive, by py7zr too.
_BROKEN = (
    *DAMAGED,
    ArchiveError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    MemoryError,
    TypeError,
)
_HINT = "Download the file again, or give the unpacked folder"
_BY_HAND = "Unpack it with 7-Zip, and give the unpacked folder"
_START = 32  # bytes of the header at the start of an archive


def archive_sizes(path: Path) -> dict[str, int]:
    """Return the name and the declared size in bytes of each member.

    `path` is the archive, or any part of a split archive. Raises TuningError if the archive cannot be read, if it is
    encrypted, or if it contains a folder, a path, a link or a name twice. No official archive contains one of these.
    """
    with _opened(path) as (_, archive):
        sizes: dict[str, int] = {}
        for member in archive.files:
            name = str(member.filename)
            if member.is_symlink or member.is_junction or member.is_socket:
                raise TuningError(f"{path.name} contains a link, {name!r}. Links are not allowed", _HINT)
            if name in ("", ".", "..") or name != PurePosixPath(name).name or name != PureWindowsPath(name).name:
                raise TuningError(
                    f"{path.name} contains a path, {name!r}. Only files at the top level are allowed", _HINT
                )
            if name in sizes:
                raise TuningError(f"{path.name} contains {name!r} twice", _HINT)
            sizes[name] = int(member.uncompressed)
        return sizes


def bytes_to_unpack(path: Path, names: frozenset[str]) -> int:
    """Return how many bytes `read_archive` decompresses, as the archive declares it: also of members it must skip."""
    with _opened(path) as (_, archive):
        return unpacked_size(archive, names)


def read_archive(
    path: Path, names: frozenset[str], skipped: Callable[[float], None] = lambda _: None
) -> Iterator[tuple[str, Iterator[bytes]]]:
    """Yield the name and the bytes of each member in `names`, in the archive's order.

    `skipped` is called, in another thread, with sizes of bytes that were decompressed and are not needed.

    Read a member's bytes before you request the next member, which skips unread bytes. Reading bytes after the end
    of the iteration raises RuntimeError. Raises TuningError if the archive is damaged: checksums are verified.
    """

    def produce(put: Put) -> None:
        with _opened(path) as (file, archive):
            try:
                unpack(file, archive, names, put, skipped)
            except RefusedError as error:
                raise _refused(path, error) from None
            except _BROKEN as error:
                raise _broken(path, error) from None

    return read_members(produce)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[tuple[IO[bytes], py7zr.SevenZipFile]]:
    with _file(path) as file:
        _check_size(path, file)
        try:
            check_header(file)
            file.seek(0)
            archive = py7zr.SevenZipFile(file)
            is_encrypted = archive.needs_password()
        except PasswordRequired:
            is_encrypted = True
        except RefusedError as error:
            raise _refused(path, error) from None
        except UnsupportedCompressionMethodError:
            raise TuningError(f"{path.name} has an unknown compression method", _HINT) from None
        except _BROKEN as error:
            raise _broken(path, error) from None
        if is_encrypted:
            raise TuningError(f"{path.name} is protected with a password", _BY_HAND)
        yield file, archive


def _file(path: Path) -> IO[bytes]:
    if whole_name(path.name) == path.name:
        return path.open("rb")
    return io.BufferedReader(Volumes(parts_of(path)))


def _check_size(path: Path, file: IO[bytes]) -> None:
    """Raise TuningError if the archive is shorter than its first bytes say. Its header is at the end."""
    start = file.read(_START)
    needed = _START + int.from_bytes(start[12:20], "little") + int.from_bytes(start[20:28], "little")
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    if start[:6] != b"7z\xbc\xaf\x27\x1c" or size >= needed:
        return
    if whole_name(path.name) != path.name:
        raise incomplete(parts_of(path), size, needed)
    raise TuningError(f"{path.name} is cut off: it has {size:,} of {needed:,} bytes", _HINT)


def _refused(path: Path, error: RefusedError) -> TuningError:
    return TuningError(f"{path.name} cannot be unpacked here: {error}", _BY_HAND)


def _broken(path: Path, error: BaseException) -> TuningError:
    return TuningError(f"{path.name} is not a readable 7z archive ({type(error).__name__}: {error})", _HINT)
