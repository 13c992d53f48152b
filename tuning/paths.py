"""Check paths before any work is done: what cannot be read or written is one line, not an error in the middle."""

import contextlib
import errno
import os
import stat
from pathlib import Path

_LONGEST_NAME = 255  # bytes of one name, on nearly all file systems
_RESERVED = 512  # bytes of a path that stay free for the names of the files in a home
LARGEST = 1 << 30  # bytes of a record or of a line; those that we write are far smaller
_PIPE = "a pipe or device, not a file"
_TO_WRITE, _TO_READ = os.W_OK | os.X_OK, os.R_OK | os.X_OK


def expanded(text: str) -> Path:
    """Return the path, with the home directory of a user in place of ``~`` or ``~name``, if there is that user."""
    path = Path(text)
    with contextlib.suppress(RuntimeError):
        return path.expanduser()
    return path


def input_problem(path: Path, *, folders: bool = False) -> str:
    """Return why the file (with `folders`, also a folder) cannot be read, or an empty text. It is not opened."""
    if problem := _problem_of(path):
        return problem
    is_folder = path.is_dir()
    if is_folder and not folders:
        return "is a folder, not a file"
    return "" if os.access(path, _TO_READ if is_folder else os.R_OK) else "cannot be read by this user"


def output_problem(path: Path) -> str:
    """Return why the file `path` cannot be written, or ''. Only a regular file is replaced."""
    if path.is_dir():
        return "is a folder, not a file"
    if path.exists() and (problem := _problem_of(path)):
        return problem
    return _folder_problem(path.absolute().parent)


def home_problem(home: Path, folders: tuple[Path, ...] = ()) -> str:
    """Return why the folder `home` cannot be used, or ''.

    If `folders` are given, this process must be able to write into `home` and into those of `folders` that exist.
    """
    longest = max(len(os.fsencode(part)) for part in home.parts)
    if longest > _LONGEST_NAME or len(os.fsencode(home)) > os.pathconf("/", "PC_PATH_MAX") - _RESERVED:
        return "is too long a path"
    if os.path.lexists(home):
        if problem := _problem_of(home):
            return problem
        if not home.is_dir():
            return "is a file, not a folder"
        if not os.access(home, _TO_READ):
            return "cannot be read by this user"
    if not folders:
        return "" if home.is_dir() else _folder_problem(home, _TO_READ)
    if problem := _folder_problem(home):
        return problem
    return next((f"has the folder {one}, which {why}" for one in folders if (why := _folder_problem(one))), "")


def refuse_pipe(path: Path) -> None:
    """Raise OSError if there is a pipe or a device at `path`, which could be read forever, or no file at all."""
    mode = path.stat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise OSError(errno.EINVAL, _PIPE, str(path))


def read_whole(path: Path) -> bytes:
    """Return the content of a file that we wrote, or that is in its place.

    Raises OSError if it cannot be read, if it is a pipe or a device, or if it is far larger than all that we write.
    """
    refuse_pipe(path)
    if (size := path.stat().st_size) > LARGEST:
        raise OSError(errno.EINVAL, f"it has {size:,} bytes", str(path))
    return path.read_bytes()


def _problem_of(path: Path) -> str:
    """Return why there is neither a file nor a folder at `path`, or ''."""
    try:
        refuse_pipe(path)
    except FileNotFoundError:
        return f"is a link to {path.readlink()}, which does not exist" if path.is_symlink() else "does not exist"
    except OSError as error:
        return f"is {_PIPE}" if error.strerror == _PIPE else f"cannot be read ({error.strerror})"
    return ""


def _folder_problem(folder: Path, access: int = _TO_WRITE) -> str:
    """Return why `folder`, which may still be missing, cannot be written to, or ''."""
    for existing in (folder, *folder.parents):
        if not os.path.lexists(existing):
            continue
        if not existing.is_dir():
            return f"needs the folder {existing}, which is {'a broken link' if existing.is_symlink() else 'a file'}"
        if not os.access(existing, access):
            where = "is read-only" if existing == folder else f"needs the folder {existing}, which is read-only"
            return f"{where} for this user"
        return ""
    return "needs a folder that does not exist"
