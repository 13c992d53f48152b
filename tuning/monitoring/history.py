"""Read the history of runs from their records (``var/runs/RUN_ID/run.json``)."""

import os

import msgspec

from tuning.machine import run_status
from tuning.records import read_record
from tuning.settings import Settings

RECORD = "run.json"  # in the folder of each run


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """Represent a run, with the fields of its record that the history shows."""

    id: str
    status: str
    started_at: str
    host: str = ""
    pid: int = 0
    pipeline: str = ""
    dataset_id: str = ""
    seconds: float = 0.0
    version: str = ""
    verdict: str = ""
    promoted: bool = False
    error: str = ""


def runs(settings: Settings, newest: int | None) -> list[Run]:
    """Return the last `newest` runs (None: all), the oldest first. The IDs of runs sort by time.

    A run whose process was killed is interrupted. Raises TuningError if the record of one of them is damaged.
    """
    records = sorted(run / RECORD for run in settings.runs_dir.glob("[!.]*") if os.path.lexists(run / RECORD))
    chosen = records if newest is None else records[-newest:] if newest else []
    read = [
        read_record(path, Run, f"No command can make it again. Restore it, or delete {path.parent} to forget the run")
        for path in chosen
    ]
    return [
        msgspec.structs.replace(run, status=run_status(run.status, run.host, run.pid, run.started_at)) for run in read
    ]
