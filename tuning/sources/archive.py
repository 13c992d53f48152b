"""Read a ``.7z`` archive as byte streams, one member at a time, without unpacking it to disk."""

import lzma
import queue
import threading
from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath

import py7zr
from py7zr.exceptions import ArchiveError, PasswordRequired
from py7zr.io import Py7zIO, WriterFactory

from tuning.errors import TuningError

_PIECE = 1 << 20  # bytes; py7zr itself hands over up to 128 MB at a time
_AHEAD = 8  # pieces that the thread may decompress ahead of the reader
_BROKEN = (
    ArchiveError,
    PasswordRequired,
    lzma.LZMAError,
    EOFError,
    OSError,
    ValueError,
    TypeError,
    IndexError,
    KeyError,
)
_HINT = "Download the file again, or give the unpacked folder"


def archive_sizes(path: Path) -> dict[str, int]:
    """Return the name and the size in bytes of each member.

    Raises TuningError if the archive cannot be read, or if it contains a folder, a path or a link. No official archive
    contains one of these.
    """
    with _opened(path) as archive:
        for member in archive.files:
            name = str(member.filename)
            if member.is_symlink or member.is_junction or member.is_socket:
                raise TuningError(f"{path.name} contains a link, {name!r}. Links are not allowed", _HINT)
            if name in ("", ".", "..") or name != PurePosixPath(name).name or name != PureWindowsPath(name).name:
                raise TuningError(
                    f"{path.name} contains a path, {name!r}. Only files at the top level are allowed", _HINT
                )
        return {str(member.filename): int(member.uncompressed) for member in archive.files}


def read_archive(path: Path, names: frozenset[str]) -> Iterator[tuple[str, Iterator[bytes]]]:
    """Yield the name and the bytes of each member in `names`, in the archive's order.

    Read a member's bytes before you request the next member, which skips unread bytes. Reading bytes after the end
    of the iteration raises RuntimeError. Raises TuningError if the archive is damaged. py7zr verifies the checksums.

    py7zr pushes bytes into a writer. It runs in a thread, and a short queue passes the bytes to the reader.
    Decompression releases the GIL, so it runs in parallel with parsing, and memory stays bounded.
    """
    pipe = _Pipe()
    thread = threading.Thread(target=_decompress, args=(path, names, pipe), daemon=True)
    thread.start()
    try:
        while (name := pipe.next_member()) is not None:
            yield name, pipe.chunks(path)
        pipe.raise_failure(path)
    finally:
        pipe.stop()
        thread.join()


def _decompress(path: Path, names: frozenset[str], pipe: "_Pipe") -> None:
    try:
        # Pass an open file. Given a path, py7zr reads several members at once, each in a thread.
        with path.open("rb") as file, py7zr.SevenZipFile(file) as archive:
            archive.extract(targets=sorted(names), factory=_Writers(pipe))
    except _StoppedError:
        pass  # the reader stopped early
    except BaseException as error:  # raise_failure raises it in the reader's thread
        pipe.failure = error
    finally:
        pipe.put(None)


class _StoppedError(Exception):
    """Signal to the decompressing thread that the reader stopped."""


class _Pipe:
    """Pass members from the decompressing thread to the reader.

    The queue contains a member's name, then its pieces, then the next name. None marks the end.
    """

    def __init__(self) -> None:
        self.failure: BaseException | None = None
        self._queue: queue.Queue[str | bytes | None] = queue.Queue(_AHEAD)
        self._stopped = threading.Event()
        self._next: str | None = None

    def put(self, item: str | bytes | None) -> None:
        while not self._stopped.is_set():
            try:
                self._queue.put(item, timeout=0.2)
            except queue.Full:
                continue
            return
        if item is not None:
            raise _StoppedError

    def next_member(self) -> str | None:
        """Return the name of the next member, or None at the end. Skips unread bytes of the previous member."""
        item = self._next or self._queue.get()
        self._next = None
        while isinstance(item, bytes):
            item = self._queue.get()
        return item

    def chunks(self, path: Path) -> Iterator[bytes]:
        if self._stopped.is_set():
            raise RuntimeError("a member's bytes must be read before the next member is requested")
        while isinstance(item := self._queue.get(), bytes):
            yield item
        if item is None:
            self._queue.put(None)  # next_member needs the end mark too
            self.raise_failure(path)
        self._next = item

    def raise_failure(self, path: Path) -> None:
        """Raise TuningError for a damaged archive. Raise any other failure unchanged, because it is a bug."""
        if isinstance(self.failure, _BROKEN):
            raise _broken(path, self.failure) from None
        if self.failure is not None:
            raise self.failure

    def stop(self) -> None:
        self._stopped.set()


class _Writers(WriterFactory):
    def __init__(self, pipe: _Pipe) -> None:
        self._pipe = pipe

    def create(self, filename: str) -> Py7zIO:
        self._pipe.put(filename)
        return _Writer(self._pipe)


class _Writer(Py7zIO):
    """Act as the file that py7zr writes to. py7zr writes from start to end and never seeks."""

    def __init__(self, pipe: _Pipe) -> None:
        self._pipe = pipe
        self._size = 0

    def write(self, s: bytes | bytearray) -> int:
        for start in range(0, len(s), _PIECE):
            self._pipe.put(bytes(s[start : start + _PIECE]))
        self._size += len(s)
        return len(s)

    def read(self, size: int | None = None) -> bytes:  # noqa: ARG002  # py7zr's signature
        return b""

    def seek(self, offset: int, whence: int = 0) -> int:  # noqa: ARG002  # py7zr's signature
        return 0

    def flush(self) -> None:
        """Do nothing: `write` buffers no bytes."""

    def size(self) -> int:
        return self._size


def _opened(path: Path) -> py7zr.SevenZipFile:
    try:
        return py7zr.SevenZipFile(path)
    except _BROKEN as error:
        raise _broken(path, error) from None


def _broken(path: Path, error: BaseException) -> TuningError:
    return TuningError(f"{path.name} is not a readable 7z archive ({type(error).__name__}: {error})", _HINT)
