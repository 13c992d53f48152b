"""Report a full disk, too little memory, or a path that cannot be used as one line.

Libraries raise many different errors for these.
"""

import contextlib
import errno
import os
from collections.abc import Iterator

from tuning.errors import TuningError

_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NO_ACCESS = {errno.EACCES, errno.EPERM, errno.EROFS}
_WRONG_PATH = {errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENXIO, errno.EIO, errno.ESTALE}
_NO_SPACE_TEXT = ("no space left", "os error 28", "file too large", "os error 27", "disk quota", "file write failed")
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
        if any(part in text for part in _NO_SPACE_TEXT):
            raise _no_space() from None
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
    if error.errno in _NO_ACCESS:
        return TuningError(what, "Change its owner or permissions, or set TUNING_HOME to a folder you can write to")
    if error.errno in _WRONG_PATH:
        return TuningError(what, "Check this path and the folders in it")
    return None


def _no_space() -> TuningError:
    return TuningError(
        "the disk became full while files were being written", "Free some space, then run the command again to resume"
    )


def _no_memory() -> TuningError:
    return TuningError(
        "there is not enough memory for this model",
        "Lower --max-length or --batch-size, leave out --full, or choose a smaller --base-model",
    )
