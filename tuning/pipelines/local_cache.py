"""kfp.local's cache, which only asks whether an output's path exists: drop the entries whose outputs lost a file."""

import json
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


def _artifacts(entry: Path) -> Iterator[tuple[Path, str]]:
    outputs: dict[str, Any] = json.loads(entry.read_bytes())
    for value in outputs.values():
        if isinstance(value, dict) and "listing_sha256" in (value.get("metadata") or {}):
            yield Path(value["uri"]), value["metadata"]["listing_sha256"]
