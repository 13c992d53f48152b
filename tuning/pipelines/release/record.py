"""Write the record of a run, ``var/runs/RUN_ID/run.json``, and find the newest report.

The record also contains the run's start time, host and git commit.
"""

import os
import platform
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import msgspec

from tuning.errors import TuningError
from tuning.machine import git_commit, run_status
from tuning.monitoring.history import RECORD
from tuning.pipelines.outcome import Step
from tuning.records import read_record, write_record
from tuning.settings import Settings

REPORT = "report.html"
SUMMARY = "report.md"


class RunRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Represent one run of a pipeline."""

    id: str
    status: Literal["running", "succeeded", "failed", "interrupted"]
    started_at: str  # ISO 8601, UTC
    seconds: float = 0.0
    host: str = ""
    pid: int = 0  # of the command, as long as it runs
    python: str = ""
    commit: str = ""  # git commit of the code, empty outside a git checkout
    pipeline: str = ""
    arguments: dict[str, str] = {}
    dataset_id: str = ""
    steps: list[Step] = []
    version: str = ""
    promoted: bool = False
    verdict: str = ""
    error: str = ""


def start_run(settings: Settings, pipeline: str, dataset_id: str = "") -> tuple[Path, RunRecord]:
    """Create the folder and the first record of a new run and return both. Run IDs sort by time."""
    now = datetime.now(UTC)
    record = RunRecord(
        id=f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(3)}",
        status="running",
        started_at=now.isoformat(timespec="seconds"),
        host=platform.node(),
        pid=os.getpid(),
        python=platform.python_version(),
        commit=git_commit(),
        pipeline=pipeline,
        dataset_id=dataset_id,
    )
    folder = settings.runs_dir / record.id
    folder.mkdir(parents=True)
    write_run(folder, record)
    return folder, record


def write_run(folder: Path, record: RunRecord) -> None:
    """Write the record into the run's folder."""
    write_record(folder / RECORD, record)


def read_run(folder: Path) -> RunRecord:
    """Read the record in the run's folder. A run whose process was killed is interrupted.

    Raises TuningError if the record is missing or damaged.
    """
    remedy = f"No command can make it again. Restore it, or delete {folder} to forget the run"
    record = read_record(folder / RECORD, RunRecord, remedy)
    return msgspec.structs.replace(record, status=run_status(record.status, record.host, record.pid, record.started_at))


def in_progress(folder: Path) -> bool:
    """Return whether the command of the run works on it. A run of another host counts until its record ends."""
    try:
        record = read_run(folder)
    except TuningError:
        return False  # no command reads or writes such a run
    return record.status == "running"


def ended(record: RunRecord, error: BaseException) -> RunRecord:
    """Return the record of a run that ended with this error. A person or the system interrupts one with a signal."""
    is_failure = isinstance(error, Exception)
    return msgspec.structs.replace(
        record, status="failed" if is_failure else "interrupted", error=str(error)[:1000] if is_failure else ""
    )


def newest_report(settings: Settings) -> Path:
    """Return the report of the newest run that has one. Raises TuningError if there is no report."""
    reports = sorted(settings.runs_dir.glob(f"[!.]*/{REPORT}"))
    if not reports:
        raise TuningError(f"there is no report in {settings.runs_dir}", "Run `invoke tune` to create one")
    return reports[-1]
