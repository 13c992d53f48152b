"""Format the status of jobs, schedules and local runs as lines for a terminal."""

from tuning.errors import TuningError
from tuning.monitoring.history import RECORD
from tuning.pipelines.release.record import RunRecord, read_run
from tuning.pipelines.vertex.job import Job
from tuning.pipelines.vertex.jobs import get_job
from tuning.pipelines.vertex.schedule import Schedule
from tuning.settings import Settings
from tuning.target import find_target


def find_job(settings: Settings, name: str) -> Job | RunRecord:
    """Return the job or the local run with the ID `name` (empty: the newest).

    Raises TuningError if there is no such job or run.
    """
    if find_target(settings).on_vertex:
        return get_job(settings, name or None)
    records = sorted(settings.runs_dir.glob(f"{name or '[!.]*'}/{RECORD}"))
    if not records:
        raise TuningError(f"there is no run {name or ''} in {settings.runs_dir}", "Run `invoke tune` to start one")
    return read_run(records[-1].parent)


def status_lines(found: Job | RunRecord) -> list[str]:
    """Return lines that describe the job or the local run."""
    return job_lines(found) if isinstance(found, Job) else _run_lines(found)


def job_lines(job: Job) -> list[str]:
    """Return the ID and state of a job, its labels, tasks, error and link."""
    labels = " ".join(f"{name}={value}" for name, value in sorted(job.labels.items()))
    tasks = [f"  {task.state:10} {task.name}{f': {task.error}' if task.error else ''}" for task in job.tasks]
    return [
        f"{job.id} {job.state} ({job.display_name})",
        *([f"  {labels}"] if labels else []),
        *tasks,
        *([f"  {job.error}"] if job.error else []),
        job.link,
    ]


def schedule_lines(schedules: list[Schedule]) -> list[str]:
    """Return one line for each schedule."""
    if not schedules:
        return ["there are no schedules"]
    return [f"{one.id} {one.state} '{one.cron}' {one.name} next: {one.next_run or '-'}" for one in schedules]


def schedule_run_lines(jobs: list[Job]) -> list[str]:
    """Return one line for each job of a schedule, and one more for its error."""
    if not jobs:
        return ["it has started no run yet"]
    return [
        line
        for job in jobs
        for line in (f"{job.id} {job.state} {job.started_at}", *([f"  {job.error}"] if job.error else []))
    ]


def _run_lines(record: RunRecord) -> list[str]:
    steps = [f"  {step.name}{' (reused)' if step.cached else ''}, {step.seconds:.1f} s" for step in record.steps]
    return [
        f"{record.id} {record.status} ({record.pipeline}{f' on {record.dataset_id}' if record.dataset_id else ''})",
        *steps,
        *([f"  {record.error}"] if record.error else []),
    ]
