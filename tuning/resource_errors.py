"""Report a full disk or too little memory as one line. Libraries raise many different errors for these."""

import contextlib
import errno
from collections.abc import Iterator

from tuning.errors import TuningError

_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NO_SPACE_TEXT = ("no space left", "os error 28", "file too large", "os error 27", "disk quota", "file write failed")
_NO_MEMORY_TEXT = ("out of memory", "can't allocate memory", "cannot allocate memory", "not enough memory")
_NO_MEMORY_ALL = "could not create a primitive"  # oneDNN's whole message if it cannot allocate its buffers


@contextlib.contextmanager
def in_one_line() -> Iterator[None]:
    """Raise TuningError if the block fails because the disk is full or memory runs out. Other errors pass unchanged."""
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
                "the disk became full while files were being written",
                "Free some space, then run the command again to resume",
            ) from None
        if isinstance(error, RuntimeError | OSError) and (
            text == _NO_MEMORY_ALL or any(part in text for part in _NO_MEMORY_TEXT)
        ):
            raise _no_memory() from None
        raise


def _no_memory() -> TuningError:
    return TuningError(
        "there is not enough memory for this model",
        "Lower --max-length or --batch-size, leave out --full, or choose a smaller --base-model",
    )
