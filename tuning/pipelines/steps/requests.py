"""What a pipeline run is given: small JSON files, imported as artifacts with their hash; caching follows content so.

Files, not parameters: kfp.local rewrites ``python3`` and ``{{$...}}`` inside parameters, and a file has no such limits.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec

from tuning.dataset.dataset import MANIFEST, Dataset
from tuning.errors import TuningError
from tuning.evaluation.options import SMOKE_TEST_BASE, EvaluationOptions, GateOptions
from tuning.pipelines.steps.code_hash import code_sha256
from tuning.settings import Settings
from tuning.tuners.protocol import TuneOptions

# The settings that a step reads. Secrets stay in the environment; another budget or image must not run a step again.
_STEP_SETTINGS = ("target", "project", "location", "region", "bucket", "storage_endpoint", "vertex_endpoint")


class TuningRequest(msgspec.Struct, frozen=True, kw_only=True):
    settings: dict[str, str]
    tuner: str
    options: TuneOptions


class EvaluationRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Says nothing of the tuning, so that the base model's evaluation serves every tuning of it."""

    settings: dict[str, str]
    tuner: str
    base_model: str
    seed: int
    options: EvaluationOptions


class GateRequest(msgspec.Struct, frozen=True, kw_only=True):
    tuner: str
    options: GateOptions
    smoke_test: bool


class ChampionRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Whom the new model must beat: a version and its model folder (a path or ``gs://``), or nobody yet."""

    version: str | None = None
    folder: str | None = None


Request = TypeVar("Request", TuningRequest, EvaluationRequest, GateRequest, ChampionRequest)


def pipeline_arguments(
    settings: Settings,
    dataset: Dataset,
    dataset_uri: str,
    tuner: str,
    tune: TuneOptions,
    evaluation: EvaluationOptions,
    gate: GateOptions,
    champion: ChampionRequest,
    place: Callable[[str, bytes], str],
) -> dict[str, str]:
    """The arguments of the compiled pipeline. ``place(name, content)`` stores a file and returns its path or URI.

    `dataset_uri` is the dataset's folder where the steps run.
    """
    shared = step_settings(settings)
    files = {
        "tuning": TuningRequest(settings=shared, tuner=tuner, options=tune),
        "evaluation": EvaluationRequest(
            settings=shared, tuner=tuner, base_model=tune.base_model, seed=tune.seed, options=evaluation
        ),
        "gate": GateRequest(tuner=tuner, options=gate, smoke_test=tune.base_model == SMOKE_TEST_BASE),
        "champion": champion,
    }
    arguments = {
        "tuner": tuner,
        "dataset_uri": dataset_uri,
        "dataset_sha256": dataset_sha256(dataset),
        "tuner_code": code_sha256("tuning.pipelines.steps.tune", tuner),
        "evaluation_code": code_sha256("tuning.pipelines.steps.evaluate", tuner),
        "judging_code": code_sha256("tuning.pipelines.steps.gate", tuner),
    }
    for name, request in files.items():
        content = msgspec.json.format(msgspec.json.encode(request, order="deterministic")) + b"\n"
        sha256 = hashlib.sha256(content).hexdigest()
        arguments[f"{name}_uri"] = place(f"{name}-{sha256[:16]}.json", content)
        arguments[f"{name}_sha256"] = sha256
    return arguments


def read_request(path: str | Path, kind: type[Request]) -> Request:
    return msgspec.json.decode(Path(path).read_bytes(), type=kind)


def step_settings(settings: Settings) -> dict[str, str]:
    """The settings a step needs. In the cloud `home` is the container's own, from its environment."""
    values = {name: str(getattr(settings, name)) for name in _STEP_SETTINGS}
    return values if settings.target == "gcp" else {**values, "home": str(settings.home)}


def training_key(arguments: dict[str, str]) -> str:
    """Runs with the same key tune the same model."""
    return key_of(arguments["dataset_sha256"], arguments["tuning_sha256"], arguments["tuner_code"])


def key_of(dataset: str, request: str, code: str) -> str:
    """One key for the hashes of data, options and code."""
    return hashlib.sha256(f"{dataset}\n{request}\n{code}".encode()).hexdigest()


def dataset_sha256(dataset: Dataset) -> str:
    """A hash of what the dataset's files hold now, not of what the manifest says they held."""
    names = [MANIFEST, *sorted(dataset.manifest.files)]
    total = hashlib.sha256()
    for name in names:
        source = dataset.source(name)
        if isinstance(source, Path) and not source.is_file():
            raise TuningError(f"{source} is missing", "Remove the dataset's folder and run `invoke dataset` again")
        total.update(f"{name} {dataset.sha256(source)}\n".encode())
    return total.hexdigest()
