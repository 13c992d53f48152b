"""Read the history of runs from their records, ``run.json`` in the folder of each run.

The folders are in ``var/runs/``. With a bucket, the records and reports are also in ``gs://BUCKET/registry/runs/``.
"""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Annotated

import msgspec

from tuning.gcs.object_file import PARALLEL
from tuning.gcs.storage import find_storage
from tuning.machine import run_status
from tuning.records import decode_record, unreadable
from tuning.settings import Settings
from tuning.storage import runs_address

RECORD = "run.json"  # in the folder of each run


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """Represent a run, with the fields of its record that the history shows."""

    id: str
    status: str
    started_at: str
    host: str = ""
    pid: Annotated[int, msgspec.Meta(ge=0)] = 0
    pipeline: str = ""
    dataset_id: str = ""
    seconds: float = 0.0
    version: str = ""
    verdict: str = ""
    promoted: bool = False
    error: str = ""

    def __post_init__(self) -> None:
        """Raise ValueError if the record has no time of its start, so that the file is damaged."""
        datetime.fromisoformat(self.started_at)


def runs(settings: Settings, newest: int | None) -> list[Run]:
    """Return the last `newest` runs (None: all), the oldest first. The IDs of runs sort by time.

    With a bucket, these are the runs of all homes that share it. A run whose process was killed is interrupted. Raises
    TuningError if the record of one of them is damaged.
    """
    ids = find_storage(settings).children(runs_address(settings))[::-1]
    found: list[Run] = []
    with ThreadPoolExecutor(PARALLEL) as pool:
        for start in range(0, len(ids), PARALLEL):
            if newest is not None and len(found) >= newest:
                break
            found += filter(None, pool.map(lambda name: _read(settings, name), ids[start : start + PARALLEL]))
    return found[:newest][::-1]


def time_of(seconds: float) -> str:
    """Return how long a run took, such as ``332.1 s``, or "-" for 0: it still runs, or its process was killed."""
    return f"{seconds:.1f} s" if seconds else "-"


def run_file(settings: Settings, run_id: str, name: str) -> str:
    """Return the address of a file of a run: its record or its report."""
    return f"{runs_address(settings)}/{run_id}/{name}"


def _read(settings: Settings, run_id: str) -> Run | None:
    """Return a run, or None if its folder has no record."""
    storage, uri = find_storage(settings), run_file(settings, run_id, RECORD)
    folder = storage.shown(run_file(settings, run_id, "")).rstrip("/")
    remedy = f"No command can make it again. Restore it, or delete {folder} to forget the run"
    try:
        found = storage.read(uri)
    except OSError as error:
        raise unreadable(storage.shown(uri), error, remedy) from None
    if found is None:
        return None
    run = decode_record(found.content, Run, str(found), remedy)
    return msgspec.structs.replace(run, status=run_status(run.status, run.host, run.pid, run.started_at))
