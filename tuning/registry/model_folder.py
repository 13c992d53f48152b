"""Read and write the folder of a tuned model: `model.json`, the weights, and the IDs of the training examples."""

import hashlib
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path

import msgspec
import numpy as np
import orjson
from numpy.typing import NDArray

from tuning.dataset.dataset import Attribution
from tuning.errors import TuningError
from tuning.paths import refuse_pipe
from tuning.records import read_record, write_record
from tuning.storage import sha256_of, total_sha256
from tuning.tuners.protocol import Model

MODEL = "model.json"
WEIGHTS = "weights"
TRAINED_ON = "trained_on.npz"
# What NumPy raises for a damaged TRAINED_ON. RuntimeError: its ZIP archive claims to be encrypted or newer.
DAMAGED = (OSError, ValueError, TypeError, KeyError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error)
_RECORDS = {"README.md", "curves.json", "curves.svg", "finished.json", "tensorboard"}  # beside the weights


def write_model(folder: Path, model: Model, work: Path) -> None:
    """Write `model.json` into `folder`. The caller moves `work` to the subfolder WEIGHTS afterwards.

    Therefore, a model path inside `work` is stored relative to `folder`.
    """
    path = Path(model.uri)
    uri = (Path(WEIGHTS) / path.relative_to(work)).as_posix() if path.is_relative_to(work) else model.uri
    write_record(folder / MODEL, msgspec.structs.replace(model, uri=uri))


def contents_sha256(folder: Path) -> str:
    """Return a hash of the names and contents of a model's files.

    The records of the run are left out, because they contain times and paths: the card, curves and state of the
    training, and the facts in `model.json`. So the same training gives the same hash, in any home.
    """

    def content(file: Path) -> str | None:
        if file.name == MODEL:
            model = {name: value for name, value in orjson.loads(file.read_bytes()).items() if name != "facts"}
            return hashlib.sha256(orjson.dumps(model, option=orjson.OPT_SORT_KEYS)).hexdigest()
        first, *others = file.relative_to(folder).parts
        return None if first == WEIGHTS and others and others[0] in _RECORDS else sha256_of(file)

    return total_sha256(folder, content)


def is_unchanged(folder: Path, sha256: str) -> bool:
    """Return whether the model's files have this hash. Earlier versions of the project hashed each file."""
    return sha256 in (contents_sha256(folder), total_sha256(folder, sha256_of))


def open_model(folder: Path) -> Model:
    """Read the model in `folder`. A path that was stored relative to `folder` is returned as an absolute path.

    Raises TuningError if `model.json` is missing or damaged, or the weights are missing.
    """
    model = read_record(folder / MODEL, Model, _lost(folder))
    inside = model.uri.split("/")[0] == WEIGHTS
    if inside and not (folder / WEIGHTS).exists():
        raise TuningError(f"{folder} has no {WEIGHTS}", _lost(folder))
    return msgspec.structs.replace(model, uri=str(folder / model.uri)) if inside else model


def write_training_ids(path: Path, rows: Iterable[Attribution]) -> None:
    """Write the question and group IDs of the training split. They take 16 bytes per example before compression."""
    ids = np.fromiter((number for row in rows for number in (row.question_id, row.group)), dtype=np.int64)
    pairs = ids.reshape(-1, 2)
    np.savez_compressed(path, questions=np.unique(pairs[:, 0]), groups=np.unique(pairs[:, 1]))


def count_seen(folder: Path, questions: NDArray[np.int64], groups: NDArray[np.int64]) -> int:
    """Count the examples whose question or group the model in `folder` was trained on.

    `questions` and `groups` have one element per example. Raises TuningError if the list of these is damaged.
    """
    path = folder / TRAINED_ON
    try:
        refuse_pipe(path)
        with np.load(path) as seen:
            return int(np.sum(np.isin(questions, seen["questions"]) | np.isin(groups, seen["groups"])))
    except DAMAGED as error:
        raise TuningError(f"{path} is missing or damaged ({error})", _lost(folder)) from None


def _lost(folder: Path) -> str:
    if folder.parent.parent.name == "models":
        version = folder.parent
        return f"No command can make it again: restore it from a backup, or delete {version} to give up this version"
    if folder.parent.name == "models":
        return f"Delete {folder}, and the next command downloads it again"
    return f"Delete {folder} and run `invoke tune` again"
