"""Create, list and delete schedules. Vertex AI starts a scheduled pipeline job at the times of a cron line."""

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tuning.errors import TuningError
from tuning.gcs.access import backoff, google_errors
from tuning.pipelines.vertex.jobs import CREATE_TIMEOUT, JobRequest, connected, job_id, pipeline_job
from tuning.settings import Settings

if TYPE_CHECKING:
    from google.cloud.aiplatform import PipelineJobSchedule

_CRON = re.compile(r"((TZ|CRON_TZ)=[\w/+-]+ )?(\S+ ){4}\S+")


@dataclass(frozen=True)
class Schedule:
    """Represent a schedule. `id` is its number, and `next_run` is ISO 8601 in UTC, or empty."""

    id: str
    name: str
    cron: str
    state: str
    next_run: str


def create_schedule(settings: Settings, request: JobRequest, cron: str) -> tuple[Schedule, bool]:
    """Schedule the job at the times of `cron`. Return the schedule and whether it is new.

    `cron` has five fields, in UTC unless ``TZ=…`` precedes them. At most one run is active at a time. If a schedule for
    the same job and times exists, it is returned. Each run uses the inputs that `request` names now, so a later dataset
    needs a separate schedule. Raises TuningError if `cron` is malformed or the service refuses the schedule.
    """
    if not _CRON.fullmatch(cron):
        raise TuningError(
            f"{cron!r} is not a schedule", "Write five fields, such as '0 3 * * 1' or 'TZ=Europe/Berlin 0 3 * * 1'"
        )
    with google_errors("creating the schedule"), connected(settings):
        stem = job_id(settings, request)
        name = f"{stem}-{hashlib.sha256(cron.encode()).hexdigest()[:8]}"
        if found := _named(name):
            return _describe(found), False
        tries = 0

        def attempt() -> "PipelineJobSchedule":
            """Create the schedule. A retry first looks for the schedule that an earlier try created.

            The service assigns the number of a schedule, so a retry would otherwise create a second schedule.
            """
            nonlocal tries
            tries += 1
            if tries > 1 and (left := _named(name)):
                return left
            return pipeline_job(request, f"{stem}-1").create_schedule(
                cron=cron,
                display_name=name,
                max_concurrent_run_count=1,
                service_account=settings.service_account or None,
                network=settings.network or None,
                create_request_timeout=CREATE_TIMEOUT,
            )

        return _describe(backoff()(attempt)()), True


def list_schedules(settings: Settings) -> list[Schedule]:
    """Return all schedules of the project in the setting `region`, sorted by name.

    Raises TuningError if the service cannot be reached.
    """
    with google_errors("listing the schedules"), connected(settings):
        from google.cloud.aiplatform import PipelineJobSchedule

        found = backoff()(PipelineJobSchedule.list)()
        return sorted((_describe(one) for one in found), key=lambda schedule: schedule.name)


def delete_schedule(settings: Settings, number: str) -> Schedule:
    """Delete the schedule with the number `number` and return it. Jobs that it started continue to run.

    Raises TuningError if there is no such schedule.
    """
    from google.api_core.exceptions import NotFound

    if not number.isdigit():
        raise TuningError(f"{number!r} is not the number of a schedule", "Run `invoke schedule` to list the schedules")
    with google_errors(f"deleting the schedule {number}"), connected(settings):
        from google.cloud.aiplatform import PipelineJobSchedule

        resource = f"projects/{settings.project}/locations/{settings.region}/schedules/{number}"
        try:
            schedule = backoff()(PipelineJobSchedule.get)(resource)
        except NotFound:
            raise TuningError(f"there is no schedule {number}", "Run `invoke schedule` to list them") from None
        backoff()(schedule.delete)()
        return _describe(schedule)


def _named(name: str) -> "PipelineJobSchedule | None":
    from google.cloud.aiplatform import PipelineJobSchedule

    found = backoff()(PipelineJobSchedule.list)(filter=f'display_name="{name}"')
    alive = [one for one in found if one.display_name == name and one.gca_resource.state.name != "COMPLETED"]
    return alive[0] if alive else None


def _describe(schedule: "PipelineJobSchedule") -> Schedule:
    resource = schedule.gca_resource
    next_run = resource.next_run_time
    return Schedule(
        id=resource.name.rpartition("/")[2],
        name=resource.display_name,
        cron=resource.cron,
        state=resource.state.name,
        next_run=next_run.isoformat() if next_run else "",
    )
