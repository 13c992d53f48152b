"""Define the course notebook's tuning job: its template and eight parameters, with the notebook's names and numbers.

The PaLM models that this template tuned no longer exist. The interface remains, so that readers of the notebook can
compare its job with the one that replaces it.
"""

import math
from collections.abc import Collection
from datetime import datetime
from itertools import islice
from typing import Any

from tuning.dataset.dataset import Dataset, Split
from tuning.dataset.formats.limits import TEXT_BISON
from tuning.errors import TuningError
from tuning.gcs.storage import find_storage
from tuning.settings import Settings

URI = "https://us-kfp.pkg.dev/ml-pipeline/large-language-model-pipelines/tune-large-model/v2.0.0"
DISPLAY_NAME = "deep_learning_ai_pipeline-{date}"
MODEL_NAME = "deep-learning-ai-model-{date}"
DATE_FORMAT = "%H:%d:%m:%Y"  # for display names only: labels and job IDs cannot contain colons
LARGE_MODEL = "text-bison@001"
TRAINING_STEPS = 200
EVALUATION_INTERVAL = 20
PIPELINE_ROOT = "./"
FILES: dict[Split, str] = {
    "train": "./tune_data_stack_overflow_python_qa.jsonl",
    "eval": "./tune_eval_data_stack_overflow_python_qa.jsonl",
}
ADDRESSES: dict[Split, str] = {
    "train": "dataset_uri",
    "eval": "evaluation_data_uri",
}  # the template parameters that contain the files' addresses

FORMATS = frozenset(TEXT_BISON.formats)
EVALUATION_ROWS = TEXT_BISON.evaluation_rows
TRAIN_BYTES = TEXT_BISON.train_bytes
BATCH = {"us-central1": 8, "europe-west4": 24}  # examples per training step; depends on the accelerators in the region


def folder(settings: Settings, dataset: Dataset) -> str:
    """Return the Cloud Storage folder that replaces the notebook's ``./``. It ends with a slash.

    The replacement is needed because a job in the cloud cannot read a folder of this machine.
    """
    return f"gs://{settings.bucket}/notebook/{dataset.id}/"


def in_folder(settings: Settings, dataset: Dataset, path: str) -> str:
    """Return the Cloud Storage address of the notebook's ``./NAME``."""
    return folder(settings, dataset) + path.removeprefix("./")


def parameters(settings: Settings, dataset: Dataset, date: str) -> dict[str, Any]:
    """Return the notebook's eight parameters, in its order. `date` becomes part of the model's display name."""
    return {
        "model_display_name": MODEL_NAME.format(date=date),
        "location": settings.region,
        "large_model_reference": LARGE_MODEL,
        "project": settings.project,
        "train_steps": TRAINING_STEPS,
        ADDRESSES["train"]: in_folder(settings, dataset, FILES["train"]),
        "evaluation_interval": EVALUATION_INTERVAL,
        ADDRESSES["eval"]: in_folder(settings, dataset, FILES["eval"]),
    }


def date(now: datetime) -> str:
    """Return `now` in the notebook's date format."""
    return now.strftime(DATE_FORMAT)


def check(dataset: Dataset, splits: Collection[Split]) -> None:
    """Check the files of these splits against the limits of the template before they are uploaded.

    Raises TuningError if the format is wrong, the training file is too large or the evaluation file has too few
    rows. An evaluation file with too many rows is not an error, because it is sampled.
    """
    if splits and dataset.manifest.format not in FORMATS:
        raise TuningError(
            f"the template needs the notebook's format, but dataset {dataset.id} has the format "
            f"{dataset.manifest.format}",
            "Run `invoke dataset --preset seed`",
        )
    train, evaluation = dataset.manifest.files["train.jsonl"], dataset.manifest.files["eval.jsonl"]
    if "train" in splits and train.bytes > TRAIN_BYTES:
        raise TuningError(
            f"the template accepts at most {TRAIN_BYTES:,} bytes of training data, but train.jsonl has "
            f"{train.bytes:,} bytes",
            "Run `invoke dataset --preset seed --limit 10000` for the notebook's own size",
        )
    if "eval" in splits and evaluation.rows < EVALUATION_ROWS[0]:
        raise TuningError(
            f"the template needs at least {EVALUATION_ROWS[0]} evaluation rows, but eval.jsonl has {evaluation.rows}",
            "Increase --limit",
        )


def check_given(settings: Settings, uri: str) -> None:
    """Check an evaluation file in Cloud Storage that the user named.

    Rows are counted only up to the limit. The file belongs to the user, so it is never sampled. Raises TuningError if
    it is missing, or has too few or too many rows for the template.
    """
    least, most = EVALUATION_ROWS
    with find_storage(settings).open(uri) as file:
        rows = sum(1 for _ in islice(file, most + 1))
    if not least <= rows <= most:
        raise TuningError(
            f"the template accepts {least} to {most} evaluation rows, but {uri} has "
            f"{f'more than {most}' if rows > most else rows}",
            f"Remove --param {ADDRESSES['eval']} to use a sample of the dataset's evaluation rows",
        )


def warning(settings: Settings, dataset: Dataset) -> str:
    """Return a warning that the notebook's models no longer exist, with the commands to use instead.

    The notebook counts training steps, but today's tuning counts epochs, so its steps are converted.
    """
    rows = dataset.manifest.files["train.jsonl"].rows
    epochs = math.ceil(TRAINING_STEPS * BATCH.get(settings.region, 8) / rows)
    return (
        f"warning: {LARGE_MODEL} and all other PaLM models have been unavailable since 2025-04-09, so Google's service "
        f"refuses this job. Instead, run `invoke dataset --format gemini`, then "
        f"`invoke submit --target gcp --tuner gemini --epochs {epochs}` ({TRAINING_STEPS} steps on {rows:,} rows)."
    )
