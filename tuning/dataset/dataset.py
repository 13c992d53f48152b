"""A finished dataset: its folder, its manifest, and how to find one.

Its large files lie in the folder, or in Cloud Storage: then the folder holds their addresses and generations.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import msgspec

from tuning.dataset.formats.records import Format
from tuning.errors import TuningError
from tuning.gcs.object_file import ObjectFile, Source
from tuning.gcs.objects import is_folder
from tuning.settings import Settings
from tuning.storage import sha256_of, write_json

Split = Literal["train", "eval"]
MANIFEST = "manifest.json"
ATTRIBUTION = "attribution.jsonl"
OBJECTS = "objects.json"  # where the large files are, if not here


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
    objects: Mapping[str, ObjectFile] = field(default_factory=dict)  # by name, the files that are in Cloud Storage

    @property
    def id(self) -> str:
        return self.manifest.id

    @property
    def address(self) -> str:
        """Where a person finds the large files."""
        return next((file.uri.rpartition("/")[0] for file in self.objects.values()), str(self.folder))

    def source(self, name: str) -> Source:
        return self.objects.get(name) or self.folder / name

    def file(self, split: Split) -> Source:
        if split == "eval" and self.sampled_eval:
            return self.sampled_eval
        return self.source(f"{split}.jsonl")

    def files(self) -> dict[str, Source]:
        """All of it by name, without what is only of this machine."""
        here = sorted(path.name for path in self.folder.iterdir() if path.name != OBJECTS)
        return {**{name: self.folder / name for name in here}, **self.objects}

    def sha256(self, source: Source) -> str:
        """Of what a file of this dataset holds now. That of an object is known: its one generation was checked when it
        was written."""
        if isinstance(source, ObjectFile):
            if not source.exists():
                raise TuningError(f"{source} is gone or another than it was", "`invoke dataset` makes it anew")
            return self.manifest.files[source.name].sha256
        return sha256_of(source)

    def attributions(self, split: Split) -> Iterator[Attribution]:
        """The metadata of each line of one split, in the order of its file."""
        decoder = msgspec.json.Decoder(Attribution)
        with self.source(ATTRIBUTION).open("rb") as file:
            for line in file:
                if (row := decoder.decode(line)).split == split:
                    yield row


def open_dataset(folder: Path, settings: Settings | None = None) -> Dataset:
    """The finished dataset in `folder`; `settings` say how its files are reached where they are in Cloud Storage."""
    path = folder / MANIFEST
    try:
        manifest = msgspec.json.decode(path.read_bytes(), type=Manifest)
    except FileNotFoundError:
        raise TuningError(f"{folder} holds no dataset", "`invoke dataset` makes one") from None
    except msgspec.DecodeError as error:
        raise TuningError(f"{path} is not a manifest ({error})", "`invoke dataset` makes the dataset again") from None
    noted = folder / OBJECTS
    if not noted.exists():
        return Dataset(folder, manifest)
    if settings is None:
        raise ValueError(f"the files of {folder} are in Cloud Storage")
    objects = msgspec.json.decode(noted.read_bytes(), type=list[dict[str, Any]])
    if is_folder(settings):
        raise TuningError(
            f"the files of dataset {manifest.id} are in Cloud Storage, such as {objects[0]['uri']}",
            "Add --target gcp, or make it here: `invoke dataset`",
        )
    files = [ObjectFile(settings, **one) for one in objects]
    return Dataset(folder, manifest, objects={file.name: file for file in files})


def bucket_address(settings: Settings, dataset_id: str) -> str:
    """Where the files of that dataset are in Cloud Storage, whoever puts them there."""
    return f"gs://{settings.bucket}/datasets/{dataset_id}"


def note_objects(folder: Path, objects: Mapping[str, ObjectFile]) -> None:
    """Say in `folder` where its large files are."""
    write_json(folder / OBJECTS, [file.facts() for file in objects.values()])


def find_dataset(settings: Settings, dataset_id: str | None = None) -> Dataset:
    """The dataset of that ID; without one, the newest by the time its folder appeared."""
    if dataset_id:
        if "/" in dataset_id or dataset_id.startswith("."):
            raise TuningError(f"{dataset_id!r} is not a dataset ID")
        return open_dataset(settings.datasets_dir / dataset_id, settings)
    for dataset in datasets(settings):
        return dataset
    raise TuningError(f"there is no dataset in {settings.datasets_dir}", "`invoke dataset` makes one")


def datasets(settings: Settings) -> Iterator[Dataset]:
    """The finished ones, the newest first; without those whose files are out of reach on target local."""
    folders = [path.parent for path in settings.datasets_dir.glob(f"[!.]*/{MANIFEST}")]
    for folder in sorted(folders, key=lambda folder: (folder.stat().st_mtime_ns, folder.name), reverse=True):
        if not (is_folder(settings) and (folder / OBJECTS).exists()):
            yield open_dataset(folder, settings)
