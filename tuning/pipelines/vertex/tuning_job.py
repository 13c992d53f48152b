"""Prepare this project's pipeline as a job on Vertex AI.

Check the dataset, estimate the cost, and upload the inputs that are not in Cloud Storage yet.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path

from tuning.cloud.custom_job import job_machine
from tuning.cloud.estimate import (
    check_budget,
    estimate_build,
    estimate_run,
    estimate_tuning,
    in_words,
    total_in_words,
)
from tuning.dataset.dataset import Dataset
from tuning.errors import TuningError
from tuning.gcs.access import google_errors, label
from tuning.pipelines.compiled import check_pinned
from tuning.pipelines.plan import Plan
from tuning.pipelines.release.places import inputs_in, upload_dataset
from tuning.pipelines.release.release import arguments_against_champion
from tuning.pipelines.steps.validation import check_evaluation
from tuning.pipelines.tuning import compile_pipeline
from tuning.pipelines.vertex.jobs import JobRequest
from tuning.pipelines.vertex.period import current_period
from tuning.pipelines.vertex.template import Template, fit_parameters, read_template
from tuning.pipelines.vertex.template_job import SubmitOptions, check_access, commit_label
from tuning.settings import Settings
from tuning.tuners.gemini.estimate import training_price
from tuning.tuners.gemini.models import base_model, check_service
from tuning.tuners.gemini.tuner import GeminiTuner
from tuning.tuners.protocol import TuneOptions, Tuner
from tuning.tuners.select import find_tuner
from tuning.warehouse.variables import Variables


def tuning_request(settings: Settings, plan: Plan, options: SubmitOptions, show: Callable[[str], None]) -> JobRequest:
    """Upload the pipeline's inputs and return the job request.

    Call `check_start` before. Raises TuningError before anything is uploaded if the tuner does not accept the dataset,
    the estimate exceeds the budget, or no container image is set.
    """
    tuner, dataset = find_tuner(plan.tuner), plan.dataset
    _check_dataset(tuner, dataset, show)
    costs = [estimate_tuning(settings, dataset, tuner, plan.tune), estimate_run(settings)]
    check_budget(settings, costs)
    show(f"{total_in_words(costs)} ({'; '.join(in_words(cost) for cost in costs)})")
    template = compiled_template(settings, compile_pipeline)
    period = current_period()
    with google_errors("uploading the job's inputs"):
        home, sent = upload_dataset(settings, dataset)
        inputs = inputs_in(settings, requests_folder(settings, period))
        arguments = arguments_against_champion(settings, plan, home, inputs, image=settings.image, period=period)
    show(f"dataset {dataset.id} in {home}: {sent} files uploaded, {len(dataset.files()) - sent} already there")
    parameters = fit_parameters(template, arguments)
    return JobRequest(
        template=template,
        parameters=parameters,
        display_name=options.display_name or f"{template.name}-{dataset.id}",
        pipeline_root=options.pipeline_root or f"gs://{settings.bucket}/pipelines/{template.name}",
        # The hashes say what the files contain, wherever they are.
        identity={name: value for name, value in parameters.items() if not name.endswith(("_uri", "period"))},
        period=period,
        labels={
            "template": label(template.name),
            "dataset_id": label(dataset.id),
            "tuner": label(plan.tuner),
            **commit_label(),
        },
        caching=options.caching,
        failure_policy=options.failure_policy,
    )


def check_start(settings: Settings, tune: TuneOptions) -> None:
    """Check everything that does not depend on the dataset. Call it before the dataset is built. No request is sent.

    Raises TuningError if access, region, price or container image do not allow a tuning job.
    """
    check_access(settings)
    if settings.tuner == GeminiTuner.name:
        name_of_base = base_model(settings, tune)
        check_service(settings, name_of_base)
        training_price(settings, name_of_base)
    if not settings.image and not settings.vertex_endpoint:
        raise TuningError(
            "there is no container image for the pipeline's steps",
            "Build the Dockerfile, push the image, and set TUNING_IMAGE (`invoke cloud.init` prints the commands)",
        )
    check_pinned(settings.image)
    job_machine(settings, settings.tuner, tune.base_model, settings.image)  # raises an error if there is none


def check_build_budget(settings: Settings, variables: Variables) -> None:
    """Compare the estimated cost of the dbt build and a pipeline run with the budget.

    Raises TuningError if the estimate exceeds the budget.
    """
    if settings.budget:
        check_budget(settings, [estimate_build(settings, variables), estimate_run(settings)])


def _check_dataset(tuner: Tuner, dataset: Dataset, show: Callable[[str], None]) -> None:
    """Raise TuningError for errors that the validation step would find, and show what that step will fix itself."""
    if dataset.manifest.format not in tuner.formats:
        raise TuningError(
            f"the tuner {tuner.name} does not accept the format {dataset.manifest.format} of dataset {dataset.id}",
            f"Run `invoke dataset --format {tuner.formats[0]}`",
        )
    train, evaluation = (dataset.manifest.files[f"{split}.jsonl"].rows for split in ("train", "eval"))
    check_evaluation(
        dataset, evaluation, "Make another with `invoke dataset`, with a larger --eval-fraction or --limit"
    )
    limit = tuner.evaluation_limit(dataset.manifest.format, train)
    too_many = 0 < limit < evaluation
    if too_many:
        show(f"eval.jsonl has {evaluation:,} rows, but the tuner accepts at most {limit:,}: validation takes a sample")
    for problem in tuner.check(dataset):
        if problem.fatal and not (too_many and "evaluation rows" in problem.what):
            raise TuningError(problem.what, problem.hint)
        if not problem.fatal:
            show(f"note: {problem.what}. {problem.hint}")


def compiled_template(settings: Settings, compile_to: Callable[[Settings, Path], Path]) -> Template:
    """Compile one of the project's pipelines and return it. Raises TuningError if the image has no digest."""
    with tempfile.TemporaryDirectory() as folder:
        return read_template(settings, str(compile_to(settings, Path(folder) / "pipeline.yaml")))


def requests_folder(settings: Settings, period: str) -> str:
    """Return the address of the requests of jobs of this period.

    A new period writes them again, so that the bucket's rule deletes none while a job reads it. Without a period, which
    a schedule has not, they are kept for ever.
    """
    return f"gs://{settings.bucket}/{f'requests/{period}' if period else 'schedules'}"
