"""List the APIs, permissions, roles and bucket settings that a Google Cloud project needs."""

from collections.abc import Mapping
from typing import Any

from tuning.settings import Settings

APIS = (
    "aiplatform.googleapis.com",
    "artifactregistry.googleapis.com",
    "bigquery.googleapis.com",
    "storage.googleapis.com",
)
BUCKET_READER = "roles/storage.legacyBucketReader"  # roles/storage.objectUser may not read the bucket's settings
# The permissions that the user who submits jobs needs, each with the smallest predefined role that contains it.
PROJECT_PERMISSIONS = {
    "bigquery.jobs.create": "roles/bigquery.jobUser",
    "bigquery.datasets.create": "roles/bigquery.user",
    "aiplatform.pipelineJobs.create": "roles/aiplatform.user",
    "aiplatform.pipelineJobs.cancel": "roles/aiplatform.user",
    "aiplatform.schedules.create": "roles/aiplatform.user",
    "aiplatform.tuningJobs.create": "roles/aiplatform.user",
    "aiplatform.endpoints.predict": "roles/aiplatform.user",
    "serviceusage.services.use": "roles/serviceusage.serviceUsageConsumer",  # the project pays for a person's requests
}
BUCKET_PERMISSIONS = {
    "storage.buckets.get": BUCKET_READER,
    "storage.objects.create": "roles/storage.objectUser",
    "storage.objects.get": "roles/storage.objectUser",
    "storage.objects.list": "roles/storage.objectUser",
    "storage.objects.delete": "roles/storage.objectUser",
}
ACT_AS = "iam.serviceAccounts.actAs"
# Working files that a run can create again. Datasets and models have other prefixes.
STAGING_PREFIXES = ("load/", "parts/", "pipelines/", "requests/", "snapshots/")
# A job takes outputs of earlier jobs from Vertex AI's cache for at most this many days. The working files live longer
# than two such periods, so that a job that starts at the end of one still finds its inputs if it takes weeks.
CACHE_DAYS = 21
STAGING_DAYS = 60
REPOSITORY = "python-qa"


def staging_rule() -> dict[str, Any]:
    """Return the bucket's rule that deletes old working files. It does not delete datasets and models."""
    condition = {"age": STAGING_DAYS, "matchesPrefix": list(STAGING_PREFIXES)}
    return {"action": {"type": "Delete"}, "condition": condition}


def is_own_rule(rule: Mapping[str, Any]) -> bool:
    """Return whether `cloud.init` made the rule of a bucket, now or in an earlier version with another age."""
    condition = rule["condition"]
    prefixes = condition.get("matchesPrefix", [])
    is_about_age = set(condition) == {"age", "matchesPrefix"}
    return rule["action"]["type"] == "Delete" and is_about_age and set(prefixes) <= set(STAGING_PREFIXES)


def deletes_too_early(rule: Mapping[str, Any]) -> bool:
    """Return whether the rule of a bucket deletes files that a job may still read from Vertex AI's cache."""
    condition = rule["condition"]
    prefixes = condition.get("matchesPrefix", [""])
    touches = any(own.startswith(prefix) or prefix.startswith(own) for own in STAGING_PREFIXES for prefix in prefixes)
    return rule["action"]["type"] == "Delete" and touches and condition.get("age", STAGING_DAYS) < STAGING_DAYS


def contains(outer: str, inner: str) -> bool:
    """Return whether BigQuery in the location `outer` can export to Cloud Storage in the location `inner`.

    A multi-region can export to each of its regions:
    https://cloud.google.com/bigquery/docs/exporting-data#data-locations
    """
    outer, inner = outer.upper(), inner.upper()
    prefix = {"US": "US-", "EU": "EUROPE-"}.get(outer)
    return inner == outer or (prefix is not None and inner.startswith(prefix))


def repository_path(settings: Settings) -> str:
    """Return the address of the Artifact Registry repository for the image of the pipeline steps."""
    return f"{settings.region}-docker.pkg.dev/{settings.project}/{REPOSITORY}"


def runner_account(settings: Settings) -> str:
    """Return the service account of pipeline runs: the setting, or else the account that `cloud.init` proposes."""
    return settings.service_account or f"python-qa-runner@{settings.project}.iam.gserviceaccount.com"


def grants(settings: Settings) -> list[str]:
    """Return the gcloud commands that grant the smallest roles that a run and a user need.

    They are only printed, because the project's owner decides who gets access.
    """
    account = runner_account(settings)
    runner, person = f"serviceAccount:{account}", "user:YOU@EXAMPLE.COM"
    project, bucket = settings.project, f"gs://{settings.bucket}"

    def on_project(member: str, role: str) -> str:
        return f"gcloud projects add-iam-policy-binding {project} --member={member} --role={role} --condition=None"

    def on_bucket(member: str, role: str) -> str:
        return f"gcloud storage buckets add-iam-policy-binding {bucket} --member={member} --role={role}"

    def on_repository(member: str, role: str) -> str:
        return (
            f"gcloud artifacts repositories add-iam-policy-binding {REPOSITORY} --project={project} "
            f"--location={settings.region} --member={member} --role={role}"
        )

    create = (
        [] if settings.service_account else [f"gcloud iam service-accounts create python-qa-runner --project={project}"]
    )
    return [
        *create,
        on_project(runner, "roles/aiplatform.user"),
        on_bucket(runner, "roles/storage.objectUser"),
        on_repository(runner, "roles/artifactregistry.reader"),
        *(on_project(person, role) for role in sorted(set(PROJECT_PERMISSIONS.values()))),
        *(on_bucket(person, role) for role in sorted(set(BUCKET_PERMISSIONS.values()))),
        on_repository(person, "roles/artifactregistry.writer"),  # to push the image
        # Whoever creates the dataset owns it; others need this to build into it.
        f"bq query --nouse_legacy_sql 'GRANT `roles/bigquery.dataEditor` ON SCHEMA "
        f'`{project}`.`{settings.bigquery_dataset}` TO "{person}"\'',
        f"gcloud iam service-accounts add-iam-policy-binding {account} --project={project} --member={person} "
        "--role=roles/iam.serviceAccountUser",
        *_on_key(settings),
    ]


def _on_key(settings: Settings) -> list[str]:
    """Return the command that lets Vertex AI use the key of the settings, or none without a key."""
    if not settings.kms_key:
        return []
    number = f"$(gcloud projects describe {settings.project} --format='value(projectNumber)')"
    return [
        f"gcloud kms keys add-iam-policy-binding {settings.kms_key} "
        f"--member=serviceAccount:service-{number}@gcp-sa-aiplatform.iam.gserviceaccount.com "
        "--role=roles/cloudkms.cryptoKeyEncrypterDecrypter"
    ]
