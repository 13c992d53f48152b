"""Create, list, pause, resume and delete schedules. Vertex AI starts a pipeline job at the times of a cron line."""

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tuning.errors import TuningError
from tuning.gcs.access import backoff, google_errors, vertex_client
from tuning.pipelines.vertex.job import Job
from tuning.pipelines.vertex.jobs import CREATE_TIMEOUT, JobRequest, job_id, job_message, jobs_of_schedule, location
from tuning.settings import Settings
from tuning.target import command_in_words

if TYPE_CHECKING:
    from google.cloud.aiplatform_v1 import ScheduleServiceClient
    from google.cloud.aiplatform_v1.types import Schedule as ScheduleMessage

_CRON = re.compile(r"((TZ|CRON_TZ)=[\w/+-]+ )?(\S+ ){4}\S+")


@dataclass(frozen=True)
class Schedule:
    """Represent a schedule. `id` is its number, and `next_run` is ISO 8601 in UTC, or empty."""

    id: str
    name: str
    cron: str
    state: str
    next_run: str

    def is_of(self, pipeline: str) -> bool:
        """Return whether `create_schedule` made it for the pipeline with this name."""
        return re.fullmatch(rf"{re.escape(pipeline)}-[0-9a-f]{{12}}-[0-9a-f]{{8}}", self.name) is not None


def create_schedule(settings: Settings, request: JobRequest, cron: str) -> tuple[Schedule, bool]:
    """Schedule the job at the times of `cron`. Return the schedule and whether it is new.

    `cron` has five fields, in UTC unless ``TZ=…`` precedes them. At most one run is active at a time. If a schedule for
    the same job and times exists, it is returned. Each run has the arguments of `request` as they are now. Raises
    TuningError if `cron` is malformed or the service refuses the schedule.
    """
    if not _CRON.fullmatch(cron):
        raise TuningError(
            f"{cron!r} is not a schedule", "Write five fields, such as '0 3 * * 1' or 'TZ=Europe/Berlin 0 3 * * 1'"
        )
    with google_errors("creating the schedule"):
        stem = job_id(settings, request)
        name = f"{stem}-{hashlib.sha256(cron.encode()).hexdigest()[:8]}"
        if found := _named(settings, name):
            return _describe(found), False
        from google.cloud.aiplatform_v1.types import CreatePipelineJobRequest
        from google.cloud.aiplatform_v1.types import Schedule as ScheduleMessage

        client = _client(settings)
        message = ScheduleMessage(
            display_name=name,
            cron=cron,
            create_pipeline_job_request=CreatePipelineJobRequest(
                parent=location(settings), pipeline_job=job_message(settings, request, f"{stem}-1")
            ),
            max_concurrent_run_count=1,
            max_concurrent_active_run_count=1,  # a run that waits or is stopping counts too
        )
        tries = 0

        def attempt() -> "ScheduleMessage":
            """Create the schedule. A retry first looks for the schedule that an earlier try created.

            The service assigns the number of a schedule, so a retry would otherwise create a second schedule.
            """
            nonlocal tries
            tries += 1
            if tries > 1 and (left := _named(settings, name)):
                return left
            return client.create_schedule(parent=location(settings), schedule=message, timeout=CREATE_TIMEOUT)

        return _describe(backoff()(attempt)()), True


def list_schedules(settings: Settings) -> list[Schedule]:
    """Return all schedules of the project in the setting `region`, sorted by name.

    Raises TuningError if the service cannot be reached.
    """
    with google_errors("listing the schedules"):
        found = _client(settings).list_schedules(parent=location(settings), retry=backoff())
        return sorted((_describe(one) for one in found), key=lambda schedule: schedule.name)


def pause(settings: Settings, number: str) -> Schedule:
    """Let the schedule with the number `number` start no more runs, and return it. Its running jobs continue.

    Raises TuningError if there is no such schedule.
    """
    with google_errors(f"pausing the schedule {number}"):
        schedule = _numbered(settings, number)
        if schedule.state.name == "ACTIVE":
            _client(settings).pause_schedule(name=schedule.name, retry=backoff())
        return _describe(_numbered(settings, number))


def resume(settings: Settings, number: str) -> Schedule:
    """Let the paused schedule with the number `number` start runs again, and return it. It leaves out missed runs.

    Raises TuningError if there is no such schedule.
    """
    with google_errors(f"resuming the schedule {number}"):
        schedule = _numbered(settings, number)
        if schedule.state.name == "PAUSED":
            _client(settings).resume_schedule(name=schedule.name, retry=backoff())
        return _describe(_numbered(settings, number))


def delete_schedule(settings: Settings, number: str) -> Schedule:
    """Delete the schedule with the number `number` and return it. Jobs that it started continue to run.

    Raises TuningError if there is no such schedule.
    """
    with google_errors(f"deleting the schedule {number}"):
        schedule = _numbered(settings, number)
        _client(settings).delete_schedule(name=schedule.name, retry=backoff()).result()  # type: ignore[no-untyped-call]
        return _describe(schedule)


def runs_of(settings: Settings, number: str, most: int = 10) -> list[Job]:
    """Return the newest jobs that the schedule with the number `number` has started, the newest first.

    Raises TuningError if there is no such schedule.
    """
    with google_errors(f"reading the schedule {number}"):
        schedule = _numbered(settings, number)
    return jobs_of_schedule(settings, schedule.name, most)


def _numbered(settings: Settings, number: str) -> "ScheduleMessage":
    from google.api_core.exceptions import NotFound

    remedy = f"Run {command_in_words(settings, 'schedule')} to list the schedules"
    if not (number.isascii() and number.isdigit()):
        raise TuningError(f"{number!r} is not the number of a schedule", remedy)
    try:
        return _client(settings).get_schedule(name=f"{location(settings)}/schedules/{number}", retry=backoff())
    except NotFound:
        raise TuningError(f"there is no schedule {number}", remedy) from None


def _named(settings: Settings, name: str) -> "ScheduleMessage | None":
    request = {"parent": location(settings), "filter": f'display_name="{name}"'}
    found = _client(settings).list_schedules(request=request, retry=backoff())
    return next((one for one in found if one.display_name == name and one.state.name != "COMPLETED"), None)


def _client(settings: Settings) -> "ScheduleServiceClient":
    from google.cloud.aiplatform_v1 import ScheduleServiceClient

    return ScheduleServiceClient(**vertex_client(settings, settings.region))


def _describe(schedule: "ScheduleMessage") -> Schedule:
    next_run = schedule.next_run_time
    return Schedule(
        id=schedule.name.rpartition("/")[2],
        name=schedule.display_name,
        cron=schedule.cron,
        state=schedule.state.name,
        next_run=next_run.isoformat() if next_run else "",
    )
