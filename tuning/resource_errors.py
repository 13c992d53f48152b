"""What the machine refuses, memory and disk, as one line: libraries raise it in many shapes."""

import contextlib
import errno
from collections.abc import Iterator

from tuning.errors import TuningError

_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NO_SPACE_TEXT = ("no space left", "os error 28", "file too large", "os error 27", "disk quota", "file write failed")
_NO_MEMORY_TEXT = ("out of memory", "can't allocate memory", "cannot allocate memory", "not enough memory")
_NO_MEMORY_ALL = "could not create a primitive"  # all that oneDNN says where it gets no memory for its own work


@contextlib.contextmanager
def in_one_line() -> Iterator[None]:
    """Turn a full disk or memory into TuningError. Other errors are bugs and pass."""
    try:
        yield
    except MemoryError:
        raise _no_memory() from None
    except TuningError:
        raise
    except Exception as error:
        text = str(error).lower()
        if (isinstance(error, OSError) and error.errno in _NO_SPACE) or any(part in text for part in _NO_SPACE_TEXT):
            raise TuningError(
                "the disk took no more while the model was written", "Free some space and run again: it goes on"
            ) from None
        if isinstance(error, RuntimeError | OSError) and (
            text == _NO_MEMORY_ALL or any(part in text for part in _NO_MEMORY_TEXT)
        ):
            raise _no_memory() from None
        raise


def _no_memory() -> TuningError:
    return TuningError(
        "there is not enough memory for this training",
        "Lower --max-length or --batch-size, leave out --full, or take a smaller --base-model",
    )
