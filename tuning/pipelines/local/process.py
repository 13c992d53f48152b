"""Run a compiled pipeline with kfp.local: ``python -m tuning.pipelines.local.process REQUEST RESULT``.

This runs in a separate process because kfp.local has global state, prints the whole input of every step, and leaves
temporary folders behind.
"""

import logging
import sys
from pathlib import Path
from typing import Any

import msgspec

from tuning.pipelines.outcome import Output
from tuning.pipelines.steps.watchdog import end_with_ancestors
from tuning.records import read_record, write_record

AGAIN = "Run the command again, which writes it again"


class LocalRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Hold what the separate process needs to run one pipeline."""

    template: str  # path of the compiled YAML
    arguments: dict[str, str]
    root: str  # folder for the outputs of the steps
    caching: bool
    scratch: str  # folder for this run's temporary files


class LocalResult(msgspec.Struct, frozen=True, kw_only=True):
    """Hold what the separate process returns about the run."""

    outputs: dict[str, Output]


def main(request_path: str, result_path: str) -> None:
    """Run the pipeline that the request file describes, and write its outputs to the result file."""
    end_with_ancestors(1)
    request = read_record(Path(request_path), LocalRequest, AGAIN)
    # kfp.local replaces every `python3` in a step's command and arguments with this value. A path with a space would
    # break the command, and a path would break arguments that contain a folder named python3. The plain name is safe:
    # the caller puts a `python3` on PATH that runs this interpreter.
    sys.executable = "python3"
    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(levelname)s - %(message)s")
    from kfp import components, local

    local.init(
        runner=local.SubprocessRunner(use_venv=False),
        pipeline_root=request.root,
        workspace_root=f"{request.scratch}/workspace",
        enable_caching=request.caching,
        cache_root=f"{request.root}/cache",
    )
    task = components.load_component_from_file(request.template)(**request.arguments)
    outputs = {name: _output(value) for name, value in task.outputs.items()}
    write_record(Path(result_path), LocalResult(outputs=outputs))


def _output(value: Any) -> Output:
    from kfp import dsl

    if isinstance(value, dsl.Artifact):
        return Output(path=value.path, metadata=dict(value.metadata))
    return Output(value=value)


if __name__ == "__main__":
    main(*sys.argv[1:])
