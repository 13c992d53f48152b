"""What a dataset's folder holds, for comparing two."""

import hashlib
from pathlib import Path

from tuning.dataset.dataset import Dataset, Split
from tuning.dataset.formats.codec import parse_line, question_of


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
