"""Create the bucket, BigQuery dataset and repositories of a project. Print the commands that grant access."""

import time
from collections.abc import Iterator
from typing import Any

import requests

from tuning.cloud.apis import call
from tuning.cloud.required import (
    FORMATS,
    STAGING_DAYS,
    contains,
    grants,
    is_own_rule,
    repository_path,
    staging_rule,
)
from tuning.errors import TuningError
from tuning.gcs.access import backoff, google_errors
from tuning.gcs.object_file import client as storage_client
from tuning.machine import package_version
from tuning.settings import Settings
from tuning.target import find_target
from tuning.warehouse.client import connect

_LONGEST_OPERATION = 600.0  # seconds


def init(settings: Settings) -> Iterator[str]:
    """Create what is missing, correct settings that differ, and yield a line for each resource.

    A second run changes nothing. The lines end with the commands that grant roles, which this function never runs.
    Raises TuningError if the target is local, if a location does not fit, or if Google refuses a call.
    """
    find_target(settings).require_google()
    yield from _bucket(settings)
    yield from _dataset(settings)
    yield from _repositories(settings)
    yield "the project's owner must run these commands (nothing was granted):"
    yield from (f"  {command}" for command in grants(settings))
    yield "each of you then runs this, so that the project pays for your requests:"
    yield f"  gcloud auth application-default set-quota-project {settings.project}"
    yield "build and push the image of the pipeline steps:"
    image = f"{repository_path(settings)}/tuning:{package_version()}"
    yield f"  gcloud auth configure-docker {image.partition('/')[0]} --quiet"
    yield f"  docker build --platform linux/amd64 -t {image} . && docker push {image}"
    yield f"  export TUNING_IMAGE=$(docker inspect --format '{{{{index .RepoDigests 0}}}}' {image})"


def _bucket(settings: Settings) -> Iterator[str]:
    name = f"gs://{settings.bucket}"
    with google_errors(f"creating {name}"):
        client = storage_client(settings)
        bucket = client.lookup_bucket(settings.bucket, retry=backoff())
        created = bucket is None
        if bucket is None:
            bucket = client.bucket(settings.bucket)
            _restrict_access(bucket)
            bucket.lifecycle_rules = [staging_rule()]
            bucket.create(location=settings.region)
            bucket.reload()
        if not contains(settings.location, bucket.location) and not created:
            raise TuningError(
                f"{name} is in {bucket.location}, and BigQuery in {settings.location} cannot export to that location",
                "Set TUNING_BUCKET to the name of a new bucket",
            )
        changed = _changes(bucket)
        if changed:
            _restrict_access(bucket)
            if "lifecycle" in changed:
                kept = [rule for rule in bucket.lifecycle_rules if not is_own_rule(dict(rule))]
                bucket.lifecycle_rules = [*kept, staging_rule()]
            bucket.patch()
    if created:
        rules = f"uniform access, no public access, working files deleted after {STAGING_DAYS} days"
        yield f"created bucket {name} in {settings.region}: {rules}"
    else:
        yield f"bucket {name}: {'set ' + ', '.join(changed) if changed else 'exists, nothing to change'}"


def _restrict_access(bucket: Any) -> None:
    bucket.iam_configuration.uniform_bucket_level_access_enabled = True
    bucket.iam_configuration.public_access_prevention = "enforced"


def _changes(bucket: Any) -> list[str]:
    configuration = bucket.iam_configuration
    differs = {
        "uniform access": not configuration.uniform_bucket_level_access_enabled,
        "public access prevention": configuration.public_access_prevention != "enforced",
        "lifecycle": [dict(rule) for rule in bucket.lifecycle_rules if is_own_rule(dict(rule))] != [staging_rule()],
    }
    return [name for name, is_different in differs.items() if is_different]


def _dataset(settings: Settings) -> Iterator[str]:
    from google.api_core.exceptions import NotFound
    from google.cloud import bigquery

    name = f"{settings.project}.{settings.bigquery_dataset}"
    with google_errors(f"creating the BigQuery dataset {name}"):
        client = connect(settings)
        try:
            existing = client.get_dataset(name)
        except NotFound:
            dataset = bigquery.Dataset(name)
            dataset.location = settings.location
            client.create_dataset(dataset, exists_ok=True)
            yield f"created BigQuery dataset {name} in {settings.location}"
        else:
            if str(existing.location).upper() != settings.location.upper():
                raise TuningError(
                    f"BigQuery dataset {name} is in {existing.location}, but queries run in {settings.location}",
                    "Set TUNING_BIGQUERY_DATASET to the name of a new dataset",
                )
            yield f"BigQuery dataset {name}: exists, nothing to change"


def _repositories(settings: Settings) -> Iterator[str]:
    parent = f"https://artifactregistry.googleapis.com/v1/projects/{settings.project}/locations/{settings.region}"
    for name, kind in FORMATS.items():
        path = repository_path(settings, name)
        with google_errors(f"creating the repository {path}"):
            try:
                call(settings, "GET", f"{parent}/repositories/{name}")
            except requests.HTTPError as error:
                if error.response.status_code != 404:
                    raise
                body = {"format": kind, "description": f"{kind} of python-qa"}
                operation = call(settings, "POST", f"{parent}/repositories", body=body, query={"repositoryId": name})
                _wait(settings, operation, path)
                yield f"created repository {path}"
            else:
                yield f"repository {path}: exists, nothing to change"


def _wait(settings: Settings, operation: dict[str, Any], path: str) -> None:
    """Wait until the repository is made. Raises TuningError if Google reports an error, or after ten minutes."""
    deadline = time.monotonic() + _LONGEST_OPERATION
    while not operation.get("done"):
        if time.monotonic() > deadline:
            raise TuningError(f"{operation['name']} is still not done", "Run `invoke cloud.init` again later")
        time.sleep(min(settings.poll_seconds, 5))
        operation = call(settings, "GET", f"https://artifactregistry.googleapis.com/v1/{operation['name']}")
    if "error" in operation:
        why = operation["error"].get("message", "no reason given")
        raise TuningError(f"creating the repository {path}: {why}")
