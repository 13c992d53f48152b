"""What `invoke submit` and `invoke schedule` are asked for: a template of any address, or this project's pipeline."""

from collections.abc import Callable, Mapping
from typing import Any

from tuning.dataset.dataset import find_dataset
from tuning.errors import TuningError
from tuning.pipelines.vertex import jobs
from tuning.pipelines.vertex.schedule import Schedule, create_schedule
from tuning.pipelines.vertex.template_job import SubmitOptions, parse_parameters, send, template_request
from tuning.pipelines.vertex.tuning_job import tuning_request
from tuning.settings import Settings
from tuning.tuners.options import tuning_settings

Show = Callable[[str], None]


def submit_any(
    settings: Settings,
    template: str,
    parameters: list[str],
    tuning: Mapping[str, Any],
    options: SubmitOptions,
    wait: bool,
    show: Show,
) -> None:
    """Send the job; with `wait`, follow it to its end. On target local this project's pipeline runs here instead."""
    if not template and not on_vertex(settings):
        _run_here(settings, parameters, tuning, options, show)
        return
    job = send(settings, _request(settings, template, parameters, tuning, options, show), options.again, show)
    if wait:
        jobs.wait(settings, job.id, show)
        show(f"{job.id} SUCCEEDED")


def schedule_any(
    settings: Settings,
    cron: str,
    template: str,
    parameters: list[str],
    tuning: Mapping[str, Any],
    options: SubmitOptions,
    show: Show,
) -> tuple[Schedule, bool]:
    """Schedule what `submit_any` would send; says whether the schedule is new."""
    return create_schedule(settings, _request(settings, template, parameters, tuning, options, show), cron)


def on_vertex(settings: Settings) -> bool:
    """Whether the runner is Vertex AI, Google's own or a server that stands for it."""
    return settings.target == "gcp" or bool(settings.vertex_endpoint)


def _request(
    settings: Settings,
    template: str,
    parameters: list[str],
    tuning: Mapping[str, Any],
    options: SubmitOptions,
    show: Show,
) -> jobs.JobRequest:
    given = parse_parameters(parameters)
    settings, tune = tuning_settings(settings, tuning)
    if not template:
        if given:
            raise TuningError("--param goes with --template", "This pipeline's own options say how to tune")
        return tuning_request(settings, settings.tuner, tune, options, show)
    if settings.budget:
        raise TuningError(
            "what a template of others costs is not known, so no --budget can hold it", "Leave out --budget"
        )
    return template_request(settings, template, given, options, show)


def _run_here(
    settings: Settings, parameters: list[str], tuning: Mapping[str, Any], options: SubmitOptions, show: Show
) -> None:
    from tuning.pipelines.local.run import run_local

    if parameters:
        raise TuningError("--param goes with --template", "This pipeline's own options say how to tune")
    settings, tune = tuning_settings(settings, tuning)
    run = run_local(settings, find_dataset(settings, options.dataset), tune, tuner=settings.tuner, show=show)
    show(run.in_words)
    show(f"report: {run.report}")
