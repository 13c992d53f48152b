"""Write and read the requests of a pipeline run: small JSON files that the pipeline imports as artifacts.

Each artifact carries the hash of its file without the home's path, so the cache depends on the content. Requests are
files because kfp.local rewrites ``python3`` and ``{{$...}}`` inside parameters.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from tuning.cloud.custom_job import job_machine
from tuning.cloud.machines import DEFAULT, machine_of
from tuning.dataset.dataset import MANIFEST, Dataset
from tuning.errors import TuningError
from tuning.evaluation.options import SMOKE_TEST_BASE, EvaluationOptions, GateOptions, evaluation_options
from tuning.pipelines.plan import TuningPlan
from tuning.pipelines.steps.code_hash import code_sha256
from tuning.records import encode_record, read_record
from tuning.settings import Settings
from tuning.target import find_target
from tuning.tuners.protocol import TuneOptions

# The settings that a step reads. Secrets stay in the environment. Settings such as the budget and the image are left
# out, so that a change of these settings does not make the steps run again.
_STEP_SETTINGS = ("target", "project", "location", "region", "bucket", "storage_endpoint", "vertex_endpoint")


class TuningRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Hold the input of the tuning step."""

    settings: dict[str, str]
    tuner: str
    options: TuneOptions


class EvaluationRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Hold the input of the evaluation steps.

    It contains no tuning options, so that one evaluation of a base model can be reused for every tuning of it.
    """

    settings: dict[str, str]
    tuner: str
    base_model: str
    seed: int
    options: EvaluationOptions


class GateRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Hold the input of the compare and gate steps."""

    tuner: str
    options: GateOptions
    smoke_test: bool


class ChampionRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Hold the version that the new model must beat and its model folder (a path or ``gs://``).

    Both are None if there is no champion.
    """

    version: str | None = None
    folder: str | None = None


Request = TypeVar("Request", bound=msgspec.Struct)
Place = Callable[[str, bytes], str]  # stores a file, by its name, where the steps can read it, and returns its address


def tuning_arguments(
    settings: Settings, plan: TuningPlan, place: Place, *, image: str = "", period: str = ""
) -> dict[str, str]:
    """Return the arguments of the compiled pipeline that do not depend on the dataset and the champion.

    `image` is the container image of the steps; without one, they run on this machine. `period` is the period of the
    cached outputs.
    """
    shared, tuner, tune = step_settings(settings), plan.tuner, plan.tune
    machine, job = machine_of(settings, tuner, tune.base_model), job_machine(settings, tuner, tune.base_model, image)
    tunes_on = DEFAULT if job else machine  # a step that waits for a CustomJob is small
    evaluation = plan.evaluation or evaluation_options(settings, tune.base_model)
    files = {
        "tuning": TuningRequest(settings=shared, tuner=tuner, options=tune),
        "evaluation": EvaluationRequest(
            settings=shared, tuner=tuner, base_model=tune.base_model, seed=tune.seed, options=evaluation
        ),
        "gate": GateRequest(tuner=tuner, options=plan.gate, smoke_test=tune.base_model == SMOKE_TEST_BASE),
    }
    return {
        "tuner": tuner,
        "period": period,
        **machine._asdict(),
        **{f"tune_{name}": value for name, value in tunes_on._asdict().items()},
        "custom_job": job,
        "tuner_code": code_sha256("tuning.pipelines.steps.tune", tuner, image),
        "evaluation_code": code_sha256("tuning.pipelines.steps.evaluate", tuner, image),
        "judging_code": code_sha256("tuning.pipelines.steps.gate", tuner, image),
        **store_requests(settings, files, place),
    }


def store_requests(settings: Settings, requests: Mapping[str, msgspec.Struct], place: Place) -> dict[str, str]:
    """Store each request. Return the arguments ``NAME_uri`` and ``NAME_sha256`` of each."""
    arguments = {}
    for name, request in requests.items():
        content = msgspec.json.format(encode_record(request)) + b"\n"
        sha256 = hashlib.sha256(_without_home(content, settings)).hexdigest()
        arguments[f"{name}_uri"] = place(f"{name}-{sha256[:16]}.json", content)
        arguments[f"{name}_sha256"] = sha256
    return arguments


def read_request(path: str | Path, kind: type[Request]) -> Request:
    """Read a request of the type `kind` from a file. Raises TuningError if it is missing or damaged."""
    return read_record(Path(path), kind, "Run the command again, which writes it again")


def step_settings(settings: Settings, more: Sequence[str] = ()) -> dict[str, str]:
    """Return the settings that a step needs, and those named by `more`.

    On target gcp, `home` comes from the container's environment instead.
    """
    values = {name: str(getattr(settings, name)) for name in (*_STEP_SETTINGS, *more)}
    return values if find_target(settings).uses_google else {**values, "home": str(settings.home)}


def _without_home(content: bytes, settings: Settings) -> bytes:
    """Replace the path of the home in a request, so that the same command in two homes gives the same keys."""
    return content.replace(msgspec.json.encode(str(settings.home))[1:-1], b"HOME")


def training_key(arguments: Mapping[str, str]) -> str:
    """Return a key from the pipeline's arguments. Runs with the same key use the same data, options and code."""
    return key_of(arguments["dataset_sha256"], arguments["tuning_sha256"], arguments["tuner_code"])


def key_of(dataset: str, request: str, code: str) -> str:
    """Combine the hashes of data, options and code into one key."""
    return hashlib.sha256(f"{dataset}\n{request}\n{code}".encode()).hexdigest()


def dataset_arguments(dataset: Dataset, uri: str) -> dict[str, str]:
    """Return the arguments that name the dataset. `uri` is its folder, as the steps see it.

    Raises TuningError if a file of the dataset is missing.
    """
    return {"dataset_uri": uri, "dataset_sha256": dataset_sha256(dataset)}


def dataset_sha256(dataset: Dataset) -> str:
    """Return a hash of the current contents of the dataset's files, not of the hashes in its manifest.

    Raises TuningError if a file is missing.
    """
    names = [MANIFEST, *sorted(dataset.manifest.files)]
    total = hashlib.sha256()
    for name in names:
        path, source = dataset.folder / name, dataset.source(name)
        if name not in dataset.objects and not path.is_file():
            raise TuningError(f"{path} is missing", "Delete the dataset's folder and run `invoke dataset` again")
        total.update(f"{name} {dataset.sha256(source)}\n".encode())
    return total.hexdigest()
