"""Read the history of runs from their records (``var/runs/RUN_ID/run.json``)."""

import msgspec

from tuning.settings import Settings


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """Represent a run, with the fields of its record that the history shows."""

    id: str
    status: str
    started_at: str
    pipeline: str = ""
    dataset_id: str = ""
    seconds: float = 0.0
    version: str = ""
    verdict: str = ""
    promoted: bool = False
    error: str = ""


def runs(settings: Settings, newest: int) -> list[Run]:
    """Return the last `newest` runs, the oldest first. The IDs of runs sort by time."""
    records = sorted(settings.runs_dir.glob("*/run.json"))[-newest:] if newest else []
    return [msgspec.json.decode(path.read_bytes(), type=Run) for path in records]
