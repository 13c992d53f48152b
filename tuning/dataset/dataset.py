"""A finished dataset: its folder, its manifest, and how to find one."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from tuning.dataset.records import Format
from tuning.errors import TuningError
from tuning.settings import Settings

Split = Literal["train", "eval"]
MANIFEST = "manifest.json"
ATTRIBUTION = "attribution.jsonl"


class FileFacts(msgspec.Struct, frozen=True):
    rows: int
    bytes: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a dataset was made of and how. No time, host or commit: the same input and settings give the same bytes."""

    id: str
    format: Format
    template: str  # the instruction that every prompt carries
    options: dict[str, object]
    build: dict[str, object]  # the row of python_qa_build
    versions: dict[str, str]  # of the libraries that shape the output
    funnel: list[dict[str, object]]  # {"step", "reason", "rows"} in order
    files: dict[str, FileFacts]  # by file name
    tokens: dict[str, object]
    leaks: dict[str, object]  # what the leak check found; anything but zeros only under the seed preset


class Attribution(msgspec.Struct, frozen=True, kw_only=True):
    """One line of attribution.jsonl: the lines of train.jsonl in order, then those of eval.jsonl."""

    split: Split
    line: int  # counted from 0 within its split's file
    group: int  # examples that share it are never on two sides: the smallest question id of the group
    example_id: str
    question_id: int
    answer_id: int
    tags: list[str]
    question_score: int
    answer_score: int
    question_created_at: str  # ISO 8601, UTC
    answer_created_at: str
    question_url: str
    answer_url: str
    question_author: str
    question_author_url: str
    answer_author: str
    answer_author_url: str
    question_license: str
    question_license_url: str
    answer_license: str
    answer_license_url: str
    # The worse answer of a preference format; empty in the others.
    rejected_answer_id: int = 0
    rejected_score: int = 0
    rejected_created_at: str = ""
    rejected_url: str = ""
    rejected_author: str = ""
    rejected_author_url: str = ""
    rejected_license: str = ""
    rejected_license_url: str = ""
    changes: list[str] = []  # such as "converted to Markdown", "redacted"


@dataclass(frozen=True)
class Dataset:
    folder: Path
    manifest: Manifest
    sampled_eval: Path | None = None  # stands for eval.jsonl where a tuner's limit is lower

    @property
    def id(self) -> str:
        return self.manifest.id

    def file(self, split: Split) -> Path:
        if split == "eval" and self.sampled_eval:
            return self.sampled_eval
        return self.folder / f"{split}.jsonl"

    def attributions(self, split: Split) -> Iterator[Attribution]:
        """The metadata of each line of one split, in the order of its file."""
        decoder = msgspec.json.Decoder(Attribution)
        with (self.folder / ATTRIBUTION).open("rb") as file:
            for line in file:
                if (row := decoder.decode(line)).split == split:
                    yield row


def open_dataset(folder: Path) -> Dataset:
    """The finished dataset in `folder`."""
    path = folder / MANIFEST
    try:
        return Dataset(folder, msgspec.json.decode(path.read_bytes(), type=Manifest))
    except FileNotFoundError:
        raise TuningError(f"{folder} holds no dataset", "`invoke dataset` makes one") from None
    except msgspec.DecodeError as error:
        raise TuningError(f"{path} is not a manifest ({error})", "`invoke dataset` makes the dataset again") from None


def find_dataset(settings: Settings, dataset_id: str | None = None) -> Dataset:
    """The dataset of that ID; without one, the newest by the time its folder appeared."""
    if dataset_id:
        if "/" in dataset_id or dataset_id.startswith("."):
            raise TuningError(f"{dataset_id!r} is not a dataset ID")
        return open_dataset(settings.datasets_dir / dataset_id)
    folders = [path.parent for path in settings.datasets_dir.glob(f"[!.]*/{MANIFEST}")]
    if not folders:
        raise TuningError(f"there is no dataset in {settings.datasets_dir}", "`invoke dataset` makes one")
    return open_dataset(max(folders, key=lambda folder: (folder.stat().st_mtime_ns, folder.name)))
