"""Let one command at a time run pipelines in a home, and say which one it is."""

import contextlib
import os
import platform
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import psutil

from tuning.errors import TuningError
from tuning.machine import run_status
from tuning.pipelines.local.runner import pipeline_root
from tuning.records import decode_record, write_record
from tuning.settings import Settings
from tuning.storage import InUseError, locked

_HOLDER = "holder.json"  # in the folder of the lock, as long as a command holds it
_SECONDS = 3  # `invoke clean --dry-run` holds the lock for a moment


class _Holder(msgspec.Struct, frozen=True, kw_only=True):
    """Represent the command that holds the lock."""

    command: str
    started_at: str  # ISO 8601, UTC
    host: str
    pid: int


@contextlib.contextmanager
def alone(settings: Settings, command: str) -> Iterator[None]:
    """Hold the lock of the local pipeline during the block, for a command such as ``invoke tune``.

    Raises TuningError that names the command at work, if another one holds the lock.
    """
    root = pipeline_root(settings)
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(locked(root / ".lock", "the local pipeline", timeout=_SECONDS))
        except InUseError:
            raise _in_use(settings, root / _HOLDER) from None
        holder = _Holder(
            command=command,
            started_at=datetime.now(UTC).isoformat(timespec="seconds"),
            host=platform.node(),
            pid=os.getpid(),
        )
        write_record(root / _HOLDER, holder)
        stack.callback((root / _HOLDER).unlink, missing_ok=True)
        yield


def _in_use(settings: Settings, path: Path) -> TuningError:
    """Return the error that names the command at work. One that was killed leaves its record behind."""
    advice = "Wait until it ends, or set TUNING_HOME to another folder"
    try:
        holder = decode_record(path.read_bytes(), _Holder, str(path), "Delete it")
        status = run_status("running", holder.host, holder.pid, holder.started_at)
    except (OSError, ValueError, TuningError):  # without a record that can be read, the command has no name
        status = "unknown"
    if status != "running":
        return TuningError(f"another command is at work in {settings.home}, such as `invoke clean`", advice)
    at_work = f"`{holder.command}` is at work in {settings.home} since {holder.started_at[11:16]} UTC"
    if holder.host != platform.node():
        return TuningError(f"{at_work} on {holder.host}", advice)
    number = holder.pid
    with contextlib.suppress(psutil.Error):
        if psutil.Process(number).status() == psutil.STATUS_STOPPED:
            return TuningError(
                f"{at_work} and is stopped (process {number})",
                f"Let it go on with `kill -CONT {number}`, or end it with `kill -KILL {number}`",
            )
    return TuningError(f"{at_work} (process {number})", f"{advice}. `kill {number}` ends it")
