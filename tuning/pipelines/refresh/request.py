"""Write the request of a refresh: the options of the build and the dataset, and what makes two refreshes equal."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import orjson

from tuning.command_line.options import BuildOptions, SplitOptions
from tuning.dataset.denied import deny_list
from tuning.dataset.options import DatasetOptions, resolve_options, resolve_variables
from tuning.pipelines.plan import TuningPlan
from tuning.pipelines.release.places import Inputs, inputs_in
from tuning.pipelines.steps.code_hash import code_sha256
from tuning.pipelines.steps.requests import step_settings, store_requests, tuning_arguments
from tuning.settings import Settings, load_settings
from tuning.storage import mounted
from tuning.tuners.options import dataset_options
from tuning.tuners.protocol import TuneOptions
from tuning.tuners.tracking import NONE, trackers
from tuning.warehouse.client import connect
from tuning.warehouse.fingerprint import parse_inputs, source
from tuning.warehouse.variables import Variables

# What the steps of a refresh read, besides the settings of all steps.
_SETTINGS = (
    *("bigquery_endpoint", "bigquery_port", "bigquery_dataset", "raw_database", "raw_schema"),
    *("maximum_bytes_billed", "job_timeout", "google_endpoint"),
    *("budget", "training_price", "webhook_secret"),
    *("machine_cpus", "machine_memory", "accelerator", "accelerator_count", "machine_price", "nodes"),
)
_FILES = ("decontaminate", "redact_rules", "decisions")  # options that name files


class RefreshOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Hold the options that the user gave for the dbt build and the dataset."""

    build: BuildOptions = BuildOptions()
    made: SplitOptions = SplitOptions()
    preset: str | None = None


class RefreshRequest(RefreshOptions, frozen=True, kw_only=True):
    """Hold the input of the steps that a refresh adds to the pipeline.

    The source is compared with that of earlier refreshes that have the same `identity`: hashes of options and code.
    """

    settings: dict[str, str]
    tuner: str
    tune: TuneOptions
    identity: dict[str, str]
    requests: str  # folder in which a step stores the champion's request
    again: bool  # whether to go on although nothing has changed


def refresh_arguments(
    settings: Settings,
    plan: TuningPlan,
    options: RefreshOptions,
    folder: str,
    *,
    again: bool = False,
    image: str = "",
    period: str = "",
) -> dict[str, str]:
    """Return the arguments of `refresh_python_qa`, without `run`.

    The requests are stored in `folder`, a path or an address in Cloud Storage. `image` and `period` are those of a job
    on Vertex AI. Files that options name are stored there too. Raises TuningError if an option is invalid, if a file
    cannot be read, or if an upload fails.
    """
    resolve_variables(options.preset, options.build)  # raises an error before anything is stored, as the next line does
    inputs = inputs_in(settings, folder)
    made = _with_reachable_files(settings, options, inputs)
    arguments = tuning_arguments(settings, plan, inputs.store, image=image, period=period)
    arguments["refresh_code"] = code_sha256("tuning.pipelines.refresh.steps", plan.tuner, image)
    request = RefreshRequest(
        settings=step_settings(settings, _SETTINGS) | {"tracking": ",".join(trackers(settings)) or NONE},
        build=options.build,
        made=made,
        preset=options.preset,
        tuner=plan.tuner,
        tune=plan.tune,
        identity={name: value for name, value in arguments.items() if name.endswith(("sha256", "_code"))},
        requests=folder,
        again=again,
    )
    return arguments | store_requests(settings, {"refresh": request}, inputs.store)


def _with_reachable_files(settings: Settings, options: RefreshOptions, inputs: Inputs) -> SplitOptions:
    """Return the dataset's options with files that the steps can read."""
    made = options.made
    given = {name: Path(path) for name in _FILES if (path := getattr(made, name))}
    if given:  # an invalid file is an error before anything is stored
        resolve_options(options.preset, settings.tuner, **made.given())
    return msgspec.structs.replace(made, **{name: inputs.file(path) for name, path in given.items()})


def resolve(request: RefreshRequest) -> tuple[Settings, Variables, DatasetOptions]:
    """Return the settings, the variables of the build and the options of the dataset.

    Raises TuningError if an option is invalid, or if the tokenizer cannot be had.
    """
    settings = msgspec.structs.replace(load_settings(request.settings), tuner=request.tuner)
    files = {name: str(mounted(address)) for name in _FILES if (address := getattr(request.made, name))}
    made = msgspec.structs.replace(request.made, **files)
    options = dataset_options(settings, request.preset, made, request.tune.base_model)
    return settings, resolve_variables(request.preset, request.build), options


def refresh_key(
    settings: Settings, variables: Variables, options: DatasetOptions, identity: Mapping[str, str]
) -> tuple[str, dict[str, Any]]:
    """Return a hash of the source, the deny list, and all options and code of a refresh, and what the source contains.

    Raises TuningError if the source is empty or cannot be read.
    """
    found = source(settings, connect(settings))
    parts: list[object] = [found, parse_inputs(settings, variables), options.recorded(), identity]
    if denied := deny_list(settings):
        parts.append(sorted((one.post_id, one.site) for one in denied))
    content = orjson.dumps(parts, option=orjson.OPT_SORT_KEYS, default=str)
    return hashlib.sha256(content).hexdigest()[:32], found
