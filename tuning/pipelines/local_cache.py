"""What kfp.local keeps of earlier runs: its cache, which only asks whether an output's path exists, and the outputs."""

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tuning.pipelines.contents import listing_sha256


def drop_broken_entries(cache: Path) -> list[Path]:
    """Remove each entry of which an output is gone or has other files than when it was written; return those outputs.

    The step runs again then, and so does whatever reads its output.
    """
    broken = []
    for entry in sorted(cache.glob("*.json")):
        lost = [path for path, listing in _artifacts(entry) if not path.exists() or listing_sha256(path) != listing]
        if lost:
            entry.unlink()
            broken += lost
    return broken


def prune_outputs(root: Path, pipeline: str) -> int:
    """Remove what runs of `pipeline` left under `root` and no cache entry names: outputs of steps that failed or ran
    again. Registered models are links of their own and stay. Returns the bytes that this frees."""
    needed = {path.relative_to(root).parts[:2] for path in _outputs(root / "cache") if path.is_relative_to(root)}
    tasks = [task for task in root.glob(f"{pipeline}-*/*/") if task.relative_to(root).parts not in needed]
    freed = sum(map(_remove, tasks))
    for run in {task.parent for task in tasks}:
        if not any(run.iterdir()):
            run.rmdir()
    return freed


def prune_work(work: Path, days: float) -> int:
    """Remove tunings that nobody went on with for so many days. Returns the bytes that this frees."""
    oldest = time.time() - days * 86_400
    unfinished = [folder for folder in work.glob("[!.]*") if folder.is_dir()]
    return sum(_remove(folder) for folder in unfinished if _last_written(folder) < oldest)


def _outputs(cache: Path) -> Iterator[Path]:
    for entry in cache.glob("*.json"):
        for value in json.loads(entry.read_bytes()).values():
            if isinstance(value, dict) and "uri" in value:
                yield Path(value["uri"])


def _remove(path: Path) -> int:
    files = [file.stat() for file in path.rglob("*") if file.is_file()]
    shutil.rmtree(path)
    return sum(file.st_size for file in files if file.st_nlink == 1)  # another link's bytes stay


def _last_written(folder: Path) -> float:
    return max(path.stat().st_mtime for path in (folder, *folder.rglob("*")))


def _artifacts(entry: Path) -> Iterator[tuple[Path, str]]:
    outputs: dict[str, Any] = json.loads(entry.read_bytes())
    for value in outputs.values():
        if isinstance(value, dict) and "listing_sha256" in (value.get("metadata") or {}):
            yield Path(value["uri"]), value["metadata"]["listing_sha256"]
