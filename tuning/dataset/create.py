"""Create a dataset from a snapshot: pass one prepares every row, pass two writes the kept rows in order."""

import contextlib
import os
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from tuning.command_line.report import Report
from tuning.dataset.benchmark_files import left_out
from tuning.dataset.card.card import write_card
from tuning.dataset.card.facts import CardFacts, gather
from tuning.dataset.card.notice import NOTICE, notice
from tuning.dataset.card.preferences import pair_facts
from tuning.dataset.card.tokens import token_facts
from tuning.dataset.dataset import (
    ATTRIBUTION,
    MANIFEST,
    BenchmarkFacts,
    Dataset,
    Manifest,
    is_out_of_reach,
    open_dataset,
)
from tuning.dataset.denied import denied_in
from tuning.dataset.funnel import Funnel, FunnelRow
from tuning.dataset.leaks.check import find_leaks, refuse_leaks
from tuning.dataset.leaks.lines import Written
from tuning.dataset.options import DatasetOptions, dataset_id
from tuning.dataset.rows.pass_one import run_pass_one
from tuning.dataset.similar.decontaminate import read_benchmark
from tuning.dataset.snapshot.export import kind_of
from tuning.dataset.snapshot.snapshot import Snapshot, column_names
from tuning.dataset.split.pass_two import write_splits
from tuning.dataset.split.selection import select
from tuning.dataset.split.shards import write_shards
from tuning.dataset.split.texts import Texts
from tuning.dataset.tokens import load_tokenizer
from tuning.dataset.versions import versions
from tuning.dataset.workspace.engine import HERE, Engine
from tuning.dataset.workspace.outputs import Outputs
from tuning.dataset.workspace.parallel import Workers
from tuning.dataset.workspace.parts import Parts, mark_of
from tuning.dataset.workspace.place import Place, find_place
from tuning.dataset.workspace.store import Store
from tuning.errors import TuningError
from tuning.records import write_record
from tuning.settings import Settings
from tuning.storage import atomic_folder, locked, write_bytes
from tuning.visible import visible

_ITEMS = 10  # of the benchmark, named in the manifest; also files that are not read, named in a warning
_FEW = 5  # examples for evaluation: with fewer, their share says little
_FORGOTTEN = 7 * 24 * 3600  # seconds; older working files of killed runs are deleted


class _Named(NamedTuple):
    """Hold the ID of a dataset, and its options as the manifest records them, with the hashes of their files."""

    id: str
    options: dict[str, object]


def create_dataset(
    settings: Settings,
    snapshot: Snapshot,
    options: DatasetOptions,
    workers: int | None = None,
    engine: Engine = HERE,
) -> Dataset:
    """Create the dataset for this snapshot and these options, or return it if it is already finished.

    The bytes depend only on the snapshot's rows, the options, the deny list, and the library versions. They do not
    depend on `workers` (None: all cores) or `engine`, on the order of the rows and files, or on how often the command
    was killed and run again.
    Raises TuningError if the snapshot is not complete or does not fit the options, a split is empty, the leak check
    finds a leak, the Ray cluster does not answer or gives up, or a file that the options name changes while it is read.
    """
    if snapshot.kind != kind_of(options):
        raise TuningError(
            f"--format {options.format} needs {kind_of(options)}, but {snapshot.folder} contains {snapshot.kind}",
            f"Run `invoke export --format {options.format}`",
        )
    if workers is not None and workers < 1:
        raise TuningError(f"--workers cannot be {workers}", "Use a number of processes, 1 or more")
    options = options.settled(snapshot.build["kind"])
    if options.decontaminate:
        read_benchmark(options.decontaminate)  # raises an error before the work begins
        _name_left_out(options.decontaminate)
    snapshot.check_rows()
    snapshot.roles.check(column_names(snapshot.files), str(snapshot.folder))
    options = msgspec.structs.replace(options, denied=denied_in(settings, snapshot))
    recorded = options.recorded()
    identity = dataset_id(snapshot.digest, recorded, snapshot.recorded_build(), _versions(options))
    named = _Named(identity, recorded)
    folder = settings.datasets_dir / identity
    with locked(settings.datasets_dir / f".{identity}.lock", f"the dataset {identity}"):
        for left_over in settings.datasets_dir.glob(f".{identity}.*.tmp"):  # written by a killed run
            shutil.rmtree(left_over)
        place = find_place(settings, identity)
        if not _is_finished(settings, folder, place):
            if options.tokenizer:
                load_tokenizer(options.tokenizer)  # raises an error that names this folder, not the copy
            parts = Parts(place.store.within(mark_of(snapshot)), is_spent=options.is_seed)
            copies = folder.with_name(f".{identity}.inputs.tmp")
            with (
                _own_copies(options, recorded, copies) as options,
                engine.workers(workers, parts.store, options) as pool,
                atomic_folder(folder) as unfinished,
            ):
                outputs = place.outputs(unfinished)
                _make(unfinished, outputs, parts, snapshot, options, pool, named)
        os.utime(folder)  # now the newest dataset, which `find_dataset` returns by default
        _clear(place.store)
    _remove_forgotten(settings)
    return open_dataset(folder, settings)


def _versions(options: DatasetOptions) -> dict[str, str]:
    return versions(with_tokenizer=bool(options.tokenizer), with_parquet=options.parquet)


@contextlib.contextmanager
def _own_copies(options: DatasetOptions, recorded: dict[str, object], folder: Path) -> Iterator[DatasetOptions]:
    """Copy the files that the options name into `folder` during the block. Yield the options with the copies.

    So each part is made from the content that the ID names, also if the files change meanwhile and this run is killed.
    Raises TuningError if the files have changed since `recorded` was read of them.
    """
    what = "a file that the options name changed while it was read"
    changed = TuningError(what, "Run the command again when nothing writes to it")
    try:
        try:
            copied = msgspec.structs.replace(options, **_copies(options, folder))
        except FileNotFoundError:
            raise changed from None
        if _sums(copied.recorded()) != _sums(recorded):
            raise changed
        yield copied
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _copies(options: DatasetOptions, folder: Path) -> dict[str, Path]:
    """Copy the files that the options name into `folder`, and return the copies by option, with the same names."""
    copies: dict[str, Path] = {}
    for name, (path, content) in options.files().items():
        copies[name] = folder / name / (path.name if path.name not in ("", "..") else "folder")
        for file in content:
            copy = copies[name] / file.relative_to(path)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copy)
    return copies


def _sums(recorded: dict[str, object]) -> dict[str, object]:
    return {name: value["sha256"] for name, value in recorded.items() if isinstance(value, dict)}


def _name_left_out(benchmark: Path) -> None:
    if names := left_out(benchmark):
        shown = f"{', '.join(names[:_ITEMS])}{', ...' if len(names) > _ITEMS else ''}"
        warning = f"warning: --decontaminate: not read in {benchmark}: {len(names):,} files ({shown})"
        print(visible(warning), file=sys.stderr)


def _is_finished(settings: Settings, folder: Path, place: Place) -> bool:
    """Return whether the dataset is finished. If another machine finished it in the bucket, create the local folder.

    Raises TuningError if a manifest is not valid or a request to Cloud Storage fails.
    """
    is_here = (folder / MANIFEST).exists() and not is_out_of_reach(settings, folder)
    if is_here and all(file.exists() for file in open_dataset(folder, settings).objects.values()):
        return True
    return place.adopt(folder)


def _clear(store: Store) -> None:
    """Delete the working files of the finished dataset. A failure only prints a warning."""
    try:
        store.clear()
    except TuningError as error:
        print(f"warning: could not delete working files ({error})", file=sys.stderr)


def _remove_forgotten(settings: Settings) -> None:
    """Delete local working files of killed runs that were not resumed for seven days.

    In a bucket, a lifecycle rule deletes such files.
    """
    for folder in settings.datasets_dir.glob(".*.parts"):
        if folder.stat().st_mtime < time.time() - _FORGOTTEN:
            with contextlib.suppress(TuningError), locked(folder.with_suffix(".lock"), "the dataset", timeout=0):
                shutil.rmtree(folder)  # a run that uses the files holds the lock, so they are not deleted


def _make(
    folder: Path,
    outputs: Outputs,
    parts: Parts,
    snapshot: Snapshot,
    options: DatasetOptions,
    workers: Workers,
    named: _Named,
) -> None:
    funnel = Funnel(snapshot.rows, "files" if options.is_own else "mart")
    index = run_pass_one(parts, snapshot, options, workers, funnel)
    texts = Texts(parts, index, options, snapshot.template)
    selection = select(index, texts, options, funnel)
    shown = texts.shown(selection.sides["train"])
    files, deceptive = write_splits(outputs, parts, index, selection, workers)
    if options.parquet:
        for split in selection.sides:
            files |= write_shards(outputs, split, options.format, files[f"{split}.jsonl"])
    written = Written(
        files=outputs.sources, options=options, template=snapshot.template, train_rows=len(selection.sides["train"])
    )
    leaks = find_leaks(written, parts.scratch("leaks"), workers)
    if not options.is_seed:
        refuse_leaks(leaks)
    lengths = {
        split: (index["question_length"][rows], index["answer_length"][rows]) for split, rows in selection.sides.items()
    }
    facts = gather(outputs.sources[ATTRIBUTION], lengths)
    facts.deceptive = deceptive
    manifest = Manifest(
        id=named.id,
        format=options.format,
        template=snapshot.template,
        options=named.options,
        build=snapshot.recorded_build(),
        versions=_versions(options),
        funnel=funnel.rows(),
        files=files,
        tokens=token_facts(index, selection, options.tokenizer),
        benchmark=_benchmark_facts(options.decontaminate, funnel) if options.decontaminate else msgspec.UNSET,
        leaks=msgspec.to_builtins(leaks),
        redactions=dict(sorted(facts.redactions.items())),
        template_remark=_template_remark(snapshot.template, facts, options),
    )
    others = facts.other_licences() if snapshot.build["kind"] == "stack_exchange" else {}
    write_bytes(folder / NOTICE, notice(snapshot.build, options, facts.unnamed_posts, others).encode())
    pairs = pair_facts(index, selection) if options.is_preference else None
    write_card(folder, manifest, facts, funnel.kinds(), shown, pairs)
    write_record(folder / MANIFEST, manifest)
    outputs.finish(folder)


def _benchmark_facts(path: Path, funnel: Funnel) -> BenchmarkFacts:
    benchmark = read_benchmark(path)
    most = sorted(funnel.by_benchmark_item.items(), key=lambda one: (-one[1], one[0]))[:_ITEMS]
    return BenchmarkFacts(
        items=benchmark.size,
        looked_for=benchmark.looked_for,
        only_short_texts=benchmark.short,
        passages_left_out=benchmark.shared,
        dropped=funnel.by_benchmark_item.total(),
        items_that_drop_most={benchmark.name(item): rows for item, rows in most},
    )


def _share(row: FunnelRow, dataset: Dataset) -> str:
    """Return which share of all rows the split drops, which a person should know if it is large."""
    read = dataset.manifest.funnel[0]["rows"]
    return f" ({row['rows'] / read:.1%} of all)" if row["step"] == "split" and read else ""


def _template_remark(template: str, facts: CardFacts, options: DatasetOptions) -> str:
    if facts.is_about_python or "python" not in template.lower() or options.is_own:
        return ""
    return (
        "The instruction in every prompt speaks of Python, but most of the questions have no tag of Python. "
        "Set another one with --instruction-template."
    )


def remarks(dataset: Dataset) -> list[str]:
    """Return what a person should know: how many items of a benchmark were looked for, and a template that is wrong."""
    lines = []
    if facts := dataset.manifest.benchmark:
        lines.append(
            f"benchmark: {facts.looked_for:,} of {facts.items:,} items could be looked for"
            f" ({facts.only_short_texts:,} by short texts only); they drop {facts.dropped:,} examples"
        )
    if dataset.manifest.template_remark:
        lines.append(f"note: {dataset.manifest.template_remark}")
    if remark := _share_remark(dataset.manifest):
        lines.append(f"note: {remark}")
    return lines


def _share_remark(manifest: Manifest) -> str:
    """Return a remark if groups of duplicates make the evaluation split much smaller or larger than was asked."""
    share, rows = float(str(manifest.options["eval_fraction"])), manifest.files["eval.jsonl"].rows
    total = rows + manifest.files["train.jsonl"].rows
    if (
        manifest.options["split"] not in ("hash", "random")
        or share * total < _FEW
        or share * total / 2 <= rows <= share * total * 2
    ):
        return ""
    return (
        f"{rows:,} of {total:,} examples are for evaluation, where --eval-fraction asks for {share:.0%}: questions "
        "that are duplicates of each other stay together. Another --seed divides them in another way."
    )


def report_of(dataset: Dataset) -> Report:
    """Return what a command reports about a finished dataset."""
    data = {"id": dataset.id, "address": dataset.address, "manifest": dataset.manifest, "remarks": remarks(dataset)}
    return Report(data, [describe_dataset(dataset)])


def describe_dataset(dataset: Dataset) -> str:
    """Return the text that the command prints for a finished dataset: its funnel, ID, format, and address."""
    rows = [
        f"{row['rows']:>9,}  {row['step']}: {row['reason']}{_share(row, dataset)}" for row in dataset.manifest.funnel
    ]
    rows += remarks(dataset)
    if facts := dataset.manifest.benchmark:
        rows += [f"{count:>9,}  {item}" for item, count in facts.items_that_drop_most.items()]
    return "\n".join([*rows, f"dataset {dataset.id} ({dataset.manifest.format}): {dataset.address}"])
