"""Compile a pipeline to YAML."""

import tempfile
from pathlib import Path
from typing import Any

from tuning.storage import write_bytes


def compile_to(pipeline: Any, path: Path) -> Path:
    """Write the KFP pipeline as YAML, whatever the ending of `path`, and return `path`."""
    from kfp import compiler

    with tempfile.TemporaryDirectory() as folder:
        compiled = Path(folder) / "pipeline.yaml"  # kfp accepts no other ending
        compiler.Compiler().compile(pipeline, str(compiled))
        write_bytes(path, compiled.read_bytes())
    return path
