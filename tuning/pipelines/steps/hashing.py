"""Hash the files of an artifact, to detect whether the artifact has changed since it was written."""

import hashlib
from collections.abc import Callable
from pathlib import Path

from tuning.storage import sha256_of


def listing_sha256(path: Path) -> str:
    """Return a hash of the names and sizes of the files in a folder, or of one file. It does not read the files."""
    return _total(path, lambda file: str(file.stat().st_size))


def contents_sha256(path: Path) -> str:
    """Return a hash of the names and contents of the files in a folder, or of one file."""
    return _total(path, sha256_of)


def _total(path: Path, of: Callable[[Path], str]) -> str:
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    total = hashlib.sha256()
    for file in files:
        name = file.relative_to(path) if file != path else Path()
        total.update(f"{name.as_posix()} {of(file)}\n".encode())
    return total.hexdigest()
