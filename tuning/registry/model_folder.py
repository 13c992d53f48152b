"""A tuned model as the pipeline and the registry keep it: `model.json`, the weights, and what it was trained on."""

from collections.abc import Iterable
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from tuning.dataset.dataset import Attribution
from tuning.errors import TuningError
from tuning.storage import write_json
from tuning.tuners.protocol import Model

MODEL = "model.json"
WEIGHTS = "weights"
TRAINED_ON = "trained_on.npz"


def write_model(folder: Path, model: Model, work: Path) -> None:
    """Write `model` for a folder whose WEIGHTS are what lies in `work` now: a local path becomes relative to it."""
    path = Path(model.uri)
    uri = (Path(WEIGHTS) / path.relative_to(work)).as_posix() if path.is_relative_to(work) else model.uri
    write_json(folder / MODEL, msgspec.to_builtins(msgspec.structs.replace(model, uri=uri)))


def open_model(folder: Path) -> Model:
    """The model in `folder`, its path absolute again."""
    path = folder / MODEL
    try:
        model = msgspec.json.decode(path.read_bytes(), type=Model)
    except FileNotFoundError:
        raise TuningError(f"{folder} holds no model", "`invoke models` lists the registered ones") from None
    except msgspec.DecodeError as error:
        raise TuningError(f"{path} is damaged ({error})", "Tune again") from None
    inside = model.uri.split("/")[0] == WEIGHTS
    if inside and not (folder / WEIGHTS).exists():
        raise TuningError(f"{folder} lost its {WEIGHTS}", "Tune again, or `invoke rollback`")
    return msgspec.structs.replace(model, uri=str(folder / model.uri)) if inside else model


def write_training_ids(path: Path, rows: Iterable[Attribution]) -> None:
    """Note the questions and groups of the training split, 16 bytes each."""
    ids = np.fromiter((number for row in rows for number in (row.question_id, row.group)), dtype=np.int64)
    pairs = ids.reshape(-1, 2)
    np.savez_compressed(path, questions=np.unique(pairs[:, 0]), groups=np.unique(pairs[:, 1]))


def count_seen(folder: Path, questions: NDArray[np.int64], groups: NDArray[np.int64]) -> int:
    """How many examples (by parallel arrays of question and group) the model in `folder` was trained on."""
    with np.load(folder / TRAINED_ON) as seen:
        return int(np.sum(np.isin(questions, seen["questions"]) | np.isin(groups, seen["groups"])))


def mounted(uri: str) -> Path:
    """Where a step finds ``gs://bucket/name``: Vertex AI mounts buckets under /gcs."""
    return Path("/gcs") / uri.removeprefix("gs://") if uri.startswith("gs://") else Path(uri)
