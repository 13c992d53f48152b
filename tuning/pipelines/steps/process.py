"""Run a step in its own process.

The process prints a TuningError as one marked line, records the time and the files of the outputs, and ends when the
runner ends.
"""

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
    """Represent the part of a KFP artifact that a step uses. `path` may be a folder."""

    path: str
    metadata: dict[str, Any]


def run(step: Callable[..., None], *inputs: object, outputs: Sequence[Artifact]) -> None:
    """Run a step, and record its time and the files of its outputs in their metadata.

    A TuningError is printed as one marked line and ends the process with status 1.
    """
    # This step ends when one of these ends: the shell, the runner, or the process that started the runner.
    end_with_ancestors(3)
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
    """Create the folder of an output and return it.

    A step writes into this folder directly and does not rename a temporary one. Outputs are used only if the step
    succeeds, and a bucket that is mounted as a folder cannot rename folders.
    """
    folder = Path(artifact.path)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def log_metrics(metrics: Artifact, numbers: dict[str, float]) -> None:
    """Record the numbers as metadata, which the runner's pages show, and in a file.

    kfp.local caches a step only if this file exists.
    """
    metrics.metadata |= numbers
    write_json(Path(metrics.path), numbers)
