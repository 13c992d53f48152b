"""A dataset from a snapshot: pass one prepares every row, pass two writes the kept ones in order."""

import os
import shutil
from pathlib import Path

import msgspec

from tuning.dataset.card import write_card
from tuning.dataset.card_facts import gather
from tuning.dataset.dataset import MANIFEST, Dataset, Manifest, open_dataset
from tuning.dataset.export import kind_of
from tuning.dataset.funnel import Funnel
from tuning.dataset.leaks import Written, find_leaks, refuse_leaks
from tuning.dataset.mart import check_columns
from tuning.dataset.notice import NOTICE, notice
from tuning.dataset.options import DatasetOptions, dataset_id
from tuning.dataset.parallel import Workers, available_cores
from tuning.dataset.parts import Parts
from tuning.dataset.pass_one import run_pass_one
from tuning.dataset.selection import select
from tuning.dataset.snapshot import Snapshot, column_names
from tuning.dataset.texts import Texts
from tuning.dataset.token_facts import token_facts
from tuning.dataset.versions import versions
from tuning.dataset.write import write_splits
from tuning.errors import TuningError
from tuning.settings import Settings
from tuning.storage import atomic_folder, locked, write_bytes, write_json


def create_dataset(
    settings: Settings, snapshot: Snapshot, options: DatasetOptions, workers: int | None = None
) -> Dataset:
    """The dataset of this snapshot and these options; one that is finished is only found.

    Its bytes depend on the snapshot's rows, the options and the libraries' versions alone: not on `workers` (None: all
    cores), nor on the order of the rows and files, nor on how often it was killed and begun again.
    """
    if snapshot.kind != kind_of(options):
        raise TuningError(f"--format {options.format} is made of {kind_of(options)}, and {snapshot.folder} has others")
    if workers is not None and workers < 1:
        raise TuningError(f"--workers is {workers}", "It is a number of processes, 1 or more")
    check_columns(options, column_names(snapshot.files), str(snapshot.folder))
    identity = dataset_id(snapshot.digest, options, snapshot.template, versions())
    folder = settings.datasets_dir / identity
    with locked(settings.datasets_dir / f".{identity}.lock", f"the dataset {identity}"):
        parts = Parts(settings.datasets_dir / f".{identity}.parts")
        for left_over in settings.datasets_dir.glob(f".{identity}.*.tmp"):  # of a killed run
            shutil.rmtree(left_over)
        if (folder / MANIFEST).exists():
            parts.remove()
            os.utime(folder)  # the newest dataset is the one asked for last
            return open_dataset(folder)
        parts.begin(snapshot)
        with Workers(workers or available_cores()) as pool, atomic_folder(folder) as unfinished:
            _make(unfinished, parts, snapshot, options, pool, identity)
        parts.remove()
    return open_dataset(folder)


def _make(
    folder: Path, parts: Parts, snapshot: Snapshot, options: DatasetOptions, workers: Workers, identity: str
) -> None:
    funnel = Funnel(snapshot.rows)
    index, rules = run_pass_one(parts, snapshot, options, workers, funnel)
    texts = Texts(parts, index, options, snapshot.template)
    selection = select(index, texts, options, funnel)
    files = write_splits(folder, parts, index, selection, workers)
    written = Written(
        folder=folder, options=options, template=snapshot.template, train_rows=len(selection.sides["train"])
    )
    leaks = find_leaks(written, parts.scratch("leaks"), workers)
    if not options.is_seed:
        refuse_leaks(leaks)
    manifest = Manifest(
        id=identity,
        format=options.format,
        template=snapshot.template,
        options=options.recorded(),
        build=snapshot.recorded_build(),
        versions=versions(),
        funnel=funnel.rows(),
        files=files,
        tokens=token_facts(index, selection, rules.tokens),
        leaks=msgspec.to_builtins(leaks),
    )
    write_bytes(folder / NOTICE, notice(snapshot.build, options).encode())
    lengths = {
        split: (index["question_length"][rows], index["answer_length"][rows]) for split, rows in selection.sides.items()
    }
    write_card(folder, manifest, gather(folder, lengths), funnel.kinds(), texts.shown(selection.sides["train"]))
    write_json(folder / MANIFEST, msgspec.to_builtins(manifest))


def describe_dataset(dataset: Dataset) -> str:
    """What a person wants to read of a finished dataset: the funnel, the files, the ID."""
    rows = [f"{row['rows']:>9,}  {row['step']}: {row['reason']}" for row in dataset.manifest.funnel]
    return "\n".join([*rows, f"dataset {dataset.id} ({dataset.manifest.format}): {dataset.folder}"])
