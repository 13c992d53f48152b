"""Submit or schedule any KFP template or this project's pipeline, for `invoke submit` and `invoke schedule`."""

from collections.abc import Callable

from tuning.command_line.options import TuningOptions
from tuning.dataset.dataset import find_dataset
from tuning.errors import TuningError
from tuning.pipelines.plan import Plan
from tuning.pipelines.refresh.request import RefreshOptions
from tuning.pipelines.refresh.run import refresh_request
from tuning.pipelines.vertex import jobs
from tuning.pipelines.vertex.run import track_job
from tuning.pipelines.vertex.schedule import Schedule, create_schedule, delete_schedule, list_schedules
from tuning.pipelines.vertex.template_job import SubmitOptions, parse_parameters, send, template_request
from tuning.pipelines.vertex.tuning_job import check_start, tuning_request
from tuning.settings import Settings
from tuning.target import find_target
from tuning.tuners.options import tuning_settings
from tuning.tuners.protocol import TuneOptions
from tuning.tuners.tracking import check_trackers

Show = Callable[[str], None]


def submit_any(
    settings: Settings,
    template: str,
    parameters: list[str],
    tuning: TuningOptions,
    options: SubmitOptions,
    wait: bool,
    show: Show,
) -> None:
    """Submit the template as a job, or this project's pipeline if `template` is empty.

    With `wait`, follow the job until it ends. A job of this project's pipeline that has succeeded goes to the trackers.
    On target local, this project's pipeline runs on this machine. Raises TuningError if a check fails, the service
    refuses the job, or a job that is followed does not succeed.
    """
    if not template and not find_target(settings).on_vertex:
        _run_here(settings, parameters, tuning, options, show)
        return
    request, plan = _request(settings, template, parameters, tuning, options, show)
    job = send(settings, request, options.again, show)
    if wait:
        job = jobs.wait(settings, job.id, show)
        show(f"{job.id} SUCCEEDED")
    if plan and job.state == "SUCCEEDED":
        track_job(settings, plan, job)


def schedule_template(
    settings: Settings,
    cron: str,
    template: str,
    parameters: list[str],
    tuning: TuningOptions,
    options: SubmitOptions,
    show: Show,
) -> tuple[Schedule, bool]:
    """Schedule the template's job, which `submit_any` would submit. Return the schedule and whether it is new.

    Raises TuningError if a check fails or the service refuses the schedule.
    """
    request, _ = _request(settings, template, parameters, tuning, options, show)
    return create_schedule(settings, request, cron)


def schedule_refresh(
    settings: Settings,
    cron: str,
    refreshed: RefreshOptions,
    tuning: TuningOptions,
    options: SubmitOptions,
    show: Show,
    *,
    replace: bool = False,
) -> tuple[Schedule, bool]:
    """Schedule a refresh. Return the schedule and whether it is new.

    With `replace`, the other active schedules of this pipeline are deleted afterwards; without it, they are named.

    Each run reads the source as it is then, and competes with the champion of that moment. Raises TuningError if
    options conflict, if a check fails, or if the service refuses the schedule.
    """
    if options.dataset:
        raise TuningError("each run of a schedule makes its own dataset", "Leave out --dataset, or use `invoke submit`")
    request = refresh_request(settings, refreshed, tuning, options, show, scheduled=True)
    schedule, is_new = create_schedule(settings, request, cron)
    for other in list_schedules(settings):
        if other.id == schedule.id or not other.is_of(request.template.name) or other.state != "ACTIVE":
            continue
        if replace:
            show(f"deleted {delete_schedule(settings, other.id).name}")
        elif is_new:
            show(f"schedule {other.id} runs the same pipeline: `invoke schedule --delete {other.id}` deletes it")
    return schedule, is_new


def _request(
    settings: Settings,
    template: str,
    parameters: list[str],
    tuning: TuningOptions,
    options: SubmitOptions,
    show: Show,
) -> tuple[jobs.JobRequest, Plan | None]:
    """Return the request of a job, and its plan if it is one of this project's pipeline."""
    given = parse_parameters(parameters)
    settings, tune = tuning_settings(settings, tuning)
    if not template:
        _refuse_parameters(parameters)
        check_trackers(settings)
        check_start(settings, tune)
        plan = _plan(settings, tune, options)
        return tuning_request(settings, plan, options, show), plan
    if settings.budget:
        raise TuningError("the cost of an external template is unknown, so --budget cannot limit it", "Remove --budget")
    return template_request(settings, template, given, options, show), None


def _run_here(
    settings: Settings, parameters: list[str], tuning: TuningOptions, options: SubmitOptions, show: Show
) -> None:
    from tuning.pipelines.local.alone import alone
    from tuning.pipelines.local.run import run_local

    _refuse_parameters(parameters)
    settings, tune = tuning_settings(settings, tuning)
    with alone(settings, "invoke submit"):
        run = run_local(settings, _plan(settings, tune, options), show=show)
    show(run.in_words)
    show(f"report: {run.report}")


def _refuse_parameters(parameters: list[str]) -> None:
    if parameters:
        raise TuningError("--param needs --template", "Without a template, use the tuning options such as --epochs")


def _plan(settings: Settings, tune: TuneOptions, options: SubmitOptions) -> Plan:
    return Plan(dataset=find_dataset(settings, options.dataset), tuner=settings.tuner, tune=tune)
