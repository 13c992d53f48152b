"""Let the step that tunes hand its work to a CustomJob, wait for it, and take the model from the bucket.

The job works in a folder that is named by a hash of data, options and code: it copies each checkpoint there, and at the
end the model. So a job on another machine, also that of a later run, continues where the last one stopped.
"""

import shutil
from typing import Any

import msgspec

from tuning.cloud.custom_job import Job, JobMachine, cancelled_with_this_process, find_or_start, wait
from tuning.errors import TuningError
from tuning.gcs.storage import find_storage, get_files, list_files
from tuning.pipelines.steps.process import Artifact, log_metrics, output_folder
from tuning.pipelines.steps.requests import TuningRequest, key_of, read_request
from tuning.records import decode_record
from tuning.settings import Settings, load_settings
from tuning.storage import unmounted

FOLDER = "pipelines/training"  # in the bucket, beside the roots of the pipelines, so that the bucket's rule covers it
CHECKPOINTS, MODEL, RESULT, ERROR = "checkpoints", "model", "result.json", "error/reason.txt"


class Input(msgspec.Struct, frozen=True, kw_only=True):
    """Hold an artifact that the job downloads."""

    uri: str
    metadata: dict[str, Any]


class Training(msgspec.Struct, frozen=True, kw_only=True):
    """Hold what the job does. It is the argument of its command, as JSON."""

    folder: str  # where its checkpoints and results are
    settings: dict[str, str]
    tuner: str
    code: str
    dataset: Input
    checked: Input
    request: Input


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """Hold what the job says about its model. It is written last."""

    metadata: dict[str, Any]  # of the model
    files: int  # of the model
    metrics: dict[str, float]


def tune_in_job(
    dataset: Artifact,
    checked: Artifact,
    request: Artifact,
    code: str,
    custom_job: str,
    model: Artifact,
    metrics: Artifact,
) -> None:
    """Run the tuning as the CustomJob `custom_job` (a JobMachine as JSON) and write its model with its metrics.

    A job with the same data, options and code that runs already, for example because this step was killed, is followed.
    Raises TuningError if the job does not succeed.
    """
    spec = read_request(request.path, TuningRequest)
    settings = load_settings(spec.settings)
    key = key_of(dataset.metadata["sha256"], request.metadata["sha256"], code)
    training = Training(
        folder=f"gs://{settings.bucket}/{FOLDER}/{key}",
        settings=spec.settings,
        tuner=spec.tuner,
        code=code,
        dataset=_input(dataset),
        checked=_input(checked),
        request=_input(request),
    )
    made = _finished(settings, training)
    if made is None:
        _run(settings, msgspec.json.decode(custom_job, type=JobMachine), training, key)
        made = _finished(settings, training)
    if made is None:
        raise TuningError(f"the CustomJob has left no whole model in {training.folder}", "Run the command again")
    here = settings.home / "work" / key
    get_files(settings, f"{training.folder}/{MODEL}", here)
    shutil.copytree(here, output_folder(model), dirs_exist_ok=True)
    shutil.rmtree(here)
    model.metadata |= made.metadata
    log_metrics(metrics, made.metrics)
    # Another step may still read the model. The bucket's rule deletes it.
    find_storage(settings).clear(f"{training.folder}/{CHECKPOINTS}")


def _finished(settings: Settings, training: Training) -> Result | None:
    """Return the result of a job that has succeeded, or None if there is none or a file of its model is gone."""
    result = f"{training.folder}/{RESULT}"
    found = find_storage(settings).read(result)
    if found is None:
        return None
    made = decode_record(found.content, Result, result, "Delete it, and run the command again")
    return made if len(list_files(settings, f"{training.folder}/{MODEL}")) == made.files else None


def _input(artifact: Artifact) -> Input:
    return Input(uri=unmounted(artifact.path), metadata=artifact.metadata)


def _run(settings: Settings, machine: JobMachine, training: Training, key: str) -> None:
    """Run jobs until one succeeds: the next one if a Spot machine was taken back after new checkpoints."""
    command = ["python3", "-m", "tuning.pipelines.steps.train_job", msgspec.json.encode(training).decode()]
    storage, error_at = find_storage(settings), f"{training.folder}/{ERROR}"
    storage.clear(error_at.rpartition("/")[0])  # that of an earlier job
    while True:
        before = _checkpoints(settings, training)
        with cancelled_with_this_process(settings, key):
            job, is_new = find_or_start(settings, machine, command, key)
            print(f"note: {'started' if is_new else 'following'} the CustomJob {job.name}", flush=True)
            job = wait(settings, job, lambda line: print(f"note: {line}", flush=True))
        if job.state == "SUCCEEDED":
            return
        said = storage.read(error_at)
        got_on = job.state == "FAILED" and machine.spot and _checkpoints(settings, training) != before
        if said or not got_on:
            raise _failed(job, said.content.decode() if said else "")
        print(f"note: the CustomJob ended without a reason of its own ({job.error}): the next one resumes", flush=True)


def _checkpoints(settings: Settings, training: Training) -> list[str]:
    return find_storage(settings).children(f"{training.folder}/{CHECKPOINTS}")


def _failed(job: Job, said: str) -> TuningError:
    why = " ".join((said or job.error or "no reason given").split()).rstrip(".")
    return TuningError(f"the CustomJob {job.name} ended {job.state}: {why}", f"See {job.link}")
