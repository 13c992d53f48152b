"""The pipeline of this project as a job on Vertex AI: checked, priced, its dataset uploaded once, then sent."""

import tempfile
from collections.abc import Callable
from pathlib import Path

from tuning.cloud.estimate import (
    check_budget,
    estimate_build,
    estimate_run,
    estimate_tuning,
    in_words,
    total_in_words,
)
from tuning.dataset.dataset import MANIFEST, Dataset, bucket_address, find_dataset
from tuning.errors import TuningError
from tuning.gcs.access import google_errors
from tuning.gcs.objects import put, put_files, put_folder
from tuning.pipelines.release.release import arguments_against_champion
from tuning.pipelines.tuning import compile_pipeline
from tuning.pipelines.vertex.jobs import JobRequest, label
from tuning.pipelines.vertex.template import Template, fit_parameters, read_template
from tuning.pipelines.vertex.template_job import SubmitOptions, check_access, commit_label
from tuning.registry import registry
from tuning.registry.model_folder import MODEL
from tuning.registry.records import Version
from tuning.settings import Settings
from tuning.tuners.gemini.estimate import training_price
from tuning.tuners.gemini.models import base_model, check_region
from tuning.tuners.gemini.tuner import GeminiTuner
from tuning.tuners.protocol import TuneOptions, Tuner
from tuning.tuners.select import find_tuner
from tuning.warehouse.variables import Variables


def tuning_request(
    settings: Settings, name: str, tune: TuneOptions, options: SubmitOptions, show: Callable[[str], None]
) -> JobRequest:
    """The pipeline for the dataset of `options` (the newest without one), everything it reads in place.

    Raises TuningError, before anything is uploaded, for a dataset that the tuner refuses, an estimate over the budget,
    and an image that Vertex AI could not pull.
    """
    check_start(settings, name, tune)
    tuner, dataset = find_tuner(name), find_dataset(settings, options.dataset)
    _check_dataset(tuner, dataset, show)
    costs = [estimate_tuning(settings, dataset, tuner, tune), estimate_run(settings)]
    check_budget(settings, costs)
    show(f"{total_in_words(costs)} ({'; '.join(in_words(cost) for cost in costs)})")
    template = _template(settings)
    home = bucket_address(settings, dataset.id)
    with google_errors("uploading what the job reads"):
        stored = put_files(settings, dataset.files(), home, last=MANIFEST)
        arguments = arguments_against_champion(
            settings,
            dataset,
            home,
            name,
            tune,
            None,
            None,
            lambda file, content: _place(settings, file, content),
            lambda version: _model_folder(settings, version),
        )
    sent = sum(one.sent for one in stored)
    show(f"dataset {dataset.id} in {home}: {sent} files uploaded, {len(stored) - sent} already there")
    parameters = fit_parameters(template, arguments)
    return JobRequest(
        template=template,
        parameters=parameters,
        display_name=options.display_name or f"{template.name}-{dataset.id}",
        pipeline_root=options.pipeline_root or f"gs://{settings.bucket}/pipelines/{template.name}",
        identity=parameters,
        labels={
            "template": label(template.name),
            "dataset_id": label(dataset.id),
            "tuner": label(name),
            **commit_label(),
        },
        caching=options.caching,
        failure_policy=options.failure_policy,
    )


def check_start(settings: Settings, name: str, tune: TuneOptions) -> None:
    """TuningError where no tuning could be sent, whatever the dataset. Costs no request: it comes before the build."""
    check_access(settings)
    if name == GeminiTuner.name:
        check_region(settings)
        training_price(settings, base_model(settings, tune))
    if not settings.image and not settings.vertex_endpoint:
        raise TuningError(
            "there is no container image for the pipeline's steps",
            "Build and push the Dockerfile's, then set TUNING_IMAGE (`invoke cloud.init` prints both commands)",
        )


def check_build_budget(settings: Settings, variables: Variables) -> None:
    """TuningError where the build alone, if it must be made, would be over the budget."""
    if settings.budget:
        check_budget(settings, [estimate_build(settings, variables), estimate_run(settings)])


def _check_dataset(tuner: Tuner, dataset: Dataset, show: Callable[[str], None]) -> None:
    """What the pipeline's validation would refuse, found here; what it will mend is said."""
    if dataset.manifest.format not in tuner.formats:
        raise TuningError(
            f"the tuner {tuner.name} does not take the format {dataset.manifest.format} of dataset {dataset.id}",
            f"`invoke dataset --format {tuner.formats[0]}` makes one that it takes",
        )
    train, evaluation = (dataset.manifest.files[f"{split}.jsonl"].rows for split in ("train", "eval"))
    limit = tuner.evaluation_limit(dataset.manifest.format, train)
    too_many = 0 < limit < evaluation
    if too_many:
        show(f"eval.jsonl has {evaluation:,} rows, the target takes {limit:,}: validation samples that many of them")
    for problem in tuner.check(dataset):
        if problem.fatal and not (too_many and "evaluation rows" in problem.what):
            raise TuningError(problem.what, problem.mend)
        if not problem.fatal:
            show(f"note: {problem.what}. {problem.mend}")


def _template(settings: Settings) -> Template:
    with tempfile.TemporaryDirectory() as folder:
        return read_template(settings, str(compile_pipeline(settings, Path(folder) / "pipeline.yaml")))


def _place(settings: Settings, name: str, content: bytes) -> str:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        return put(settings, path, f"gs://{settings.bucket}/requests/{name}").uri


def _model_folder(settings: Settings, version: Version) -> str:
    """The champion's model where the steps find it."""
    uri = f"gs://{settings.bucket}/models/{version.name}-{version.contents_sha256[:12]}"
    put_folder(settings, registry.model_folder(settings, version), uri, last=MODEL)
    return uri
