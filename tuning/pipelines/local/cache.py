"""Clean up the cache and the outputs that kfp.local keeps from earlier runs.

kfp.local's cache only checks whether the path of an output exists.
"""

import contextlib
import os
import secrets
import shutil
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from tuning.errors import TuningError
from tuning.pipelines.steps.hashing import listing_sha256
from tuning.records import read_record


def drop_broken_entries(cache: Path) -> list[Path]:
    """Remove the cache entries whose outputs are missing or changed, and return the paths of those outputs.

    A damaged entry is removed too, and its own path is returned.
    An output counts as changed if the names or sizes of its files differ from when it was written. Its step then runs
    again, and so do the steps that read the output. The cache of a copied home names outputs of the original: they
    count as missing too.
    """
    broken = []
    for entry in sorted(cache.glob("*.json")):
        try:
            lost = [Path(artifact.uri) for artifact in _artifacts(entry) if _is_lost(artifact, cache.parent)]
        except TuningError:
            lost = [entry]
        if lost:
            delete(entry)
            broken += lost
    return broken


def prune_outputs(root: Path, pipeline: str) -> int:
    """Remove the outputs of `pipeline` under `root` that no cache entry names. Return the number of bytes freed.

    Registered models stay, because they have separate hard links.
    """
    freed = sum(map(_remove, unused_outputs(root, pipeline)))
    remove_empty_runs(root, pipeline)
    return freed


def unused_outputs(root: Path, pipeline: str) -> list[Path]:
    """Return the outputs of `pipeline` under `root` that no cache entry names: of steps that failed or ran again."""
    needed = set()
    for entry in root.glob("cache/*.json"):
        with contextlib.suppress(TuningError):  # a damaged entry: `drop_broken_entries` removes and names it
            outputs = [Path(output.uri) for output in _artifacts(entry)]
            needed |= {path.relative_to(root).parts[:2] for path in outputs if path.is_relative_to(root)}
    return [task for task in root.glob(f"{pipeline}-*/*/") if task.relative_to(root).parts not in needed]


def remove_empty_runs(root: Path, pipeline: str) -> None:
    """Remove the folders of runs that have no outputs any more."""
    for run in root.glob(f"{pipeline}-*"):
        with contextlib.suppress(OSError):  # it is not empty
            run.rmdir()


def prune_work(work: Path, days: float) -> int:
    """Remove unfinished tunings that have not changed for `days` days. Return the number of bytes freed."""
    oldest = time.time() - days * 86_400
    unfinished = [folder for folder in work.glob("[!.]*") if folder.is_dir()]
    return sum(_remove(folder) for folder in unfinished if last_written(folder) < oldest)


def freed_by(path: Path) -> int:
    """Return the number of bytes that deleting a file or folder frees. A file with more links stays on disk."""
    files = [one for one in _stats(path) if stat.S_ISREG(one.st_mode) or stat.S_ISLNK(one.st_mode)]
    return sum(file.st_size for file in files if file.st_nlink == 1)


def last_written(path: Path) -> float:
    """Return when a file, or the newest file in a folder, was written, in seconds since 1970."""
    return max((one.st_mtime for one in _stats(path)), default=time.time())


def _stats(path: Path) -> Iterator[os.stat_result]:
    """Yield the status of a file or link, or of a folder and all it contains. What is deleted meanwhile is left out."""
    inside = () if path.is_symlink() else os.walk(path)
    names = (Path(folder, name) for folder, folders, files in inside for name in (*folders, *files))
    for one in (path, *names):
        with contextlib.suppress(FileNotFoundError):
            yield one.lstat()


def delete(path: Path) -> None:
    """Delete a file, a link, or a folder with all it contains.

    A folder first gets a temporary name, so that its remains are not taken for the whole if this process is killed.
    """
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
        return
    if not path.name.endswith(".tmp"):
        path = path.rename(path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp"))
    shutil.rmtree(path)


def _remove(path: Path) -> int:
    freed = freed_by(path)
    shutil.rmtree(path)
    return freed


class _Output(msgspec.Struct):
    uri: str
    metadata: dict[str, Any] | None = None


def _artifacts(entry: Path) -> list[_Output]:
    """Return the outputs of a cached step that are files or folders. Raises TuningError if the entry is damaged."""
    values = read_record(entry, dict[str, Any], "Run `invoke tune`, which removes it").values()
    return [msgspec.convert(value, _Output) for value in values if isinstance(value, dict) and "uri" in value]


def _is_lost(artifact: _Output, root: Path) -> bool:
    path, listing = Path(artifact.uri), (artifact.metadata or {}).get("listing_sha256")
    return listing is not None and (
        not path.is_relative_to(root) or not path.exists() or listing_sha256(path) != listing
    )
