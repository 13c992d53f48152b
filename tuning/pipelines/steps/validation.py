"""Define what the validation step passes to later steps: its findings and, if needed, a sampled evaluation set."""

from pathlib import Path

import msgspec

from tuning.dataset.dataset import Dataset, open_dataset
from tuning.pipelines.steps.process import Artifact
from tuning.tuners.protocol import Problem

CHECKED = "checked.json"
SAMPLED = "eval.sampled.jsonl"


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """Hold the findings of the validation step."""

    problems: list[Problem]
    train_rows: int
    eval_rows: int
    sampled_rows: int  # 0: eval.jsonl is used unchanged


def checked_dataset(dataset: Artifact, checked: Artifact) -> Dataset:
    """Return the dataset, with the sampled evaluation set if the validation step wrote one.

    Raises TuningError if the dataset cannot be opened.
    """
    opened = open_dataset(Path(dataset.path))
    sampled = Path(checked.path) / SAMPLED
    return Dataset(opened.folder, opened.manifest, sampled if sampled.exists() else None)
