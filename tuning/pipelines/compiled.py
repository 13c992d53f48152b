"""Compile a pipeline to YAML."""

import re
import tempfile
from pathlib import Path
from typing import Any

from tuning.errors import TuningError
from tuning.storage import write_bytes


def check_pinned(image: str) -> None:
    """Raise TuningError unless `image` is empty or ends with a digest: other code can get the same tag later."""
    if image and not re.fullmatch(r"[^@\s]+@sha256:[0-9a-f]{64}", image):
        raise TuningError(
            f"the image {image} is not named by its digest",
            "Push it, and set TUNING_IMAGE to what `docker inspect --format '{{index .RepoDigests 0}}' "
            f"{image.partition('@')[0]}` prints",
        )


def compile_to(pipeline: Any, path: Path) -> Path:
    """Write the KFP pipeline as YAML, whatever the ending of `path`, and return `path`."""
    from kfp import compiler

    with tempfile.TemporaryDirectory() as folder:
        compiled = Path(folder) / "pipeline.yaml"  # kfp accepts no other ending
        compiler.Compiler().compile(pipeline, str(compiled))
        write_bytes(path, compiled.read_bytes())
    return path
