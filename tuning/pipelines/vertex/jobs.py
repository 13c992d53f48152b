"""Submit, read, cancel and follow pipeline jobs on Vertex AI with Google's PipelineJob class."""

import contextlib
import hashlib
import logging
import re
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from unittest import mock

import orjson

from tuning.errors import TuningError
from tuning.gcs.access import backoff, credentials, google_errors, require_project
from tuning.pipelines.vertex.job import Job, describe
from tuning.pipelines.vertex.template import Template
from tuning.settings import Settings

if TYPE_CHECKING:
    from google.cloud.aiplatform import PipelineJob

FailurePolicy = Literal["slow", "fast"]
CREATE_TIMEOUT = 120.0  # seconds to wait for the answer to a create request
_MAY_RUN_AGAIN = frozenset({"FAILED", "CANCELLED"})


@dataclass(frozen=True)
class JobRequest:
    """Hold what a job runs. `parameters` already have the types that the template declares.

    The hash in the job's ID covers `identity` instead of `parameters` and `display_name`. `identity` must omit values
    that change with each request, such as the date in a display name, so that a repeated request is the same job.
    """

    template: Template
    parameters: Mapping[str, Any]
    display_name: str
    pipeline_root: str
    identity: Mapping[str, Any]
    labels: Mapping[str, str] = field(default_factory=dict)
    caching: bool = True
    failure_policy: FailurePolicy = "slow"


def submit(settings: Settings, request: JobRequest, again: bool = False) -> tuple[Job, bool]:
    """Submit the job without waiting for it. Return the job and whether it is new.

    If the same job is running or has succeeded, that job is returned. If it failed or was cancelled, or if it has ended
    and `again` is set, a new attempt is submitted with the next number. Raises TuningError if the service cannot be
    reached or refuses the job.
    """
    with google_errors("submitting the pipeline job"), connected(settings):
        stem = job_id(settings, request)
        attempt, found = 1, _find(settings, f"{stem}-1")
        while found and (newer := _find(settings, f"{stem}-{attempt + 1}")):
            attempt, found = attempt + 1, newer
        if found and found.state not in _MAY_RUN_AGAIN and not (again and found.ended):
            return found, False
        name = f"{stem}-{attempt + 1 if found else attempt}"
        created = _create(request, name)
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
        "caching": request.caching,
        "failure_policy": request.failure_policy,
        "identity": request.identity,
    }
    digest = hashlib.sha256(orjson.dumps(facts, option=orjson.OPT_SORT_KEYS)).hexdigest()[:12]
    return f"{_slug(request.template.name)[:100].rstrip('-')}-{digest}"


def get_job(settings: Settings, name: str | None = None) -> Job:
    """Return the job with the ID `name`, or the newest job without `name`. Raises TuningError if there is none."""
    with google_errors("reading the pipeline job"), connected(settings):
        if name:
            job = _find(settings, name)
            if job is None:
                raise TuningError(f"there is no pipeline job {name} in {settings.project}, {settings.region}")
            return job
        from google.cloud.aiplatform import PipelineJob

        jobs = backoff()(PipelineJob.list)(order_by="create_time desc")
        if not jobs:
            raise TuningError(
                f"there is no pipeline job in {settings.project}, {settings.region}", "Run `invoke submit` to start one"
            )
        return describe(settings, jobs[0])


def cancel(settings: Settings, name: str) -> Job:
    """Ask the service to cancel the job and return the job. The service does not guarantee that it stops.

    Raises TuningError if the job does not exist or has already ended.
    """
    with google_errors(f"cancelling the pipeline job {name}"), connected(settings):
        job = _find(settings, name)
        if job is None:
            raise TuningError(f"there is no pipeline job {name} in {settings.project}, {settings.region}")
        if job.ended:
            raise TuningError(f"the pipeline job {name} has already ended ({job.state})")
        backoff()(_resource(settings, name).cancel)()
        return _get(settings, name)


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


@contextlib.contextmanager
def connected(settings: Settings) -> Iterator[None]:
    """Configure Google's library with the project, region and server of the settings.

    The configuration lasts until the process ends. Raises TuningError if the project or the credentials are missing.
    """
    require_project(settings)
    quiet()
    from google.cloud import aiplatform

    aiplatform.init(
        project=settings.project,
        location=settings.region,
        credentials=credentials(settings.vertex_endpoint, settings),
        api_endpoint=settings.vertex_endpoint or None,
        api_transport="rest",
        encryption_spec_key_name=settings.kms_key or None,
        network=settings.network or None,
        service_account=settings.service_account or None,
    )
    yield


def quiet() -> None:
    """Keep Google's library from printing each call to standard output.

    The library prints unless its logger has a handler before the library is imported.
    """
    logger = logging.getLogger("google.cloud.aiplatform")
    if not logger.handlers:
        handler = logging.StreamHandler()
        handler.setLevel(logging.WARNING)
        logger.addHandler(handler)


def pipeline_job(request: JobRequest, name: str) -> "PipelineJob":
    """Return Google's PipelineJob for the request.

    It is built from the template in `request`, so the template is not downloaded a second time.
    """
    from google.cloud.aiplatform import PipelineJob

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pipeline.json"
        path.write_bytes(orjson.dumps(request.template.spec))
        job = PipelineJob(
            display_name=request.display_name,
            template_path=str(path),
            job_id=name,
            pipeline_root=request.pipeline_root,
            parameter_values=dict(request.parameters),
            enable_caching=request.caching,
            labels=dict(request.labels),
            failure_policy=request.failure_policy,
        )
    if request.template.uri.startswith("https://"):
        # PipelineJob sets this field only if it downloads the template itself.
        job._gca_resource.template_uri = request.template.uri
    return job


def _create(request: JobRequest, name: str) -> bool:
    """Create the job once and return True. Return False if another process created it first.

    Retries are safe. If the server accepted a try before the connection broke, the next try gets a conflict with the
    job of that try, which counts as success.
    """
    from google.api_core.exceptions import Conflict  # the REST transport's error for HTTP 409
    from google.cloud.aiplatform.utils import gcs_utils

    job = pipeline_job(request, name)
    tries = 0

    def attempt() -> bool:
        nonlocal tries
        tries += 1
        try:
            job.submit(create_request_timeout=CREATE_TIMEOUT)
        except Conflict:
            return tries > 1
        return True

    # submit() would create a missing bucket, grant roles on it, and ask another API for its owner. The patch prevents
    # that, because `invoke cloud.init` creates and checks the bucket.
    with mock.patch.object(gcs_utils, "create_gcs_bucket_for_pipeline_artifacts_if_it_does_not_exist"):
        return backoff()(attempt)()


def _find(settings: Settings, name: str) -> Job | None:
    from google.api_core.exceptions import NotFound

    if not re.fullmatch(r"[a-z][-a-z0-9]{0,127}", name):
        raise TuningError(f"{name!r} is not the ID of a pipeline job", "Run `invoke status` to see the newest job")
    try:
        return _get(settings, name)
    except NotFound:
        return None


def _get(settings: Settings, name: str) -> Job:
    return describe(settings, _resource(settings, name))


def _resource(settings: Settings, name: str) -> "PipelineJob":
    from google.cloud.aiplatform import PipelineJob

    return backoff()(PipelineJob.get)(f"projects/{settings.project}/locations/{settings.region}/pipelineJobs/{name}")


def label(text: str) -> str:
    """Return `text` as a label: lower-case letters, digits, dashes and underscores, at most 63 characters."""
    return re.sub(r"[^a-z0-9_-]+", "-", text.lower())[:63].strip("-")


def _slug(text: str) -> str:
    slug = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    return slug if slug[:1].isalpha() else f"job-{slug}"
