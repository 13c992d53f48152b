"""Report a full disk, too little memory, or a path that cannot be used as one line.

Libraries raise many different errors for these.
"""

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from tuning.errors import TuningError
from tuning.settings import load_settings

_NO_SPACE = {errno.ENOSPC, errno.EDQUOT}
_NO_ACCESS = {errno.EACCES, errno.EPERM, errno.EROFS}
_WRONG_PATH = {errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENXIO, errno.EIO, errno.ESTALE}
# DuckDB and NumPy do not say why they wrote less than they wanted.
_NO_SPACE_TEXT = (
    *("no space left", "os error 28", "disk quota", "file write failed", "could not write"),
    "requested and",  # … N written
)
_TOO_LARGE_TEXT = ("file too large", "os error 27")
_LEAST_FREE = 1 << 16  # bytes; a disk with less is called full
_FREE_SPACE = "Free some space (`invoke clean` deletes left-overs), then run the command again to resume"
_NO_MEMORY_TEXT = ("out of memory", "can't allocate memory", "cannot allocate memory", "not enough memory")
_NO_MEMORY_ALL = "could not create a primitive"  # oneDNN's whole message if it cannot allocate its buffers


@contextlib.contextmanager
def in_one_line() -> Iterator[None]:
    """Raise TuningError if the block fails because of the disk, a path or too little memory.

    Other errors pass unchanged.
    """
    try:
        yield
    except MemoryError:
        raise _no_memory() from None
    except TuningError:
        raise
    except Exception as error:
        text = str(error).lower()
        if isinstance(error, OSError) and (line := file_error(error)):
            raise line from None
        if line := disk_error(text):
            raise line from None
        if isinstance(error, RuntimeError | OSError) and (
            text == _NO_MEMORY_ALL or any(part in text for part in _NO_MEMORY_TEXT)
        ):
            raise _no_memory() from None
        raise


def file_error(error: OSError) -> TuningError | None:
    """Return the line for an error that a person can fix: no permission, a full disk or a wrong path. Else None."""
    where = error.filename2 or error.filename
    what = f"{os.fsdecode(where)}: {error.strerror}" if isinstance(where, str | bytes) else str(error)
    if error.errno in _NO_SPACE:
        return _no_space()
    if error.errno == errno.EFBIG:
        return _too_large()
    if isinstance(error, shutil.SpecialFileError):  # a pipe in place of a file
        return TuningError(str(error), "Delete it, and restore the file")
    if isinstance(error, shutil.Error):  # one or several files of a folder could not be copied
        reasons = [str(one[-1]) for one in error.args[0]] if isinstance(error.args[0], list) else [str(error)]
        return disk_error(str(error)) or TuningError(reasons[0], "Check this file, and restore it if it is damaged")
    if error.errno is None:
        return disk_error(str(error))
    if "No usable temporary directory" in str(error.strerror):  # Python's tempfile does not say why
        return TuningError(
            "no folder for temporary files can be written to",
            "Free some space, check `ulimit -f`, or set TMPDIR to a folder that you can write to",
        )
    if error.errno in _NO_ACCESS:
        return TuningError(what, "Change its owner or permissions, or set TUNING_HOME to a folder you can write to")
    if error.errno in _WRONG_PATH:
        return TuningError(what, "Check this path and the folders in it")
    return None


def disk_error(text: str, folder: Path | None = None) -> TuningError | None:
    """Return the line if the message of another program or library says that the disk is full. Else None.

    With `folder`, also return it if the disk of this folder is full.
    """
    text = text.lower()
    if any(part in text for part in _TOO_LARGE_TEXT):
        return _too_large()
    is_full = any(part in text for part in _NO_SPACE_TEXT) or (folder is not None and _free(folder) < _LEAST_FREE)
    return _no_space() if is_full else None


def _no_space() -> TuningError:
    """Name the folder with the least free space of those that commands write to."""
    folders = (load_settings().home, Path(os.environ.get("TMPDIR") or "/tmp"))  # noqa: S108 - only looked at
    free, folder = min((_free(folder), folder) for folder in folders)
    return TuningError(f"the disk became full: {folder} has {free / 1e6:,.1f} MB free now", _FREE_SPACE)


def _too_large() -> TuningError:
    return TuningError(
        "a file reached the limit of file size", "Raise the limit (`ulimit -f`), then run the command again to resume"
    )


def _free(folder: Path) -> int:
    """Return the free bytes of the disk that the folder is on, or will be on."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return shutil.disk_usage(folder).free


def _no_memory() -> TuningError:
    return TuningError(
        "there is not enough memory for this model",
        "Lower --max-length or --batch-size, leave out --full, or choose a smaller --base-model",
    )
