"""A dataset from a snapshot: pass one prepares every row, pass two writes the kept ones in order."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tuning.dataset.dataset import MANIFEST, Dataset, Manifest, Split, open_dataset
from tuning.dataset.index import Index, build_index
from tuning.dataset.mart import check_columns, columns
from tuning.dataset.options import DatasetOptions, dataset_id
from tuning.dataset.parallel import available_cores, map_in_order
from tuning.dataset.parts import Parts, notes_of
from tuning.dataset.prepare import Recipe, begin, prepare
from tuning.dataset.snapshot import Snapshot, column_names, read_batches
from tuning.dataset.splits import evaluation_side, first_by_salt, seed_order, straddling
from tuning.dataset.versions import versions
from tuning.dataset.write import write_splits
from tuning.errors import TuningError
from tuning.progress import progress
from tuning.settings import Settings
from tuning.storage import atomic_folder, locked, write_json

_ROWS_PER_PART = 1024


def create_dataset(
    settings: Settings, snapshot: Snapshot, options: DatasetOptions, workers: int | None = None
) -> Dataset:
    """The dataset of this snapshot and these options; one that is finished is only found.

    Its bytes depend on the snapshot's rows, the options and the libraries' versions alone: not on `workers` (None: all
    cores), nor on the order of the rows and files, nor on how often it was killed and begun again.
    """
    wanted = "preferences" if options.is_preference else "instructions"
    if snapshot.kind != wanted:
        raise TuningError(f"--format {options.format} is made of the {wanted}, and {snapshot.folder} has others")
    check_columns(options, column_names(snapshot.files), str(snapshot.folder))
    identity = dataset_id(snapshot.digest, options, snapshot.template, versions())
    folder = settings.datasets_dir / identity
    with locked(settings.datasets_dir / f".{identity}.lock", f"the dataset {identity}"):
        if (folder / MANIFEST).exists():
            os.utime(folder)  # the newest dataset is the one asked for last
            return open_dataset(folder)
        parts = Parts(settings.datasets_dir / f".{identity}.parts")
        parts.begin(snapshot)
        for left_over in settings.datasets_dir.glob(f".{identity}.*.tmp"):  # of a killed run
            shutil.rmtree(left_over)
        with contextlib.closing(parts):
            index, funnel = _pass_one(parts, snapshot, options, workers or available_cores())
            with atomic_folder(folder) as unfinished:
                _pass_two(unfinished, parts, index, snapshot, options, funnel, identity)
        parts.remove()
    return open_dataset(folder)


Funnel = list[dict[str, object]]


def _pass_one(parts: Parts, snapshot: Snapshot, options: DatasetOptions, workers: int) -> tuple[Index, Funnel]:
    funnel: Funnel = [{"step": "read", "reason": "rows of the mart", "rows": snapshot.rows}]
    chosen = _limited(snapshot, options)
    recipe = Recipe(
        options=options,
        template=snapshot.template,
        base_url=str(snapshot.build["base_url"]),
        folder=parts.folder,
    )
    jobs = enumerate(_batches(snapshot, options, chosen))
    if snapshot.rows <= _ROWS_PER_PART:
        workers = 1
    keys, notes = [], []
    with progress("preparing", snapshot.rows, "rows") as advance:
        for batch in map_in_order(prepare, jobs, workers, begin, (recipe,)):
            keys.append(batch)
            notes.append(notes_of(batch))
            advance(batch.num_rows)
    if not keys:
        raise TuningError("the snapshot has no rows", "Build with another --tag-pattern or --since")
    return build_index(keys, notes), funnel


def _limited(snapshot: Snapshot, options: DatasetOptions) -> npt.NDArray[np.int64] | None:
    """Question ids that --limit keeps; None: all."""
    if not options.limit:
        return None
    ids = [batch.column(0).to_numpy() for batch in read_batches(snapshot.files, ["question_id"])]
    distinct = np.unique(np.concatenate(ids)) if ids else np.zeros(0, np.int64)
    if options.is_seed:
        return distinct[: options.limit]
    return np.array(sorted(first_by_salt(distinct.tolist(), options.seed, options.limit)), dtype=np.int64)


def _batches(
    snapshot: Snapshot, options: DatasetOptions, chosen: npt.NDArray[np.int64] | None
) -> Iterator[pa.RecordBatch]:
    for batch in read_batches(snapshot.files, columns(options), _ROWS_PER_PART):
        if chosen is not None:
            batch = batch.filter(pa.array(np.isin(batch.column("question_id").to_numpy(), chosen)))
        if batch.num_rows:
            yield batch


def _pass_two(
    folder: Path,
    parts: Parts,
    index: Index,
    snapshot: Snapshot,
    options: DatasetOptions,
    funnel: Funnel,
    identity: str,
) -> None:
    groups = index["question_id"]
    sides: dict[Split, npt.NDArray[np.int64]]
    if options.is_seed:
        train, evaluation = seed_order(options, len(index))
        sides = {"train": train, "eval": evaluation}
    else:
        side = evaluation_side(options, index["question_id"], index["answered_at"], groups)
        dropped = straddling(side, groups)
        sides = {"train": np.flatnonzero(~side & ~dropped), "eval": np.flatnonzero(side)}
    for split, rows in sides.items():
        if not len(rows):
            raise TuningError(f"the {split} side is empty", "Take more rows, another --eval-fraction or --split-date")
        funnel.append({"step": "written", "reason": split, "rows": len(rows)})
    files = write_splits(folder, parts, index, groups, sides)
    manifest = Manifest(
        id=identity,
        format=options.format,
        template=snapshot.template,
        options=options.recorded(),
        build=snapshot.recorded_build(),
        versions=versions(),
        funnel=funnel,
        files=files,
        tokens={},
    )
    write_json(folder / MANIFEST, msgspec.to_builtins(manifest))
