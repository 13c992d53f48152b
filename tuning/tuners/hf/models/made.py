"""Tell whether a folder with a model that this package made is still as it was made.

A library that loads a folder from which a file is gone may use another value in silence, such as for a chat template.
"""

import os
import shutil
from functools import cache
from pathlib import Path

import msgspec

from tuning.errors import TuningError
from tuning.records import read_record, write_record
from tuning.storage import sha256_of, total_sha256

_SEAL = "made.json"


class _Seal(msgspec.Struct, frozen=True):
    """Hold the hash of the names and contents of the other files of the folder."""

    sha256: str


def seal(folder: Path) -> None:
    """Write down which files are in the folder. Call it when the model in it is finished."""
    write_record(folder / _SEAL, _Seal(_content(folder)))


def is_as_made(folder: Path) -> bool:
    """Return whether the folder exists and its files are those of `seal`.

    Without a seal, nobody knows whether somebody has changed the files, so the result is False.
    """
    try:
        return read_record(folder / _SEAL, _Seal, "").sha256 == _content(folder)
    except (TuningError, OSError):  # what cannot be read is not as it was made
        return False


def remove_changed(folder: Path) -> None:
    """Delete a folder that is not as it was made, or what is in its place, and say that it is made again."""
    if os.path.lexists(folder):
        print(f"note: the files in {folder} have changed, or {_SEAL} is gone, so they are made again", flush=True)
        if folder.is_dir() and not folder.is_symlink():
            shutil.rmtree(folder)
        else:
            folder.unlink()


def _content(folder: Path) -> str:
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return _read(folder, tuple((file, file.stat().st_size, file.stat().st_mtime_ns) for file in files))


@cache  # a command asks for its base model several times, and reading it takes up to a second
def _read(folder: Path, _: tuple[tuple[Path, int, int], ...]) -> str:
    return total_sha256(folder, lambda file: None if file.name == _SEAL else sha256_of(file))
