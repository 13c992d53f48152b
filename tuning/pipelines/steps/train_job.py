"""Be the program of the CustomJob that tunes: ``python3 -m tuning.pipelines.steps.train_job TRAINING``.

TRAINING is a `Training` as JSON. The program downloads what it reads, tunes, and uploads the model. Of several
machines, only the chief uploads.
"""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from tuning.errors import TuningError
from tuning.gcs.object_file import ABSENT
from tuning.gcs.storage import find_storage, get_files, put_bytes, put_files
from tuning.pipelines.steps.code_hash import check_code
from tuning.pipelines.steps.custom_job import CHECKPOINTS, ERROR, MODEL, RESULT, Input, Result, Training
from tuning.pipelines.steps.process import ERROR_MARK
from tuning.pipelines.steps.tune import take_part, tune_here
from tuning.records import encode_record
from tuning.resource_errors import in_one_line
from tuning.settings import Settings, load_settings
from tuning.target import command_in_words
from tuning.tuners.hf.train.processes import LostPeerError, find_nodes


@dataclass
class Local:
    """Hold an artifact as a step sees it: a file or folder on this machine."""

    path: str
    metadata: dict[str, Any] = field(default_factory=dict)


def main(argument: str) -> None:
    """Do the training that `argument` describes. A TuningError is kept for the step that waits, and ends with 1.

    A LostPeerError is not kept, so that the step starts the next job. Of several machines, the reason of the chief
    counts, else the first one.
    """
    training = msgspec.json.decode(argument, type=Training)
    settings = load_settings(training.settings)
    reason_at, rank = f"{training.folder}/{ERROR}", 0
    try:
        with in_one_line():
            rank = find_nodes().rank
            if rank == 0:
                find_storage(settings).clear(reason_at.rpartition("/")[0])  # that of a start before this one
            check_code(tune_here.__module__, training.tuner, training.code)
            _train(settings, training)
    except TuningError as error:
        if not isinstance(error, LostPeerError):
            reason = str(error).encode()
            if rank == 0:
                put_bytes(settings, reason, reason_at)
            else:
                find_storage(settings).replace(reason_at, reason, ABSENT)
        print(f"{ERROR_MARK}{error}", flush=True)
        sys.exit(1)


def _train(settings: Settings, training: Training) -> None:
    here = settings.home / "job"
    model, metrics = Local(str(here / "model")), Local(str(here / "metrics.json"))
    dataset, checked, request = (
        _fetch(settings, here / name, getattr(training, name)) for name in ("dataset", "checked", "request")
    )
    checkpoints = f"{training.folder}/{CHECKPOINTS}"
    if find_nodes().rank:
        take_part(dataset, checked, request, training.code, checkpoints)
        return
    tune_here(dataset, checked, request, training.code, model, metrics, checkpoints)
    folder = Path(model.path)
    files = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    put_files(settings, files, f"{training.folder}/{MODEL}", last="")
    made = Result(metadata=model.metadata, files=len(files), metrics=metrics.metadata)
    put_bytes(settings, encode_record(made), f"{training.folder}/{RESULT}")


def _fetch(settings: Settings, target: Path, given: Input) -> Local:
    if not get_files(settings, given.uri, target):
        raise TuningError(
            f"{given.uri} is missing", f"Run {command_in_words(settings, 'submit --again')} with the same options"
        )
    return Local(str(target), given.metadata)


if __name__ == "__main__":
    main(sys.argv[1])
