"""The record of one run: ``var/runs/RUN_ID/run.json``. Times, host and commit are here and nowhere else."""

import platform
import secrets
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import msgspec

from tuning.errors import TuningError
from tuning.pipelines.local.log import Step
from tuning.settings import PROJECT_ROOT, Settings
from tuning.storage import write_json

RECORD = "run.json"
REPORT = "report.html"


class RunRecord(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    status: Literal["running", "succeeded", "failed"]
    started_at: str  # ISO 8601, UTC
    seconds: float = 0.0
    host: str = ""
    python: str = ""
    commit: str = ""  # of the code, empty outside a git checkout
    pipeline: str = ""
    arguments: dict[str, str] = {}
    dataset_id: str = ""
    steps: list[Step] = []
    version: str = ""
    promoted: bool = False
    verdict: str = ""
    error: str = ""


def start_run(settings: Settings, pipeline: str, dataset_id: str = "") -> tuple[Path, RunRecord]:
    """A new run's folder and its first record. IDs sort by time."""
    now = datetime.now(UTC)
    record = RunRecord(
        id=f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(3)}",
        status="running",
        started_at=now.isoformat(timespec="seconds"),
        host=platform.node(),
        python=platform.python_version(),
        commit=_commit(),
        pipeline=pipeline,
        dataset_id=dataset_id,
    )
    folder = settings.runs_dir / record.id
    folder.mkdir(parents=True)
    write_record(folder, record)
    return folder, record


def write_record(folder: Path, record: RunRecord) -> None:
    write_json(folder / RECORD, msgspec.to_builtins(record))


def newest_report(settings: Settings) -> Path:
    """The report of the newest run that has one."""
    reports = sorted(settings.runs_dir.glob(f"*/{REPORT}"))
    if not reports:
        raise TuningError(f"there is no report in {settings.runs_dir}", "`invoke tune` makes one")
    return reports[-1]


def _commit() -> str:
    command = ["git", "-C", str(PROJECT_ROOT), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):  # no git, or no checkout: the record says nothing of it
        return ""
