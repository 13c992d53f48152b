"""The process that runs a compiled pipeline by kfp.local: ``python -m tuning.pipelines.local.process REQUEST RESULT``.

A process of its own, since kfp.local is a global, prints every step's whole input, and leaks temporary folders.
"""

import logging
import sys
from pathlib import Path
from typing import Any

import msgspec

from tuning.pipelines.steps.watchdog import end_with_ancestors
from tuning.storage import write_json


class LocalRequest(msgspec.Struct, frozen=True, kw_only=True):
    template: str  # path of the compiled YAML
    arguments: dict[str, str]
    root: str  # folder of what the steps write
    caching: bool
    scratch: str  # folder of this run's temporary files; `python3` on PATH must be this interpreter


class Output(msgspec.Struct, frozen=True, kw_only=True):
    """One output of the pipeline: a value, or an artifact's path and metadata."""

    value: object = None
    path: str = ""
    metadata: dict[str, Any] = {}


class LocalResult(msgspec.Struct, frozen=True, kw_only=True):
    outputs: dict[str, Output]


def main(request_path: str, result_path: str) -> None:
    end_with_ancestors(1)
    request = msgspec.json.decode(Path(request_path).read_bytes(), type=LocalRequest)
    # kfp.local puts this in place of every `python3` in a step's command and arguments. An interpreter's path with a
    # blank breaks the command, and a folder named python3 breaks the paths; the name itself harms neither.
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
    write_json(Path(result_path), msgspec.to_builtins(LocalResult(outputs=outputs)))


def _output(value: Any) -> Output:
    from kfp import dsl

    if isinstance(value, dsl.Artifact):
        return Output(path=value.path, metadata=dict(value.metadata))
    return Output(value=value)


if __name__ == "__main__":
    main(*sys.argv[1:])
