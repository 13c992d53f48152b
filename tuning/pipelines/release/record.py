"""Write the record of a run, ``var/runs/RUN_ID/run.json``, share it, and find the newest report.

The record also contains the run's start time, host and git commit.
"""

import os
import platform
import secrets
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import msgspec

from tuning.command_line.run_file import RUN_FILE
from tuning.errors import TuningError
from tuning.gcs.storage import find_storage
from tuning.machine import git_commit, run_status
from tuning.monitoring.history import RECORD, run_file
from tuning.pipelines.outcome import Seconds, Step
from tuning.records import read_record, write_record
from tuning.settings import Settings
from tuning.storage import runs_address, write_bytes

REPORT = "report.html"
SUMMARY = "report.md"
COMPARISON = "comparison.json"  # what the report shows, for the site
VERDICT = "verdict.json"
KEPT = (REPORT, SUMMARY, COMPARISON, VERDICT, RUN_FILE, RECORD)  # of a finished run; the record comes last


class RunRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Represent one run of a pipeline."""

    id: str
    status: Literal["running", "succeeded", "failed", "interrupted"]
    started_at: str  # ISO 8601, UTC
    seconds: Seconds = 0.0
    host: str = ""
    pid: Annotated[int, msgspec.Meta(ge=0)] = 0  # of the command, as long as it runs
    python: str = ""
    commit: str = ""  # git commit of the code, empty outside a git checkout
    pipeline: str = ""
    arguments: dict[str, str] = {}
    dataset_id: str = ""
    base_model: str = ""  # that was asked for; "" in records of earlier versions of the project
    steps: list[Step] = []
    version: str = ""
    promoted: bool = False
    verdict: str = ""
    error: str = ""

    def __post_init__(self) -> None:
        """Raise ValueError if the record has no time of its start, so that the file is damaged."""
        datetime.fromisoformat(self.started_at)


def start_run(
    settings: Settings, pipeline: str, dataset_id: str = "", run_file: str = "", base_model: str = ""
) -> tuple[Path, RunRecord]:
    """Create the folder and the first record of a new run and return both. Run IDs sort by time.

    `run_file` is the text of the file that repeats the run, or empty if there is none.
    """
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
        base_model=base_model,
    )
    folder = settings.runs_dir / record.id
    folder.mkdir(parents=True)
    if run_file:
        write_bytes(folder / RUN_FILE, run_file.encode())
    write_run(settings, folder, record)
    return folder, record


def write_run(settings: Settings, folder: Path, record: RunRecord) -> None:
    """Write the record into the run's folder, and share it and the results."""
    write_record(folder / RECORD, record)
    _share(settings, folder)


def _share(settings: Settings, folder: Path) -> None:
    """Upload the record and the results of a run to the bucket. Without a bucket, they stay where they are.

    A failure only prints a warning, because it must not hide how the run ended.
    """
    try:
        for name in KEPT:
            if (folder / name).exists():
                find_storage(settings).put(folder / name, run_file(settings, folder.name, name))
    except TuningError as error:
        print(f"warning: the record of the run {folder.name} is on this machine only ({error})", file=sys.stderr)


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


class NewestReport(NamedTuple):
    """Name the report of the newest run that has one, and count the newer runs, which have none."""

    path: Path
    run_id: str
    newer: int

    @property
    def in_words(self) -> str:
        """Return the report as a line for a terminal."""
        if not self.newer:
            return f"report of the newest run: {self.path}"
        others = "1 newer run has" if self.newer == 1 else f"{self.newer:,} newer runs have"
        return f"report of the run {self.run_id}: {self.path} ({others} no report)"


def newest_report(settings: Settings) -> NewestReport | None:
    """Return the report of the newest run that has one, or None. If another home made it, it is downloaded."""
    storage = find_storage(settings)
    for newer, run_id in enumerate(reversed(storage.children(runs_address(settings)))):
        here = settings.runs_dir / run_id / REPORT
        if here.exists():
            return NewestReport(here, run_id, newer)
        if found := storage.read(run_file(settings, run_id, REPORT)):
            copy = settings.cache_dir / "reports" / f"{run_id}.html"
            write_bytes(copy, found.content)
            return NewestReport(copy, run_id, newer)
    return None
