"""Open and find finished datasets.

The large files of a dataset are in its folder or in Cloud Storage. If they are in Cloud Storage, the folder contains
their addresses and generations.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Literal

import msgspec

from tuning.dataset.formats.codec import Body, parse_line
from tuning.dataset.formats.records import Example, Format
from tuning.dataset.funnel import FunnelRow
from tuning.errors import TuningError
from tuning.gcs.access import google_errors
from tuning.gcs.bucket import object_files
from tuning.gcs.object_file import ObjectFacts, ObjectFile, Source, look
from tuning.gcs.storage import find_storage
from tuning.records import decode_record, numbered_lines, read_lines, read_record
from tuning.settings import Settings
from tuning.storage import atomic_folder, locked, sha256_of, write_json
from tuning.target import find_target

Split = Literal["train", "eval"]
MANIFEST = "manifest.json"
ATTRIBUTION = "attribution.jsonl"
OBJECTS = "objects.json"  # addresses of the large files that are in Cloud Storage
_FILES = {"train.jsonl", "eval.jsonl"}


class FileFacts(msgspec.Struct, frozen=True):
    """Hold the size and checksum of one JSONL file."""

    rows: int
    bytes: int
    sha256: str


class BenchmarkFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Hold how much of a benchmark was looked for, and what was found."""

    items: int
    looked_for: int  # items of which a text was looked for
    only_short_texts: int  # of these, items of which only texts of fewer than 13 words were looked for
    passages_left_out: int  # passages that were not looked for, because too many items have them
    dropped: int  # examples
    items_that_drop_most: dict[str, int]  # the first ten, with the number of examples


class Manifest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Hold what a dataset was created from and how.

    The manifest contains no time, host, or commit, so the same input and settings give the same bytes.
    """

    id: str
    format: Format
    template: str  # the instruction that every prompt contains
    options: dict[str, object]
    build: dict[str, object]  # the row of python_qa_build
    versions: dict[str, str]  # of the libraries that affect the output
    funnel: list[FunnelRow]  # in the order of the steps
    files: dict[str, FileFacts]  # by file name
    tokens: dict[str, object]
    benchmark: BenchmarkFacts | msgspec.UnsetType = msgspec.UNSET  # only with --decontaminate
    leaks: dict[str, object]  # result of the leak check; only the seed preset can have counts above 0
    redactions: dict[str, int] = {}  # placeholders in the kept rows, by kind of secret
    template_remark: str = ""  # says that the instruction does not fit the questions

    @property
    def body(self) -> Body:
        """Return the format of the bodies in the dataset: HTML, Markdown or, of own data, text."""
        body = self.options.get("body")
        return "text" if body == "text" else "html" if body == "html" else "markdown"

    @property
    def source_name(self) -> str:
        """Return the name of the site that the questions are from, for titles."""
        return str(self.build.get("name") or self.build.get("source") or "an unnamed source")


class Attribution(msgspec.Struct, frozen=True, kw_only=True):
    """Represent one line of attribution.jsonl, which describes the lines of train.jsonl, then those of eval.jsonl.

    The fields are in the order of the file.
    """

    split: Split
    line: int  # counted from 0 in the file of its split
    group: int  # smallest question id of the group; only the seed preset can divide a group
    example_id: str
    question_id: int
    answer_id: int
    # Own data has none of the following, except `changes`.
    tags: list[str] = []
    question_score: int = 0
    question_created_at: str = ""  # ISO 8601, UTC
    question_url: str = ""
    question_author: str = ""
    question_author_url: str = ""
    question_license: str = ""
    question_license_url: str = ""
    answer_score: int = 0
    answer_created_at: str = ""
    answer_url: str = ""
    answer_author: str = ""
    answer_author_url: str = ""
    answer_license: str = ""
    answer_license_url: str = ""
    # The rejected answer of a preference format; 0 or empty in other formats.
    rejected_answer_id: int = 0
    rejected_score: int = 0
    rejected_created_at: str = ""
    rejected_url: str = ""
    rejected_author: str = ""
    rejected_author_url: str = ""
    rejected_license: str = ""
    rejected_license_url: str = ""
    changes: list[str] = []  # such as "converted to Markdown" and "redacted 2 EMAIL"


@dataclass(frozen=True)
class Dataset:
    """Represent a finished dataset."""

    folder: Path
    manifest: Manifest
    sampled_eval: Path | None = None  # used instead of eval.jsonl if a tuner accepts fewer rows
    objects: Mapping[str, ObjectFile] = field(default_factory=dict)  # the files in Cloud Storage, by name

    @property
    def id(self) -> str:
        """Return the dataset's ID."""
        return self.manifest.id

    @property
    def rows(self) -> int:
        """Return the number of examples in both splits, as the manifest states it."""
        return sum(self.manifest.files[f"{split}.jsonl"].rows for split in ("train", "eval"))

    @property
    def address(self) -> str:
        """Return the folder, local or in Cloud Storage, that contains the large files."""
        return next((file.uri.rpartition("/")[0] for file in self.objects.values()), str(self.folder))

    def source(self, name: str) -> Source:
        """Return the file with this name, local or in Cloud Storage."""
        return self.objects.get(name) or self.folder / name

    def file(self, split: Split) -> Source:
        """Return the file with the examples of a split, which is `sampled_eval` for evaluation if that is set."""
        if split == "eval" and self.sampled_eval:
            return self.sampled_eval
        return self.source(f"{split}.jsonl")

    def files(self) -> dict[str, Source]:
        """Return all files of the dataset by name, except ``objects.json``, which only this machine uses."""
        here = sorted(path.name for path in self.folder.iterdir() if path.name != OBJECTS)
        return {**{name: self.folder / name for name in here}, **self.objects}

    def sha256(self, source: Source) -> str:
        """Return the SHA-256 of a file of this dataset.

        For an object in Cloud Storage, returns the value in the manifest. The object was verified when it was written,
        and its generation has not changed since. Raises TuningError if the object was deleted or replaced.
        """
        stored = self.objects.get(source.name)
        if stored is None or source != stored:
            return sha256_of(source)
        if not stored.exists():
            raise TuningError(f"{stored} was deleted or replaced", "Run `invoke dataset` to create it again")
        return self.manifest.files[stored.name].sha256

    def attributions(self, split: Split) -> Iterator[Attribution]:
        """Yield the attribution of each line of one split, in the order of its file.

        Raises TuningError if attribution.jsonl cannot be read, is empty, or has a damaged line.
        """
        is_empty = True
        for row in read_lines(self.source(ATTRIBUTION), Attribution, self._again):
            is_empty = False
            if row.split == split:
                yield row
        if is_empty:
            raise TuningError(f"{self.source(ATTRIBUTION)} is empty", self._again)

    def examples(self, split: Split) -> Iterator[Example]:
        """Yield the example of each line of one split, also if `sampled_eval` is set.

        Raises TuningError if the file cannot be read or a line does not match the dataset's format.
        """
        source = self.source(f"{split}.jsonl")
        for number, line in numbered_lines(source, self._again):
            try:
                yield parse_line(self.manifest.format, line)
            except TuningError as error:
                raise TuningError(f"line {number} of {source}: {error}") from None

    def pairs(self, split: Split) -> Iterator[tuple[Attribution, Example]]:
        """Yield the attribution and the example of each line of one split.

        Raises TuningError as `attributions` and `examples` do, and if one has more lines than the other.
        """
        for attribution, example in zip_longest(self.attributions(split), self.examples(split)):
            if attribution is None or example is None:
                raise TuningError(
                    f"{split}.jsonl and {ATTRIBUTION} in {self.address} do not have the same lines", self._again
                )
            yield attribution, example

    @property
    def _again(self) -> str:
        return f"Delete {self.folder} and run `invoke dataset` to create the dataset again"


def open_dataset(folder: Path, settings: Settings | None = None) -> Dataset:
    """Return the finished dataset in `folder`. `settings` is required if its files are in Cloud Storage.

    Raises TuningError if the folder contains no valid manifest, or if the files are in Cloud Storage and the target is
    local.
    """
    path = folder / MANIFEST
    if not path.exists():
        raise TuningError(f"{folder} contains no dataset", "Run `invoke dataset` to create one")
    again = f"Delete {folder} and run `invoke dataset` to create it again"
    manifest = read_record(path, Manifest, again)
    if missing := sorted(_FILES - manifest.files.keys()):
        raise TuningError(f"{path} is damaged (it does not describe {missing[0]})", again)
    objects_file = folder / OBJECTS
    if not objects_file.exists():
        return Dataset(folder, manifest)
    if settings is None:
        raise ValueError(f"the files of {folder} are in Cloud Storage")
    objects = read_record(objects_file, list[ObjectFacts], again)
    if is_out_of_reach(settings, folder):
        raise TuningError(
            f"the files of dataset {manifest.id} are in Cloud Storage"
            + (f", such as {objects[0]['uri']}" if objects else ""),
            "Add --target gcp, or run `invoke dataset` to create the dataset locally",
        )
    files = [ObjectFile(settings, **one) for one in objects]
    return Dataset(folder, manifest, objects={file.name: file for file in files})


def is_out_of_reach(settings: Settings, folder: Path) -> bool:
    """Return whether the dataset's files are in Cloud Storage, and the settings name no server for them."""
    return (folder / OBJECTS).exists() and not find_target(settings).has_bucket


def bucket_address(settings: Settings, dataset_id: str) -> str:
    """Return the folder in Cloud Storage for the files of this dataset."""
    return f"gs://{settings.bucket}/datasets/{dataset_id}"


def note_objects(folder: Path, objects: Mapping[str, ObjectFile]) -> None:
    """Record in `folder` the addresses of its files in Cloud Storage."""
    write_json(folder / OBJECTS, [file.facts() for file in objects.values()])


def find_dataset(settings: Settings, dataset_id: str | None = None) -> Dataset:
    """Return the dataset with this ID or, without an ID, the one that was created or requested last.

    Raises TuningError if there is no such dataset.
    """
    if dataset_id:
        if "/" in dataset_id or dataset_id.startswith("."):
            raise TuningError(
                f"{dataset_id!r} is not a dataset ID", f"Use the name of a folder in {settings.datasets_dir}"
            )
        folder = settings.datasets_dir / dataset_id
        if not folder.exists():
            _adopt_here(settings, dataset_id)
        return open_dataset(folder, settings)
    for dataset in datasets(settings):
        return dataset
    raise TuningError(f"there is no dataset in {settings.datasets_dir}", "Run `invoke dataset` to create one")


def datasets(settings: Settings) -> Iterator[Dataset]:
    """Yield the finished datasets, the newest first: with a bucket, also those of other homes that share it.

    Without a bucket, skip those with files in Cloud Storage. Raises TuningError if a manifest is not valid.
    """
    for folder in dataset_folders(settings):
        if not is_out_of_reach(settings, folder):
            yield open_dataset(folder, settings)


def dataset_folders(settings: Settings) -> list[Path]:
    """Return the folders of the finished datasets, the newest first, also of those that cannot be opened.

    With a bucket, datasets of other homes that share it get a folder here.
    """
    for name in find_storage(settings).children(bucket_address(settings, "").rstrip("/")):
        if not (settings.datasets_dir / name).exists():
            _adopt_here(settings, name)
    names = (MANIFEST, ATTRIBUTION)  # without its manifest, a dataset is an error
    folders = {path.parent for name in names for path in settings.datasets_dir.glob(f"[!.]*/{name}")}
    return sorted(folders, key=lambda folder: (folder.stat().st_mtime_ns, folder.name), reverse=True)


def adopt(settings: Settings, dataset_id: str, folder: Path) -> bool:
    """Create `folder` from the dataset that another run, perhaps on another machine, has finished in the bucket.

    The folder gets the time at which the dataset was finished. Returns False if there is no complete dataset. Raises
    TuningError if a request to Cloud Storage fails.
    """
    prefix = bucket_address(settings, dataset_id)
    found = {file.name: file for file in object_files(settings, f"{prefix}/")}
    if MANIFEST not in found:
        return False
    with found[MANIFEST].open() as file:
        manifest = decode_record(file.read(), Manifest, str(found[MANIFEST]), "Run `invoke dataset` to create it again")
    sizes = {name: found[name].size if name in found else -1 for name in manifest.files}
    if sizes != {name: facts.bytes for name, facts in manifest.files.items()}:
        return False
    with google_errors(f"reading {found[MANIFEST]}"):
        finished = look(settings, found[MANIFEST].uri)
    with atomic_folder(folder) as unfinished:
        for name in found.keys() - sizes.keys():
            find_storage(settings).get(found[name].uri, unfinished / name)
        note_objects(unfinished, {name: found[name] for name in sizes})
    if finished is not None:
        os.utime(folder, (finished.updated.timestamp(), finished.updated.timestamp()))
    return True


def _adopt_here(settings: Settings, dataset_id: str) -> None:
    """Create the folder of a dataset in this home, if the bucket has the dataset."""
    folder, manifest = settings.datasets_dir / dataset_id, f"{bucket_address(settings, dataset_id)}/{MANIFEST}"
    if find_target(settings).has_bucket and manifest in find_storage(settings).addresses(manifest):
        with locked(settings.datasets_dir / f".{dataset_id}.lock", f"the dataset {dataset_id}"):
            if not folder.exists():  # a command of this home may have been creating it
                adopt(settings, dataset_id, folder)
