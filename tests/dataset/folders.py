"""What a dataset's folder holds, for comparing two."""

import hashlib
from pathlib import Path
from typing import Any

from tests.marts import write_snapshot
from tuning.dataset.create import create_dataset
from tuning.dataset.dataset import Dataset, Split
from tuning.dataset.formats.codec import parse_line, question_of
from tuning.dataset.options import resolve_options
from tuning.settings import Settings


def made(folder: Path, rows: list[dict[str, Any]], **given: Any) -> Dataset:
    """The dataset of these rows, made in the folder by one process."""
    snapshot = write_snapshot(folder / "snapshot", rows)
    return create_dataset(Settings(home=folder), snapshot, resolve_options(**given), 1)


def written_ids(dataset: Dataset) -> set[int]:
    return {*question_ids(dataset, "train"), *question_ids(dataset, "eval")}


def sides(dataset: Dataset) -> dict[int, Split]:
    """The split of each question."""
    splits: tuple[Split, ...] = ("train", "eval")
    return {one: split for split in splits for one in question_ids(dataset, split)}


def fingerprint(folder: Path) -> dict[str, str]:
    """sha256 of every file by name."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def question_ids(dataset: Dataset, split: Split) -> list[int]:
    return [row.question_id for row in dataset.attributions(split)]


def texts(dataset: Dataset, split: Split) -> list[tuple[str, str]]:
    """Question and answer of each line."""
    manifest = dataset.manifest
    examples = [parse_line(manifest.format, line) for line in dataset.file(split).read_bytes().splitlines()]
    return [(question_of(manifest.format, manifest.template, one), one.answer) for one in examples]


def dropped(dataset: Dataset) -> dict[str, int]:
    """Rows by reason, of all that were read and not written."""
    return {
        str(row["reason"]): int(str(row["rows"]))
        for row in dataset.manifest.funnel
        if row["step"] not in ("read", "written")
    }
