"""Make candidates by hand, and register what a tuner wrote."""

import shutil
from pathlib import Path

import msgspec

from tests.verdicts import verdict
from tuning.registry import registry
from tuning.registry.model_folder import contents_sha256, write_model
from tuning.registry.records import Candidate
from tuning.settings import Settings
from tuning.storage import atomic_folder
from tuning.tuners.protocol import Model


def candidate(**fields: object) -> Candidate:
    """Return a candidate with these fields. The other fields have fixed values."""
    values: dict[str, object] = {
        "created_at": "2026-01-01T00:00:00+00:00",
        "training_key": "k1",
        "tuner": "hf",
        "base_model": "small",
        "options": {},
        "dataset_id": "d1",
        "dataset_sha256": "0",
        "template": "Answer the question.",
        "format": "messages",
        "body": "markdown",
        "contents_sha256": "0",
        "metrics": {"loss": 1.5},
        "verdict": verdict("loss", "loss improves"),
        "run_id": "r1",
    }
    return msgspec.convert(values | fields, Candidate)


def register(settings: Settings, model: Model, work: Path, **fields: object) -> str:
    """Register what a tuner wrote to the folder `work`, as the pipeline does. Return its version."""
    with atomic_folder(work.with_name(f"{work.name}-model")) as files:
        write_model(files, model, work)
        shutil.copytree(work, files / "weights")
        known = {"training_key": str(work), "tuner": model.tuner, "base_model": model.base_model}
        made = candidate(**known | {"contents_sha256": contents_sha256(files)} | fields)
        version, _ = registry.register(settings, made, files)
    return version.name
