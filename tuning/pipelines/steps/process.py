"""How a step runs in its process: errors of a person in one marked line, time and contents noted, no orphan left."""

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from tuning.errors import TuningError
from tuning.pipelines.steps.hashing import listing_sha256
from tuning.pipelines.steps.watchdog import end_with_ancestors
from tuning.resource_errors import in_one_line
from tuning.storage import write_json

ERROR_MARK = "TUNING ERROR: "


class Artifact(Protocol):
    """What a step needs of a KFP artifact. `path` may be a folder."""

    path: str
    metadata: dict[str, Any]


def run(step: Callable[..., None], *inputs: object, outputs: Sequence[Artifact]) -> None:
    """Run a step in its own process: print a person's error as one marked line, note time and contents."""
    end_with_ancestors(3)  # a shell, the runner, and who called that
    started = time.monotonic()
    try:
        with in_one_line():
            step(*inputs, *outputs)
    except TuningError as error:
        print(f"{ERROR_MARK}{error}", flush=True)
        sys.exit(1)
    for artifact in outputs:
        artifact.metadata["seconds"] = round(time.monotonic() - started, 1)
        artifact.metadata["listing_sha256"] = listing_sha256(Path(artifact.path))


def output_folder(artifact: Artifact) -> Path:
    """An output that is a folder, made. Written in place: a step's outputs count only once it has succeeded, and a
    bucket mounted as a folder cannot rename one."""
    folder = Path(artifact.path)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def log_metrics(metrics: Artifact, numbers: dict[str, float]) -> None:
    """Numbers for the runner's own pages; also as a file, without which kfp.local never caches the step."""
    metrics.metadata |= numbers
    write_json(Path(metrics.path), numbers)
