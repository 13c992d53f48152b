"""Run a refresh now, on this machine or on Vertex AI, or prepare the job that a schedule sends."""

import time
from collections.abc import Callable

import msgspec

from tuning.cloud.estimate import check_budget, estimate_build, estimate_run
from tuning.command_line.options import TuningOptions
from tuning.dataset.options import resolve_variables
from tuning.errors import TuningError
from tuning.gcs.access import google_errors, label
from tuning.pipelines.local.alone import alone
from tuning.pipelines.local.run import requests_folder as local_requests
from tuning.pipelines.local.run import run_cached
from tuning.pipelines.outcome import took
from tuning.pipelines.plan import TuningPlan
from tuning.pipelines.refresh.outcome import find_outcome
from tuning.pipelines.refresh.pipeline import compile_refresh
from tuning.pipelines.refresh.request import RefreshOptions, refresh_arguments
from tuning.pipelines.refresh.webhook import check_webhook
from tuning.pipelines.release.record import REPORT, ended, read_run, start_run, write_run
from tuning.pipelines.release.times import with_steps
from tuning.pipelines.tuning import REFRESH
from tuning.pipelines.vertex import jobs
from tuning.pipelines.vertex.jobs import JobRequest
from tuning.pipelines.vertex.period import current_period
from tuning.pipelines.vertex.template import fit_parameters
from tuning.pipelines.vertex.template_job import SubmitOptions, commit_label, send
from tuning.pipelines.vertex.tuning_job import check_start, compiled_template, requests_folder
from tuning.settings import Settings
from tuning.storage import write_bytes
from tuning.target import find_target
from tuning.tuners.options import tuning_settings
from tuning.tuners.tracking import VERTEX, check_trackers, trackers
from tuning.warehouse.client import connect

Show = Callable[[str], None]


def run_refresh(
    settings: Settings, options: RefreshOptions, tuning: TuningOptions, *, again: bool = False, show: Show = print
) -> list[str]:
    """Run a refresh and return its outcome as lines. With `again`, run all of it although nothing has changed.

    Raises TuningError if options conflict or a step fails. The champion then stays, unless only the message to the
    webhook failed.
    """
    settings, plan = _planned(settings, options, tuning)
    run = _run_on_vertex if find_target(settings).on_vertex else _run_here
    return run(settings, plan, options, again, show)


def refresh_request(
    settings: Settings,
    options: RefreshOptions,
    tuning: TuningOptions,
    submit: SubmitOptions,
    show: Show,
    *,
    scheduled: bool = False,
) -> JobRequest:
    """Upload the requests of a refresh and return the request for its job on Vertex AI.

    A `scheduled` job keeps its requests for ever and takes nothing from the cache, because its arguments never change.
    Raises TuningError before anything is uploaded if a check fails.
    """
    settings, plan = _planned(settings, options, tuning)
    return _job_request(settings, plan, options, submit, show, scheduled=scheduled)


def _planned(settings: Settings, options: RefreshOptions, tuning: TuningOptions) -> tuple[Settings, TuningPlan]:
    settings, tune = tuning_settings(settings, tuning, options.made.seed)
    check_webhook(settings)
    check_trackers(settings)
    return settings, TuningPlan(tuner=settings.tuner, tune=tune)


def _run_here(settings: Settings, plan: TuningPlan, options: RefreshOptions, again: bool, show: Show) -> list[str]:
    with alone(settings, "invoke refresh"):
        folder, record = start_run(settings, REFRESH, base_model=plan.tune.base_model)
        started = time.monotonic()
        try:
            connect(settings)  # starts the local BigQuery, which must not live in the environment of a step
            arguments = refresh_arguments(settings, plan, options, local_requests(settings), again=again)
            arguments["run"] = record.id
            write_run(settings, folder, msgspec.structs.replace(record, arguments=arguments))
            ran = run_cached(settings, compile_refresh(settings, folder / "pipeline.yaml"), arguments, folder, show)
        except BaseException as error:
            failed = ended(read_run(folder), error)
            write_run(settings, folder, msgspec.structs.replace(failed, seconds=took(started)))
            raise
        if (folder / REPORT).exists():
            write_bytes(folder / REPORT, with_steps((folder / REPORT).read_bytes(), ran.steps))
        done = msgspec.structs.replace(read_run(folder), status="succeeded", seconds=took(started), steps=ran.steps)
        write_run(settings, folder, done)
    return _outcome(settings, record.id)


def _run_on_vertex(settings: Settings, plan: TuningPlan, options: RefreshOptions, again: bool, show: Show) -> list[str]:
    request = _job_request(settings, plan, options, SubmitOptions(), show, again=again)
    job = jobs.wait(settings, send(settings, request, again, show).id, show)
    return _outcome(settings, job.id)


def _job_request(
    settings: Settings,
    plan: TuningPlan,
    options: RefreshOptions,
    submit: SubmitOptions,
    show: Show,
    *,
    again: bool = False,
    scheduled: bool = False,
) -> JobRequest:
    check_start(settings, plan.tune)
    _refuse_packages(settings)
    if settings.budget:  # the step that makes the dataset adds the cost of the tuning
        variables = resolve_variables(options.preset, options.build)
        check_budget(settings, [estimate_build(settings, variables), estimate_run(settings)])
    template = compiled_template(settings, compile_refresh)
    period = "" if scheduled else current_period()
    if scheduled and submit.caching:
        show("a scheduled job takes no earlier result from the cache: the bucket's rule may have deleted its files")
    folder = requests_folder(settings, period)
    with google_errors("uploading the job's inputs"):
        arguments = refresh_arguments(
            settings,
            plan,
            options,
            folder,
            again=again,
            image=settings.image,
            period=period,
        )
    parameters = fit_parameters(template, arguments)
    return JobRequest(
        template=template,
        parameters=parameters,
        display_name=submit.display_name or template.name,
        pipeline_root=submit.pipeline_root or f"gs://{settings.bucket}/pipelines/{template.name}",
        identity={name: value for name, value in parameters.items() if not name.endswith(("_uri", "period"))},
        period=period,
        labels={"template": label(template.name), "tuner": label(plan.tuner), **commit_label()},
        caching=submit.caching and not scheduled,
        failure_policy=submit.failure_policy,
        repeats=True,
    )


def _refuse_packages(settings: Settings) -> None:
    """Raise TuningError for a tracker that is a package of its own: the image of the release step has none."""
    if others := [name for name in trackers(settings) if name != VERTEX]:
        raise TuningError(
            f"a refresh on Vertex AI cannot record its runs in {', '.join(others)}", f"Name only {VERTEX}"
        )


def _outcome(settings: Settings, name: str) -> list[str]:
    outcome = find_outcome(settings, name)
    if outcome is None:
        raise TuningError(f"the run {name} left no outcome", "Run `invoke refresh --again`")
    return outcome.lines
