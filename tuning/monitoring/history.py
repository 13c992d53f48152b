"""The history of runs, read from their records (``var/runs/RUN_ID/run.json``)."""

import msgspec

from tuning.settings import Settings


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of a run's record that its history shows; the record holds more."""

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
    """The `newest` last runs, oldest first. Run IDs sort by time."""
    records = sorted(settings.runs_dir.glob("*/run.json"))[-newest:] if newest else []
    return [msgspec.json.decode(path.read_bytes(), type=Run) for path in records]
