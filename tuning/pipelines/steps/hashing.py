"""Hash the files of an artifact, to detect whether the artifact has changed since it was written."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import orjson

from tuning.registry.model_folder import MODEL, WEIGHTS
from tuning.storage import sha256_of

_RECORDS = {"README.md", "curves.json", "curves.svg", "finished.json", "tensorboard"}  # beside the weights


def listing_sha256(path: Path) -> str:
    """Return a hash of the names and sizes of the files in a folder, or of one file. It does not read the files."""
    return _total(path, lambda file: str(file.stat().st_size))


def contents_sha256(path: Path) -> str:
    """Return a hash of the names and contents of a model's files.

    The records of the run are left out, because they contain times and paths: the card, curves and state of the
    training, and the facts in `model.json`. So the same training gives the same hash, in any home.
    """
    return _total(path, _content_sha256, lambda name: name.parts[:1] == (WEIGHTS,) and name.parts[1] in _RECORDS)


def _content_sha256(file: Path) -> str:
    if file.name != MODEL:
        return sha256_of(file)
    model = {name: value for name, value in orjson.loads(file.read_bytes()).items() if name != "facts"}
    return hashlib.sha256(orjson.dumps(model, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _nothing(name: Path) -> bool:  # noqa: ARG001 - every file counts
    return False


def _total(path: Path, of: Callable[[Path], str], leave_out: Callable[[Path], bool] = _nothing) -> str:
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    total = hashlib.sha256()
    for file in files:
        name = file.relative_to(path) if file != path else Path()
        if leave_out(name):
            continue
        total.update(f"{name.as_posix()} {of(file)}\n".encode())
    return total.hexdigest()
