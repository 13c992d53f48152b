"""Find and delete left-overs of a home: what nothing needs, and old files that a command makes again.

Nothing is deleted while another command works in the home; a dry run then leaves out the folders in use. Registered
models, the journal, records and reports of runs, and everything that the pipeline's cache refers to stay. So do
datasets and snapshots that no command could make again.
"""

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tuning.dataset.dataset import Dataset, datasets
from tuning.dataset.snapshot.export import snapshots
from tuning.errors import TuningError
from tuning.pipelines.local.cache import delete, freed_by, last_written, remove_empty_runs, unused_outputs
from tuning.pipelines.local.runner import pipeline_root
from tuning.pipelines.release.record import KEPT, REPORT, in_progress
from tuning.pipelines.tuning import PIPELINES
from tuning.registry.model_folder import WEIGHTS
from tuning.registry.registry import unfinished, versions
from tuning.settings import Settings
from tuning.storage import locked, sha256_of
from tuning.target import at_home
from tuning.tuners.hf.models.adapted import BASE, base_name
from tuning.tuners.hf.train.saved import ADAPTER

_SECONDS = {"h": 3600, "d": 86_400, "w": 604_800}
_FILES = ("decontaminate", "redact_rules", "decisions")  # options of a dataset that name files of a person
# A command that writes a temporary file into one of these folders holds one of the locks that `clean` takes.
_GUARDED = ("datasets", "snapshots", "models", "pipeline", "work", "cache")
_LOCKS = ("datasets/.*.lock", "snapshots/.*.lock", "work/.*.lock", "cache/*.lock", "cache/tiny/*.lock")
_TEMPORARY = (
    *(
        "sources",
        "gcs/.uploads/*",
        "gcs/*/load/*",
        "gcs/*/snapshots/*",
        "cache/.fetch-*",
        "cache/.convert-*",
        "cache/.push-*",
    ),
    "uploads/*",  # of an earlier version
)
_LOADING = ("gcs", "sources")  # folders that several commands use for what they load and export
_TRIES = 10  # of a dry run while other commands are at work
_GRACE = 3600  # seconds; outside these folders, a temporary file is a left-over if it is older


@dataclass(frozen=True)
class LeftOver:
    """Represent a file or a folder that can be deleted. `size` is the number of bytes that this frees."""

    kind: str
    path: Path
    size: int


def clean(settings: Settings, older_than: str, *, dry_run: bool) -> Iterator[str]:
    """Delete the left-overs and yield a line for each kind, then the total. With `dry_run`, delete nothing.

    `older_than` is an age such as ``30d``: datasets, snapshots, unfinished work and logs that were used since then
    stay. A dry run while another command works in the home leaves out the folders in use, and says so. Raises
    TuningError if something is to be deleted then, or if the registry is damaged.
    """
    oldest = time.time() - int(older_than[:-1]) * _SECONDS[older_than[-1]]
    in_use = _in_use(settings) if dry_run else []
    with contextlib.nullcontext() if dry_run else _alone(settings):
        notes: list[str] = []
        if in_use:
            folders = ", ".join(f"{name}/" for name in in_use)
            notes.append(f"another command is at work in this home, so `invoke clean` refuses; not counted: {folders}")
        found_all = _find_in_use(settings, oldest, notes) if in_use else _find(settings, oldest, notes)
        every = [one for one in found_all if one.path.relative_to(settings.home).parts[0] not in in_use]
        paths = {one.path for one in every}
        found = [one for one in every if paths.isdisjoint(one.path.parents)]  # each is counted once
        for kind in dict.fromkeys(one.kind for one in found):
            these = [one for one in found if one.kind == kind]
            if not dry_run:
                for one in these:
                    delete(one.path)
            yield _line(kind, these)
        if not dry_run:
            for name in PIPELINES:
                remove_empty_runs(pipeline_root(settings), name)
    yield from notes
    yield _line("would be deleted" if dry_run else "deleted", found)


def _line(what: str, found: list[LeftOver]) -> str:
    return f"{what:48} {len(found):>6,} {sum(one.size for one in found) / 1e6:>12,.1f} MB"


def _locks(settings: Settings) -> list[Path]:
    """Return the lock files of the home: those that each command may make, and the others that exist."""
    home = settings.home
    known = [pipeline_root(settings) / ".lock", settings.models_dir / ".lock", settings.models_dir / ".register.lock"]
    known += [home / "sources.lock", home / "load.lock"]
    return known + [path for pattern in _LOCKS for path in sorted(home.glob(pattern))]


@contextlib.contextmanager
def _alone(settings: Settings) -> Iterator[None]:
    """Hold every lock of the home. Raises TuningError if another process holds one."""
    with contextlib.ExitStack() as stack:
        for path in _locks(settings):
            if path.exists() or settings.home.is_dir():
                stack.enter_context(locked(path, "a part of the home", timeout=0))
        yield


def _in_use(settings: Settings) -> list[str]:
    """Return the folders of the home in which other commands work, by the locks that they hold now."""
    found = set()
    for path in filter(Path.exists, _locks(settings)):
        try:
            with locked(path, "a part of the home", timeout=0):
                pass
        except TuningError:
            found |= {*path.parent.relative_to(settings.home).parts[:1], *_LOADING}
    return sorted(found)


def _find_in_use(settings: Settings, oldest: float, notes: list[str]) -> list[LeftOver]:
    """Return what `_find` yields, while other commands create and remove folders."""
    for _ in range(_TRIES):
        more: list[str] = []
        with contextlib.suppress(FileNotFoundError):  # a folder that was removed after it was listed
            found = list(_find(settings, oldest, more))
            notes += more
            return found
    raise TuningError("the home changes all the time", "Try again when fewer commands are at work")


def _find(settings: Settings, oldest: float, notes: list[str]) -> Iterator[LeftOver]:
    yield from _all("temporary files of killed commands", _temporary(settings))
    yield from _all("requests of earlier runs", (pipeline_root(settings) / "requests").glob("*.json"))
    root = pipeline_root(settings)
    unused = [path for name in PIPELINES for path in unused_outputs(root, name)]
    yield from _all("outputs that the cache does not use", unused)
    yield from _runs(settings, oldest)
    used = _bases(settings)
    for kind, pattern in (
        ("unfinished tunings", "work/[!.]*"),
        ("working files of unfinished datasets", "datasets/.*.parts"),
        ("base models built for a dataset", "cache/tiny/[!.]*[!k]"),
        ("datasets downloaded for a run", "cache/datasets/*"),
        ("models downloaded from the registry", "cache/models/*"),
        ("reports downloaded from the registry", "cache/reports/*"),
    ):
        paths = (path for path in settings.home.glob(pattern) if path not in used)
        yield from _all(kind, (path for path in paths if last_written(path) < oldest))
    folders = (settings.models_dir / name for name in unfinished(at_home(settings)))
    yield from _all("unfinished registrations", (path for path in folders if last_written(path) < oldest))
    yield from _data(settings, oldest, notes)


def _bases(settings: Settings) -> set[Path]:
    """Return where the tiny base models of registered versions are that kept only their adapter."""
    kept = settings.models_dir.glob(f"*/model/{WEIGHTS}/{ADAPTER}/{BASE}")
    return {settings.cache_dir / "tiny" / base_name(path.parent).revision for path in kept}


def _all(kind: str, paths: Iterator[Path] | list[Path]) -> Iterator[LeftOver]:
    for path in sorted(paths):
        yield LeftOver(kind, path, freed_by(path))


def _temporary(settings: Settings) -> Iterator[Path]:
    home = settings.home
    for run in _folders_of_runs(settings):
        if (run / "scratch").exists() and not in_progress(run):
            yield run / "scratch"
    for pattern in _TEMPORARY:
        yield from home.glob(pattern)
    for folder in (home / name for name in _GUARDED):
        yield from _unfinished(folder)
    for folder in (home, settings.runs_dir, *_folders_of_runs(settings), home / "docs"):
        yield from (path for path in folder.glob(".*.tmp") if last_written(path) < time.time() - _GRACE)


def _folders_of_runs(settings: Settings) -> list[Path]:
    """Return the folders of runs in the home. A link to a folder elsewhere is not one, so nothing there is deleted."""
    return [path for path in settings.runs_dir.glob("[!.]*") if path.is_dir() and not path.is_symlink()]


def _unfinished(folder: Path) -> Iterator[Path]:
    """Yield the temporary files and folders below `folder`, but not those inside another one."""
    for path in folder.glob("*"):
        if path.name.startswith(".") and path.name.endswith(".tmp"):
            yield path
        elif path.is_dir() and not path.is_symlink():
            yield from _unfinished(path)


def _runs(settings: Settings, oldest: float) -> Iterator[LeftOver]:
    named = {version.run_id for version in versions(at_home(settings))}
    failed, parts = [], []
    for run in _folders_of_runs(settings):
        if in_progress(run) or last_written(run) >= oldest:
            continue
        if (run / REPORT).exists() or run.name in named:
            parts += [path for path in run.glob("*") if path.name not in {*KEPT, "scratch"}]
        else:
            failed.append(run)
    yield from _all("runs without a report", failed)
    yield from _all("logs and outputs of runs with a report", parts)


def _data(settings: Settings, oldest: float, notes: list[str]) -> Iterator[LeftOver]:
    """Yield old datasets and snapshots that are not needed, if a command can make them again."""
    every = list(datasets(settings))
    needed = {version.dataset_id for version in versions(at_home(settings))} | {one.id for one in every[:1]}
    old = [one for one in every if one.id not in needed and _is_old(one.folder, oldest) and not _is_own(one)]
    exported = list(snapshots(settings))
    newest = {one.kind: one for one in sorted(exported, key=lambda one: one.folder.stat().st_mtime_ns)}
    unused = [one for one in exported if one is not newest[one.kind] and _is_old(one.folder, oldest)]
    if not old and not unused:
        return
    loaded = _loaded(settings, notes)
    gone = [one for one in old if _can_be_made(one.manifest.build, loaded)]
    builds = [one.manifest.build for one in every if one not in gone]
    yield from _all("datasets", [one.folder for one in gone])
    yield from _all(
        "snapshots",
        [one.folder for one in unused if _can_be_made(one.build, loaded) and one.recorded_build() not in builds],
    )
    stay = len(old) - len(gone) + sum(not _can_be_made(one.build, loaded) for one in unused)
    if stay and loaded:
        notes.append(f"{stay} old datasets and snapshots stay, because the warehouse now contains other data")


def _is_old(folder: Path, oldest: float) -> bool:
    """Return whether a dataset or snapshot was last used before `oldest`. Each use sets the time of its folder."""
    return folder.stat().st_mtime < oldest


def _is_own(dataset: Dataset) -> bool:
    """Return whether a person has a part in the dataset: a changed file, or an option that names a file."""
    manifest = dataset.manifest
    is_of_files = manifest.build.get("kind") == "own"
    if is_of_files or any(manifest.options.get(name) for name in _FILES) or dataset.objects:
        return True
    files = {dataset.folder / name: facts for name, facts in manifest.files.items()}
    return any(not path.is_file() or sha256_of(path) != facts.sha256 for path, facts in files.items())


def _loaded(settings: Settings, notes: list[str]) -> dict[str, Any]:
    """Return the origin of the data in the warehouse, or an empty dictionary if that cannot be found out."""
    from tuning.warehouse.client import connect
    from tuning.warehouse.fingerprint import source

    try:
        return source(settings, connect(settings))
    except TuningError as error:
        notes.append(f"the warehouse does not say what it contains: {error}")
        return {}


def _can_be_made(build: dict[str, Any], loaded: dict[str, Any]) -> bool:
    """Return whether a build is one of the data in the warehouse, or a copy of own data."""
    if build.get("kind") == "own":
        return True
    return bool(loaded) and all(name in build and build[name] == value for name, value in loaded.items())
