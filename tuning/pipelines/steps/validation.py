"""What validation leaves for the later steps: its findings, and a smaller evaluation set where a limit asks for one."""

from pathlib import Path

import msgspec

from tuning.dataset.dataset import Dataset, open_dataset
from tuning.pipelines.steps.process import Artifact
from tuning.tuners.protocol import Problem

CHECKED = "checked.json"
SAMPLED = "eval.sampled.jsonl"


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """What validation found."""

    problems: list[Problem]
    train_rows: int
    eval_rows: int
    sampled_rows: int  # 0: eval.jsonl serves as it is


def checked_dataset(dataset: Artifact, checked: Artifact) -> Dataset:
    """The dataset with the evaluation set that validation derived, if any."""
    opened = open_dataset(Path(dataset.path))
    sampled = Path(checked.path) / SAMPLED
    return Dataset(opened.folder, opened.manifest, sampled if sampled.exists() else None)
