"""Run a step in the process that the runner started for it.

The process prints a TuningError as one marked line, records the step's duration and a hash of its outputs' file names
and sizes, and ends when the runner ends.
"""

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

from tuning.errors import TuningError
from tuning.pipelines.steps.code_hash import check_code
from tuning.pipelines.steps.hashing import listing_sha256
from tuning.pipelines.steps.watchdog import end_with_ancestors
from tuning.records import Kind, read_record, write_record
from tuning.resource_errors import in_one_line
from tuning.storage import unmounted

ERROR_MARK = "TUNING ERROR: "
# A step that chooses the model's opponents prints this line, and the run then has no step that evaluates the champion.
NO_CHAMPION = "note: there is no champion that the model must beat"
Result = TypeVar("Result")


class Artifact(Protocol):
    """Represent the part of a KFP artifact that a step uses. `path` may be a folder."""

    path: str
    metadata: dict[str, Any]


def run(step: Callable[..., Result], tuner: str, code: str, *inputs: object, outputs: Sequence[Artifact]) -> Result:
    """Run a step and return its result.

    Its duration and a hash of each output's file names and sizes are recorded in the output's metadata.
    `code` is the result of `code_sha256` for the step's module and `tuner` where the run was started. If the code here
    is another, the step does not run. A TuningError is printed as one marked line and ends the process with status 1.
    """
    # The three ancestors are the shell, the runner, and the process that started the runner.
    end_with_ancestors(3)
    started = time.monotonic()
    try:
        with in_one_line():
            check_code(step.__module__, tuner, code)
            result = step(*inputs, *outputs)
    except TuningError as error:
        print(f"{ERROR_MARK}{error}", flush=True)
        sys.exit(1)
    for artifact in outputs:
        artifact.metadata["seconds"] = round(time.monotonic() - started, 1)
        artifact.metadata["listing_sha256"] = listing_sha256(Path(artifact.path))
    return result


def output_folder(artifact: Artifact) -> Path:
    """Create the folder of an output and return it.

    A step writes into this folder directly. It cannot rename a temporary folder, because a bucket that is mounted as a
    folder does not support that. Incomplete outputs do no harm, because outputs are used only if the step succeeds.
    """
    folder = Path(artifact.path)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def log_metrics(metrics: Artifact, numbers: dict[str, float]) -> None:
    """Record the numbers in a file and as metadata, which the Vertex AI console shows.

    kfp.local caches a step only if this file exists.
    """
    metrics.metadata |= numbers
    write_record(Path(metrics.path), numbers)


def read_output(path: str | Path, kind: type[Kind]) -> Kind:
    """Return the content of a JSON file that an earlier step wrote. Raises TuningError if it is missing or damaged."""
    again = f"Delete {path}, and run the command again to repeat the step that writes it"
    if unmounted(str(path)):  # a step on Vertex AI
        again = "Run `invoke submit --again --target gcp` with the same options to repeat all steps"
    return read_record(Path(path), kind, again)
