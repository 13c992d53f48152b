"""Submit or schedule any KFP template or this project's pipeline, for `invoke submit` and `invoke schedule`."""

from collections.abc import Callable

from tuning.command_line.options import TuningOptions
from tuning.dataset.dataset import find_dataset
from tuning.errors import TuningError
from tuning.pipelines.plan import Plan
from tuning.pipelines.vertex import jobs
from tuning.pipelines.vertex.schedule import Schedule, create_schedule
from tuning.pipelines.vertex.template_job import SubmitOptions, parse_parameters, send, template_request
from tuning.pipelines.vertex.tuning_job import check_start, tuning_request
from tuning.settings import Settings
from tuning.target import find_target
from tuning.tuners.options import tuning_settings
from tuning.tuners.protocol import TuneOptions

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

    With `wait`, follow the job until it ends. On target local, this project's pipeline runs on this machine. Raises
    TuningError if a check fails, the service refuses the job, or a job that is followed does not succeed.
    """
    if not template and not find_target(settings).on_vertex:
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
    tuning: TuningOptions,
    options: SubmitOptions,
    show: Show,
) -> tuple[Schedule, bool]:
    """Schedule the job that `submit_any` would submit. Return the schedule and whether it is new.

    Raises TuningError if a check fails or the service refuses the schedule.
    """
    request = _request(settings, template, parameters, tuning, options, show, scheduled=True)
    return create_schedule(settings, request, cron)


def _request(
    settings: Settings,
    template: str,
    parameters: list[str],
    tuning: TuningOptions,
    options: SubmitOptions,
    show: Show,
    scheduled: bool = False,
) -> jobs.JobRequest:
    given = parse_parameters(parameters)
    settings, tune = tuning_settings(settings, tuning)
    if not template:
        if given:
            raise TuningError("--param needs --template", "Without a template, use the tuning options such as --epochs")
        check_start(settings, settings.tuner, tune)
        return tuning_request(settings, _plan(settings, tune, options), options, show, scheduled=scheduled)
    if settings.budget:
        raise TuningError("the cost of an external template is unknown, so --budget cannot limit it", "Remove --budget")
    return template_request(settings, template, given, options, show)


def _run_here(
    settings: Settings, parameters: list[str], tuning: TuningOptions, options: SubmitOptions, show: Show
) -> None:
    from tuning.pipelines.local.run import run_local

    if parameters:
        raise TuningError("--param needs --template", "Without a template, use the tuning options such as --epochs")
    settings, tune = tuning_settings(settings, tuning)
    run = run_local(settings, _plan(settings, tune, options), show=show)
    show(run.in_words)
    show(f"report: {run.report}")


def _plan(settings: Settings, tune: TuneOptions, options: SubmitOptions) -> Plan:
    return Plan(dataset=find_dataset(settings, options.dataset), tuner=settings.tuner, tune=tune)
