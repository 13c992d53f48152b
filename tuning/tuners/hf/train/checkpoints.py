"""Checkpoints that a killed run goes on from. One counts only once it is written whole."""

import os
import shutil
from pathlib import Path

from tuning.storage import write_bytes

CHECKPOINTS = "checkpoints"  # the folder that holds them, while a training runs
_COMPLETE = "complete"


def mark_complete(folder: str | Path, step: int) -> None:
    """Call when the checkpoint of `step` is written: its files are put on the disk, then it is marked."""
    checkpoint = Path(folder) / f"checkpoint-{step}"
    for file in sorted(checkpoint.iterdir()):
        with file.open("rb") as handle:
            os.fsync(handle.fileno())
    write_bytes(checkpoint / _COMPLETE, b"")


def newest_checkpoint(folder: Path) -> tuple[Path, int] | None:
    """The newest complete checkpoint and its step. Those that a kill left half written are removed."""
    found = []
    for checkpoint in folder.glob("checkpoint-*"):
        if (checkpoint / _COMPLETE).exists():
            found.append((int(checkpoint.name.removeprefix("checkpoint-")), checkpoint))
        else:
            shutil.rmtree(checkpoint)
    if not found:
        return None
    step, newest = max(found)
    return newest, step
