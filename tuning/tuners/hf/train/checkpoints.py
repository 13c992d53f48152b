"""Mark, find and copy the checkpoints from which a killed run resumes. Only complete checkpoints are used."""

import json
import os
import shutil
from pathlib import Path

from tuning.gcs.storage import find_storage, get_files, put_files
from tuning.settings import Settings
from tuning.storage import write_bytes

CHECKPOINTS = "checkpoints"  # the folder of the checkpoints, which exists only until the training ends
SHARED_WEIGHTS = "pytorch_model_fsdp.bin"  # Accelerate writes it if processes shared the weights
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


def name_best_here(checkpoint: Path) -> None:
    """Let a checkpoint name the best one by its path here: it may be from another folder or machine.

    transformers would not find it there, and would end with other weights.
    """
    path = checkpoint / "trainer_state.json"
    state = json.loads(path.read_bytes())
    if state["best_model_checkpoint"]:
        state["best_model_checkpoint"] = str(checkpoint.with_name(Path(state["best_model_checkpoint"]).name))
        write_bytes(path, json.dumps(state, indent=2, sort_keys=True).encode())


def send_checkpoints(settings: Settings, folder: Path, address: str) -> None:
    """Copy the complete checkpoints in `folder` to `address` in Cloud Storage, and delete others there.

    The mark is copied last, so that a copy is whole or does not count. Raises TuningError if a copy fails.
    """
    storage = find_storage(settings)
    here = {mark.parent.name: mark.parent for mark in folder.glob(f"checkpoint-*/{_COMPLETE}")}
    there = {name for name in storage.children(address) if storage.read(f"{address}/{name}/{_COMPLETE}")}
    for name in sorted(here.keys() - there):
        files = {path.relative_to(here[name]).as_posix(): path for path in here[name].rglob("*") if path.is_file()}
        put_files(settings, files, f"{address}/{name}", last=_COMPLETE)
    for name in sorted(set(storage.children(address)) - here.keys()):
        storage.clear(f"{address}/{name}")


def fetch_checkpoints(settings: Settings, address: str, folder: Path) -> None:
    """Copy the complete checkpoints at `address` to `folder`, if it has none. Raises TuningError if a copy fails."""
    if newest_checkpoint(folder):
        return
    storage = find_storage(settings)
    for name in storage.children(address):
        if storage.read(f"{address}/{name}/{_COMPLETE}"):
            unfinished = folder / f".{name}"
            get_files(settings, f"{address}/{name}", unfinished)
            unfinished.rename(folder / name)
