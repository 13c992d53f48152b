"""Define what the validation step passes to later steps: its findings and, if needed, a sampled evaluation set."""

from pathlib import Path

import msgspec

from tuning.dataset.dataset import Dataset, open_dataset
from tuning.errors import TuningError
from tuning.pipelines.steps.process import Artifact
from tuning.tuners.protocol import Problem

CHECKED = "checked.json"
SAMPLED = "eval.sampled.jsonl"
MINIMUM_EVALUATION = 5  # rows; with fewer, no verdict of the gate is meaningful


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """Hold the findings of the validation step."""

    problems: list[Problem]
    train_rows: int
    eval_rows: int
    sampled_rows: int  # 0: eval.jsonl is used unchanged


def check_evaluation(
    dataset: Dataset, rows: int, advice: str = "Increase --eval-fraction or --limit, or give more examples"
) -> None:
    """Raise TuningError, with `advice`, if `rows`, the number of evaluation rows, is too small for a verdict."""
    if rows < MINIMUM_EVALUATION:
        raise TuningError(
            f"the evaluation set of dataset {dataset.id} has {rows} rows, but at least {MINIMUM_EVALUATION} are needed",
            advice,
        )


def checked_dataset(dataset: Artifact, checked: Artifact) -> Dataset:
    """Return the dataset, with the sampled evaluation set if the validation step wrote one.

    Raises TuningError if the dataset cannot be opened.
    """
    opened = open_dataset(Path(dataset.path))
    sampled = Path(checked.path) / SAMPLED
    return Dataset(opened.folder, opened.manifest, sampled if sampled.exists() else None)
