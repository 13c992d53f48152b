"""Clean up the cache and the outputs that kfp.local keeps from earlier runs.

kfp.local's cache only checks whether the path of an output exists.
"""

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tuning.pipelines.steps.hashing import listing_sha256


def drop_broken_entries(cache: Path) -> list[Path]:
    """Remove the cache entries whose outputs are missing or changed, and return the paths of those outputs.

    An output counts as changed if the names or sizes of its files differ from when it was written. Its step then runs
    again, and so do the steps that read the output. The cache of a copied home names outputs of the original: they
    count as missing too.
    """
    broken = []
    for entry in sorted(cache.glob("*.json")):
        lost = [Path(artifact["uri"]) for artifact in _artifacts(entry) if _is_lost(artifact, cache.parent)]
        if lost:
            entry.unlink()
            broken += lost
    return broken


def prune_outputs(root: Path, pipeline: str) -> int:
    """Remove the outputs of `pipeline` under `root` that no cache entry names. Return the number of bytes freed.

    These are outputs of steps that failed or ran again. Registered models stay, because they have separate hard links.
    """
    outputs = (Path(output["uri"]) for entry in root.glob("cache/*.json") for output in _artifacts(entry))
    needed = {path.relative_to(root).parts[:2] for path in outputs if path.is_relative_to(root)}
    tasks = [task for task in root.glob(f"{pipeline}-*/*/") if task.relative_to(root).parts not in needed]
    freed = sum(map(_remove, tasks))
    for run in {task.parent for task in tasks}:
        if not any(run.iterdir()):
            run.rmdir()
    return freed


def prune_work(work: Path, days: float) -> int:
    """Remove unfinished tunings that have not changed for `days` days. Return the number of bytes freed."""
    oldest = time.time() - days * 86_400
    unfinished = [folder for folder in work.glob("[!.]*") if folder.is_dir()]
    return sum(_remove(folder) for folder in unfinished if _last_written(folder) < oldest)


def _remove(path: Path) -> int:
    files = [file.stat() for file in path.rglob("*") if file.is_file()]
    shutil.rmtree(path)
    return sum(file.st_size for file in files if file.st_nlink == 1)  # a file with more links stays on disk


def _last_written(folder: Path) -> float:
    return max(path.stat().st_mtime for path in (folder, *folder.rglob("*")))


def _artifacts(entry: Path) -> Iterator[dict[str, Any]]:
    """Yield the outputs of a cached step that are files or folders."""
    for value in json.loads(entry.read_bytes()).values():
        if isinstance(value, dict) and "uri" in value:
            yield value


def _is_lost(artifact: dict[str, Any], root: Path) -> bool:
    path, listing = Path(artifact["uri"]), (artifact.get("metadata") or {}).get("listing_sha256")
    return listing is not None and (
        not path.is_relative_to(root) or not path.exists() or listing_sha256(path) != listing
    )
