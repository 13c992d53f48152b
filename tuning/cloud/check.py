"""Check whether a Google Cloud project is ready, and name the command that fixes each problem. Change nothing."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import requests

from tuning.cloud.apis import call
from tuning.cloud.required import (
    APIS,
    GRANTS,
    REPOSITORY,
    STAGING_DAYS,
    TEMPLATES,
    Resource,
    contains,
    deletes_too_early,
    grant_command,
    is_own_rule,
    permissions_on,
    repository_path,
)
from tuning.findings import Finding
from tuning.gcs.access import credentials, google_errors
from tuning.gcs.object_file import client as storage_client
from tuning.settings import Settings
from tuning.target import find_target
from tuning.tuners.gemini.models import SERVED_FROM
from tuning.warehouse.client import connect

# https://cloud.google.com/artifact-registry/docs/docker/names
_ARTIFACT = re.compile(r"([\w-]+)-docker\.pkg\.dev/([^/]+)/([^/]+)/([^@]+@sha256:[0-9a-f]{64})")
_MANAGER = "https://cloudresourcemanager.googleapis.com/v3/projects"
INIT = "invoke cloud.init --target gcp"


def check(settings: Settings) -> Iterator[Finding]:
    """Yield the result of each check as soon as it is known.

    Raises TuningError if the target is local, if the project or bucket is still the local default, if there are no
    usable credentials, or if Google cannot be reached.
    """
    find_target(settings).require_google()
    credentials(settings.google_endpoint, settings)
    number = ""
    for part in (_project, _billing, _apis, _permissions):
        for finding, value in _seen(part, settings):
            number = value or number
            yield finding
    yield from _bucket(settings, number)
    yield from _dataset(settings)
    yield _region(settings)
    for part in (_account, _repositories, _image):
        yield from (finding for finding, _ in _seen(part, settings))


_Part = Callable[[Settings], Iterator[tuple[Finding, str]]]


def _seen(part: _Part, settings: Settings) -> Iterator[tuple[Finding, str]]:
    """Yield the findings of `part`, each with the project's number or ''.

    If Google refuses to answer, yield an "unseen" finding. Raises TuningError if Google cannot be reached.
    """
    with google_errors("checking the project"):
        try:
            yield from part(settings)
        except requests.HTTPError as error:
            name = part.__name__.strip("_")
            what = f"{name}: Google refused to answer (HTTP {error.response.status_code})"
            hint = LOOK if error.response.status_code != 401 else "gcloud auth application-default login"
            yield Finding("unseen", what, hint), ""


LOOK = "ask the project's owner for roles/browser and roles/serviceusage.serviceUsageConsumer"


def _project(settings: Settings) -> Iterator[tuple[Finding, str]]:
    found = call(settings, "GET", f"{_MANAGER}/{settings.project}")
    active = found.get("state") == "ACTIVE"
    what = f"project {settings.project} is {str(found.get('state', 'unknown')).lower()}"
    hint = "" if active else f"gcloud projects undelete {settings.project}"
    yield Finding("right" if active else "wrong", what, hint), str(found["name"]).rpartition("/")[2]


def _billing(settings: Settings) -> Iterator[tuple[Finding, str]]:
    url = f"https://cloudbilling.googleapis.com/v1/projects/{settings.project}/billingInfo"
    if call(settings, "GET", url).get("billingEnabled"):
        yield Finding("right", "billing is on"), ""
    else:
        hint = f"gcloud billing projects link {settings.project} --billing-account=ACCOUNT"
        yield Finding("wrong", "billing is off", hint), ""


def _apis(settings: Settings) -> Iterator[tuple[Finding, str]]:
    parent = f"projects/{settings.project}"
    names = [f"{parent}/services/{api}" for api in APIS]
    url = f"https://serviceusage.googleapis.com/v1/{parent}/services:batchGet"
    services = call(settings, "GET", url, query={"names": names}).get("services", [])
    enabled = {str(one["name"]).rpartition("/")[2] for one in services if one.get("state") == "ENABLED"}
    for api in APIS:
        if api in enabled:
            yield Finding("right", f"{api} is enabled"), ""
        else:
            hint = f"gcloud services enable {api} --project={settings.project}"
            yield Finding("wrong", f"{api} is not enabled", hint), ""


def _permissions(settings: Settings) -> Iterator[tuple[Finding, str]]:
    url = f"{_MANAGER}/{settings.project}:testIamPermissions"
    for finding in _compare(settings, "project", _held(settings, "project", url), "in the project"):
        yield finding, ""


def _held(settings: Settings, resource: Resource, url: str) -> list[str]:
    """Return which of the permissions that the user needs on a resource the user has."""
    held: list[str] = call(settings, "POST", url, body={"permissions": [*permissions_on(resource)]}).get(
        "permissions", []
    )
    return held


def _compare(settings: Settings, resource: Resource, held: list[str], where: str) -> Iterator[Finding]:
    wanted = permissions_on(resource)
    missing = [permission for permission in wanted if permission not in held]
    if not missing:
        yield Finding("right", f"you have all {len(wanted)} permissions {where}")
    for role in sorted({wanted[permission] for permission in missing}):
        names = ", ".join(permission for permission in missing if wanted[permission] == role)
        yield Finding("wrong", f"missing {where}: {names}", _command(settings, resource, role))


def _command(settings: Settings, resource: Resource, role: str) -> str:
    """Return the command that gives the user a role on a resource."""
    (grant,) = (one for one in GRANTS if (one.member, one.resource, one.role) == ("user", resource, role))
    return grant_command(settings, grant)


def _bucket(settings: Settings, number: str) -> Iterator[Finding]:
    from google.api_core.exceptions import Forbidden

    name = f"gs://{settings.bucket}"
    with google_errors(f"reading the settings of {name}"):
        try:
            bucket = storage_client(settings).lookup_bucket(settings.bucket)
        except Forbidden:
            what = f"{name} belongs to somebody else (choose another TUNING_BUCKET), or you may not read its settings"
            yield Finding("wrong", what, _command(settings, "bucket", permissions_on("bucket")["storage.buckets.get"]))
            return
        if bucket is None:
            yield Finding("wrong", f"there is no bucket {name}", INIT)
            return
        if number and str(bucket.project_number) != number:
            yield Finding("wrong", f"{name} belongs to another project", "choose another TUNING_BUCKET")
        yield from _bucket_settings(settings, bucket)
        held = bucket.test_iam_permissions([*permissions_on("bucket")])
        yield from _compare(settings, "bucket", held, f"on {name}")


def _bucket_settings(settings: Settings, bucket: Any) -> Iterator[Finding]:
    where = f"gs://{settings.bucket} is in {bucket.location}"
    if contains(settings.location, bucket.location):
        yield Finding("right", f"{where}, which accepts exports from BigQuery in {settings.location}")
    else:
        what = f"{where}, which does not accept exports from BigQuery in {settings.location}"
        yield Finding("wrong", what, f"choose another TUNING_BUCKET, then {INIT}")
    configuration = bucket.iam_configuration
    closed = configuration.uniform_bucket_level_access_enabled and configuration.public_access_prevention == "enforced"
    what = "has uniform access and public access prevention" if closed else "allows object ACLs or public access"
    yield Finding("right" if closed else "wrong", f"gs://{settings.bucket} {what}", "" if closed else INIT)
    early = [dict(rule) for rule in bucket.lifecycle_rules if deletes_too_early(dict(rule))]
    what = f"gs://{settings.bucket} keeps working files for at least {STAGING_DAYS} days"
    if early:
        what = f"gs://{settings.bucket} deletes working files after {early[0]['condition']['age']} days: too early"
    foreign = [rule for rule in early if not is_own_rule(rule)]
    hint = f"remove that rule: gcloud storage buckets update gs://{settings.bucket} --lifecycle-file=FILE"
    yield Finding("wrong" if early else "right", what, (hint if foreign else INIT) if early else "")


def _dataset(settings: Settings) -> Iterator[Finding]:
    from google.api_core.exceptions import NotFound

    if settings.raw_database == "bigquery-public-data" and settings.location != "US":
        what = f"the public dataset is in US, but queries run in {settings.location}"
        yield Finding("wrong", what, "unset TUNING_LOCATION")
    name = f"{settings.project}.{settings.bigquery_dataset}"
    with google_errors(f"reading the BigQuery dataset {name}"):
        try:
            dataset = connect(settings).get_dataset(name)
        except NotFound:
            yield Finding("wrong", f"there is no BigQuery dataset {name}", INIT)
            return
    same = str(dataset.location).upper() == settings.location.upper()
    what = f"BigQuery dataset {name} is in {dataset.location}"
    yield Finding(
        "right" if same else "wrong", what, "" if same else f"bq rm -r {settings.project}:{settings.bigquery_dataset}"
    )


def _region(settings: Settings) -> Finding:
    if settings.region in SERVED_FROM:
        served = SERVED_FROM[settings.region]
        return Finding("right", f"Gemini tuning is available in {settings.region}; tuned models run in {served}")
    first = next(iter(SERVED_FROM))
    return Finding("wrong", f"Gemini tuning is not available in {settings.region}", f"export TUNING_REGION={first}")


def _account(settings: Settings) -> Iterator[tuple[Finding, str]]:
    if not settings.service_account:
        what = "runs use the project's default service account, which has more permissions than runs need"
        hint = f"{INIT} prints commands that create a restricted account; then set TUNING_SERVICE_ACCOUNT to it"
        yield Finding("wrong", what, hint), ""
        return
    url = f"https://iam.googleapis.com/v1/projects/-/serviceAccounts/{settings.service_account}:testIamPermissions"
    for finding in _compare(settings, "account", _held(settings, "account", url), f"on {settings.service_account}"):
        yield finding, ""


def _repositories(settings: Settings) -> Iterator[tuple[Finding, str]]:
    parent = f"projects/{settings.project}/locations/{settings.region}"
    resources: dict[str, Resource] = {REPOSITORY: "repository", TEMPLATES: "templates"}
    for name, resource in resources.items():
        path, url = (
            repository_path(settings, name),
            f"https://artifactregistry.googleapis.com/v1/{parent}/repositories/{name}",
        )
        try:
            call(settings, "GET", url)
        except requests.HTTPError as error:
            if error.response.status_code != 404:
                raise
            yield Finding("wrong", f"there is no repository {path}", INIT), ""
        else:
            yield Finding("right", f"repository {path} exists"), ""
            held = _held(settings, resource, f"{url}:testIamPermissions")
            for finding in _compare(settings, resource, held, f"on {path}"):
                yield finding, ""


def _image(settings: Settings) -> Iterator[tuple[Finding, str]]:
    """Look for the image of the steps. One that is not in Artifact Registry cannot be looked up."""
    found = _ARTIFACT.fullmatch(settings.image)
    if not found:
        return
    place, project, repository, name = found.groups()
    parent = f"projects/{project}/locations/{place}/repositories/{repository}"
    url = f"https://artifactregistry.googleapis.com/v1/{parent}/dockerImages/{name.replace('/', '%2F')}"
    try:
        call(settings, "GET", url)
    except requests.HTTPError as error:
        if error.response.status_code != 404:
            raise
        yield Finding("wrong", f"there is no image {settings.image}", f"{INIT} prints the commands that push it"), ""
    else:
        yield Finding("right", f"the image {name} exists"), ""
