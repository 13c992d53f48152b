"""Submit, read, cancel and follow pipeline jobs on Vertex AI.

Google's class PipelineJob only builds the request. Its `submit` would create a missing bucket and grant roles on it,
which `invoke cloud.init` does, so the service's own client sends the job.
"""

import hashlib
import re
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import orjson

from tuning.cloud.custom_job import cancel_running
from tuning.errors import TuningError
from tuning.gcs.access import backoff, credentials, google_errors, vertex_client
from tuning.pipelines.steps.requests import training_key
from tuning.pipelines.vertex.job import Job, describe
from tuning.pipelines.vertex.period import period_before
from tuning.pipelines.vertex.template import Template
from tuning.settings import Settings
from tuning.target import command_in_words

if TYPE_CHECKING:
    from google.cloud.aiplatform_v1 import PipelineServiceClient
    from google.cloud.aiplatform_v1.types import PipelineJob as JobMessage

FailurePolicy = Literal["slow", "fast"]
CREATE_TIMEOUT = 120.0  # seconds to wait for the answer to a create request
_MAY_RUN_AGAIN = frozenset({"FAILED", "CANCELLED"})


@dataclass(frozen=True)
class JobRequest:
    """Hold what a job runs. `parameters` already have the types that the template declares.

    The hash in the job's ID covers `identity` and `period` instead of `parameters` and `display_name`. `identity` must
    omit values that change with each request, such as the date in a display name, so that a repeated request is the
    same job. `period` is empty if nothing limits the age of the outputs in the cache. `caching` says whether the job
    takes outputs from the cache; it is the same job either way. A job that `repeats` reads something that its arguments
    do not name, so when it has ended, a request sends it again.
    """

    template: Template
    parameters: Mapping[str, Any]
    display_name: str
    pipeline_root: str
    identity: Mapping[str, Any]
    labels: Mapping[str, str] = field(default_factory=dict)
    period: str = ""
    caching: bool = True
    failure_policy: FailurePolicy = "slow"
    repeats: bool = False


def submit(settings: Settings, request: JobRequest, again: bool = False) -> tuple[Job, bool]:
    """Submit the job without waiting for it. Return the job and whether it is new.

    If the same job is running or has succeeded, that job is returned, also if it runs since the period before. If it
    failed or was cancelled, or if it has ended and repeats or `again` is set, a new attempt is submitted with the next
    number.
    With `again`, it takes nothing from the cache, whose outputs may be deleted. Raises TuningError if the service
    cannot be reached or refuses the job.
    """
    with google_errors("submitting the pipeline job"):
        stem = job_id(settings, request)
        attempt, found = _newest(settings, stem)
        if not found and request.period:
            _, earlier = _newest(settings, job_id(settings, replace(request, period=period_before(request.period))))
            if earlier and not earlier.ended:
                return earlier, False
        repeats = again or request.repeats
        if found and found.state not in _MAY_RUN_AGAIN and not (repeats and found.ended):
            return found, False
        name = f"{stem}-{attempt + 1 if found else attempt}"
        created = _create(settings, replace(request, caching=request.caching and not again), name)
        return _get(settings, name), created


def job_id(settings: Settings, request: JobRequest) -> str:
    """Return the job's ID without the number of the attempt.

    It consists of the template's name and a hash of everything that the job depends on.
    """
    facts = {
        "project": settings.project,
        "region": settings.region,
        "template": request.template.digest,
        "pipeline_root": request.pipeline_root,
        "period": request.period,
        "failure_policy": request.failure_policy,
        "identity": request.identity,
    }
    digest = hashlib.sha256(orjson.dumps(facts, option=orjson.OPT_SORT_KEYS)).hexdigest()[:12]
    return f"{_slug(request.template.name)[:100].rstrip('-')}-{digest}"


def get_job(settings: Settings, name: str | None = None) -> Job:
    """Return the job with the ID `name`, or the newest job without `name`. Raises TuningError if there is none."""
    with google_errors("reading the pipeline job"):
        if name:
            job = _find(settings, name)
            if job is None:
                raise TuningError(f"there is no pipeline job {name} in {settings.project}, {settings.region}")
            return job
        jobs = _client(settings).list_pipeline_jobs(
            request={"parent": location(settings), "order_by": "create_time desc", "page_size": 1}, retry=backoff()
        )
        newest = next(iter(jobs), None)
        if newest is None:
            raise TuningError(
                f"there is no pipeline job in {settings.project}, {settings.region}",
                f"Run {command_in_words(settings, 'submit')} to start one",
            )
        return describe(settings, newest)


def jobs_of_schedule(settings: Settings, schedule: str, most: int) -> list[Job]:
    """Return the newest `most` jobs that a schedule has started, the newest first. `schedule` is its resource name.

    Raises TuningError if the service cannot be reached.
    """
    with google_errors("listing the runs of the schedule"):
        request = {
            "parent": location(settings),
            "filter": f'schedule_name="{schedule}"',
            "order_by": "create_time desc",
            "page_size": most,
        }
        found = _client(settings).list_pipeline_jobs(request=request, retry=backoff())
        return [describe(settings, job) for job in islice(found, most)]


def cancel(settings: Settings, name: str) -> Job:
    """Ask the service to cancel the job and return the job. The service does not guarantee that it stops.

    A CustomJob in which it tunes is cancelled too, because a container that is ended may not be able to do that. So a
    job that starts after the list was read is cancelled by the same command, typed again.
    Raises TuningError if the job does not exist or has already ended.
    """
    with google_errors(f"cancelling the pipeline job {name}"):
        job = _find(settings, name)
        if job is None:
            raise TuningError(f"there is no pipeline job {name} in {settings.project}, {settings.region}")
        if not job.ended:
            _client(settings).cancel_pipeline_job(name=_resource(settings, name), retry=backoff())
        message = _client(settings).get_pipeline_job(name=_resource(settings, name), retry=backoff())
    arguments = dict(message.runtime_config.parameter_values)
    # A refresh makes its dataset in the run. A job that has succeeded uses its CustomJob no longer, but another may.
    if arguments.get("custom_job") and "dataset_sha256" in arguments and job.state != "SUCCEEDED":
        cancel_running(settings, training_key(arguments))
    if job.ended:
        raise TuningError(f"the pipeline job {name} has already ended ({job.state})")
    return describe(settings, message)


def wait(settings: Settings, name: str, show: Callable[[str], None]) -> Job:
    """Follow the job until it ends and show each change of a task's state.

    Raises TuningError if the job does not succeed.
    """
    seen: dict[str, str] = {}
    while True:
        job = get_job(settings, name)
        for task in job.tasks:
            if seen.get(task.name) != task.state:
                show(f"{task.name}: {task.state}{f' ({task.error})' if task.error else ''}")
            seen[task.name] = task.state
        if job.ended:
            break
        time.sleep(settings.poll_seconds)
    if job.state != "SUCCEEDED":
        failed = ", ".join(task.name for task in job.tasks if task.state == "FAILED")
        why = f" in {failed}" if failed else ""
        raise TuningError(
            f"the pipeline job {job.id} ended {job.state}{why}: {job.error or 'no reason given'}", f"See {job.link}"
        )
    return job


def job_message(settings: Settings, request: JobRequest, name: str) -> "JobMessage":
    """Return the request as the message that the service takes. The job's ID is `name`.

    It is built from the template in `request`, so the template is not downloaded a second time.
    """
    from google.cloud.aiplatform import PipelineJob
    from google.cloud.aiplatform_v1.types import EncryptionSpec
    from google.cloud.aiplatform_v1.types import PipelineJob as JobMessage

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pipeline.json"
        path.write_bytes(orjson.dumps(request.template.spec))
        built = PipelineJob(
            project=settings.project,
            location=settings.region,
            credentials=credentials(settings.vertex_endpoint, settings),
            display_name=request.display_name,
            template_path=str(path),
            job_id=name,
            pipeline_root=request.pipeline_root,
            parameter_values=dict(request.parameters),
            enable_caching=request.caching,
            failure_policy=request.failure_policy,
        )
    return JobMessage(
        display_name=request.display_name,
        pipeline_spec=built.pipeline_spec,
        runtime_config=built.runtime_config,
        labels=dict(request.labels),
        template_uri=request.template.uri if request.template.uri.startswith("https://") else "",
        service_account=settings.service_account,
        network=settings.network,
        encryption_spec=EncryptionSpec(kms_key_name=settings.kms_key) if settings.kms_key else None,
    )


def location(settings: Settings) -> str:
    """Return the resource name of the project's region."""
    return f"projects/{settings.project}/locations/{settings.region}"


def _create(settings: Settings, request: JobRequest, name: str) -> bool:
    """Create the job once and return True. Return False if another process created it first.

    Retries are safe. If the server accepted a try before the connection broke, the next try gets a conflict with the
    job of that try, which counts as success.
    """
    from google.api_core.exceptions import Conflict  # the REST transport's error for HTTP 409

    client = _client(settings)
    job = job_message(settings, request, name)
    tries = 0

    def attempt() -> bool:
        nonlocal tries
        tries += 1
        try:
            client.create_pipeline_job(
                parent=location(settings), pipeline_job=job, pipeline_job_id=name, timeout=CREATE_TIMEOUT
            )
        except Conflict:
            return tries > 1
        return True

    return backoff()(attempt)()


def _newest(settings: Settings, stem: str) -> tuple[int, Job | None]:
    """Return the number of the newest attempt and its job, or 1 and None if there was no attempt."""
    attempt, found = 1, _find(settings, f"{stem}-1")
    while found and (newer := _find(settings, f"{stem}-{attempt + 1}")):
        attempt, found = attempt + 1, newer
    return attempt, found


def _find(settings: Settings, name: str) -> Job | None:
    from google.api_core.exceptions import NotFound

    if not re.fullmatch(r"[a-z][-a-z0-9]{0,127}", name):
        newest = f"Run {command_in_words(settings, 'status')} to see the newest job"
        raise TuningError(f"{name!r} is not the ID of a pipeline job", newest)
    try:
        return _get(settings, name)
    except NotFound:
        return None


def _get(settings: Settings, name: str) -> Job:
    message = _client(settings).get_pipeline_job(name=_resource(settings, name), retry=backoff())
    return describe(settings, message)


def _resource(settings: Settings, name: str) -> str:
    return f"{location(settings)}/pipelineJobs/{name}"


def _client(settings: Settings) -> "PipelineServiceClient":
    from google.cloud.aiplatform_v1 import PipelineServiceClient

    return PipelineServiceClient(**vertex_client(settings, settings.region))


def _slug(text: str) -> str:
    slug = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    return slug if slug[:1].isalpha() else f"job-{slug}"
