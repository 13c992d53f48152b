"""Mark and find the checkpoints from which a killed run resumes. Only complete checkpoints are used."""

import os
import shutil
from pathlib import Path

from tuning.storage import write_bytes

CHECKPOINTS = "checkpoints"  # the folder of the checkpoints, which exists only until the training ends
_COMPLETE = "complete"


def mark_complete(folder: str | Path, step: int) -> None:
    """Flush the files of the checkpoint of `step` to disk, then mark it as complete."""
    checkpoint = Path(folder) / f"checkpoint-{step}"
    for file in sorted(checkpoint.iterdir()):
        with file.open("rb") as handle:
            os.fsync(handle.fileno())
    write_bytes(checkpoint / _COMPLETE, b"")


def newest_checkpoint(folder: Path) -> tuple[Path, int] | None:
    """Return the newest complete checkpoint and its step, or None. Remove incomplete checkpoints."""
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
