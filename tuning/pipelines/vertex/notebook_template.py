"""The course notebook's tuning job: its template and eight parameters, with its own names and numbers.

The PaLM models that this template tuned are gone; its interface stays, so that who knows the notebook can see the same
job here, and what replaces it.
"""

import math
from collections.abc import Collection
from datetime import datetime
from itertools import islice
from typing import Any

from tuning.dataset.dataset import Dataset, Split
from tuning.dataset.formats.limits import TEXT_BISON
from tuning.errors import TuningError
from tuning.gcs.objects import open_object
from tuning.settings import Settings

URI = "https://us-kfp.pkg.dev/ml-pipeline/large-language-model-pipelines/tune-large-model/v2.0.0"
DISPLAY_NAME = "deep_learning_ai_pipeline-{date}"
MODEL_NAME = "deep-learning-ai-model-{date}"
DATE_FORMAT = "%H:%d:%m:%Y"  # stays in names only: labels and job ids refuse colons
LARGE_MODEL = "text-bison@001"
TRAINING_STEPS = 200
EVALUATION_INTERVAL = 20
PIPELINE_ROOT = "./"
FILES: dict[Split, str] = {
    "train": "./tune_data_stack_overflow_python_qa.jsonl",
    "eval": "./tune_eval_data_stack_overflow_python_qa.jsonl",
}
ADDRESSES: dict[Split, str] = {"train": "dataset_uri", "eval": "evaluation_data_uri"}  # the parameters that name them

FORMATS = frozenset(TEXT_BISON.formats)
EVALUATION_ROWS = TEXT_BISON.evaluation_rows
TRAIN_BYTES = TEXT_BISON.train_bytes
BATCH = {"us-central1": 8, "europe-west4": 24}  # examples per step of the template's accelerators


def folder(settings: Settings, dataset: Dataset) -> str:
    """What the notebook's ``./`` is in the cloud, where a job sees no folder of this machine. Ends with a slash."""
    return f"gs://{settings.bucket}/notebook/{dataset.id}/"


def in_folder(settings: Settings, dataset: Dataset, path: str) -> str:
    """The address of the notebook's ``./NAME``."""
    return folder(settings, dataset) + path.removeprefix("./")


def parameters(settings: Settings, dataset: Dataset, date: str) -> dict[str, Any]:
    """The notebook's eight, in its order; `date` may be a placeholder."""
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
    return now.strftime(DATE_FORMAT)


def check(dataset: Dataset, splits: Collection[Split]) -> None:
    """TuningError for what the template's service would refuse of these files of the dataset after their upload; a
    larger evaluation set is sampled."""
    if splits and dataset.manifest.format not in FORMATS:
        raise TuningError(
            f"the template reads the notebook's format, and dataset {dataset.id} is in {dataset.manifest.format}",
            "`invoke dataset --preset seed` makes one that it reads",
        )
    train, evaluation = dataset.manifest.files["train.jsonl"], dataset.manifest.files["eval.jsonl"]
    if "train" in splits and train.bytes > TRAIN_BYTES:
        raise TuningError(
            f"the template takes at most {TRAIN_BYTES:,} bytes, and train.jsonl has {train.bytes:,}",
            "`invoke dataset --preset seed --limit 10000` is the notebook's own size",
        )
    if "eval" in splits and evaluation.rows < EVALUATION_ROWS[0]:
        raise TuningError(
            f"the template takes at least {EVALUATION_ROWS[0]} evaluation rows, and eval.jsonl has {evaluation.rows}",
            "A larger --limit makes more",
        )


def check_given(settings: Settings, uri: str) -> None:
    """TuningError for an evaluation file in Cloud Storage that is missing, or too small or too large for the template.

    It is somebody's own file: it is counted, no further than to the limit, and never sampled.
    """
    least, most = EVALUATION_ROWS
    with open_object(settings, uri) as file:
        rows = sum(1 for _ in islice(file, most + 1))
    if not least <= rows <= most:
        raise TuningError(
            f"the template takes {least} to {most} evaluation rows, and {uri} has "
            f"{f'more than {most}' if rows > most else rows}",
            f"Leave out {ADDRESSES['eval']}: then a stable sample of the dataset's own rows is sent",
        )


def warning(settings: Settings, dataset: Dataset) -> str:
    """What to do instead, with the notebook's steps as the epochs that today's tuning counts."""
    rows = dataset.manifest.files["train.jsonl"].rows
    epochs = math.ceil(TRAINING_STEPS * BATCH.get(settings.region, 8) / rows)
    return (
        f"warning: {LARGE_MODEL} and all PaLM models are gone since 2025-04-09: Google's own service refuses this job. "
        f"Today: `invoke dataset --format gemini`, then `invoke submit --target gcp --tuner gemini --epochs {epochs}` "
        f"({TRAINING_STEPS} steps on {rows:,} rows)."
    )
