"""How a job stands, in lines for a person: on Vertex AI, or the newest run on this machine."""

from tuning.errors import TuningError
from tuning.pipelines.release.record import RECORD, RunRecord
from tuning.pipelines.submit import on_vertex
from tuning.pipelines.vertex.job import Job
from tuning.pipelines.vertex.jobs import get_job
from tuning.pipelines.vertex.schedule import Schedule
from tuning.settings import Settings


def status_lines(settings: Settings, name: str) -> list[str]:
    """The job or run of that id; without one, the newest."""
    return job_lines(get_job(settings, name or None)) if on_vertex(settings) else _run_lines(settings, name)


def job_lines(job: Job) -> list[str]:
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
    if not schedules:
        return ["there is no schedule"]
    return [f"{one.id} {one.state} '{one.cron}' {one.name} next: {one.next_run or '-'}" for one in schedules]


def _run_lines(settings: Settings, name: str) -> list[str]:
    import msgspec

    records = sorted(settings.runs_dir.glob(f"{name or '*'}/{RECORD}"))
    if not records:
        raise TuningError(f"there is no run {name or ''} in {settings.runs_dir}", "`invoke tune` makes one")
    record = msgspec.json.decode(records[-1].read_bytes(), type=RunRecord)
    steps = [f"  {step.name}{' (reused)' if step.cached else ''}, {step.seconds:.1f} s" for step in record.steps]
    return [
        f"{record.id} {record.status} ({record.pipeline}{f' on {record.dataset_id}' if record.dataset_id else ''})",
        *steps,
        *([f"  {record.error}"] if record.error else []),
    ]
