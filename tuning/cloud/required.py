"""List the APIs, permissions, roles and bucket settings that a Google Cloud project needs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from tuning.settings import Settings

APIS = (
    "aiplatform.googleapis.com",
    "artifactregistry.googleapis.com",
    "bigquery.googleapis.com",
    "storage.googleapis.com",
)
# What `cloud.check` and a person's requests need besides.
SETUP_APIS = (
    "cloudbilling.googleapis.com",
    "cloudresourcemanager.googleapis.com",
    "iam.googleapis.com",
    "serviceusage.googleapis.com",
)
Resource = Literal["project", "bucket", "repository", "templates", "dataset", "account", "key", "secret"]


@dataclass(frozen=True)
class Grant:
    """Hold a role that `member` needs on `resource`.

    `cloud.check` asks whether the user has the `permissions`, which are those that this project uses. It does not ask
    on a BigQuery dataset, a key or a secret, or for other members.
    """

    member: Literal["user", "runner", "vertex"]  # who submits jobs, the account of the runs, Vertex AI's service agent
    resource: Resource
    role: str  # the smallest predefined role that contains the permissions
    permissions: tuple[str, ...] = ()


# `cloud.init` prints these grants, and `cloud.check` compares them with what the user has.
GRANTS = (
    Grant("runner", "project", "roles/aiplatform.user"),
    Grant("runner", "bucket", "roles/storage.objectUser"),
    Grant("runner", "repository", "roles/artifactregistry.reader"),
    # A refresh runs dbt. A build with other variables than the defaults makes a dataset.
    Grant("runner", "project", "roles/bigquery.user"),
    Grant("runner", "dataset", "roles/bigquery.dataEditor"),
    # With --spot, --disk-gb or --nodes, the step that tunes starts a job that runs as the same account.
    Grant("runner", "account", "roles/iam.serviceAccountUser"),
    # Only with TUNING_WEBHOOK_SECRET.
    Grant("runner", "secret", "roles/secretmanager.secretAccessor"),
    Grant(
        "user",
        "project",
        "roles/aiplatform.user",
        (
            "aiplatform.pipelineJobs.create",
            "aiplatform.pipelineJobs.cancel",
            "aiplatform.schedules.create",
            "aiplatform.tuningJobs.create",
            "aiplatform.endpoints.predict",
            # Model Registry: a version, its aliases, its metrics
            "aiplatform.models.upload",
            "aiplatform.models.update",
            "aiplatform.modelEvaluations.import",
            # Vertex AI Experiments
            "aiplatform.metadataStores.create",
            "aiplatform.metadataStores.get",
            "aiplatform.contexts.create",
            "aiplatform.contexts.get",
            "aiplatform.contexts.update",
            "aiplatform.contexts.addContextChildren",
            # `invoke deploy`
            "aiplatform.endpoints.create",
            "aiplatform.endpoints.get",
            "aiplatform.endpoints.update",
            "aiplatform.endpoints.deploy",
            "aiplatform.endpoints.undeploy",
        ),
    ),
    Grant("user", "project", "roles/bigquery.jobUser", ("bigquery.jobs.create",)),
    Grant("user", "project", "roles/bigquery.user", ("bigquery.datasets.create",)),
    # The project pays for a person's requests.
    Grant("user", "project", "roles/serviceusage.serviceUsageConsumer", ("serviceusage.services.use",)),
    # roles/storage.objectUser may not read the bucket's settings.
    Grant("user", "bucket", "roles/storage.legacyBucketReader", ("storage.buckets.get",)),
    Grant(
        "user",
        "bucket",
        "roles/storage.objectUser",
        ("storage.objects.create", "storage.objects.get", "storage.objects.list", "storage.objects.delete"),
    ),
    # To push the image.
    Grant(
        "user",
        "repository",
        "roles/artifactregistry.writer",
        ("artifactregistry.repositories.get", "artifactregistry.repositories.uploadArtifacts"),
    ),
    # To upload the compiled pipelines.
    Grant(
        "user",
        "templates",
        "roles/artifactregistry.writer",
        ("artifactregistry.repositories.get", "artifactregistry.repositories.uploadArtifacts"),
    ),
    # Whoever creates the dataset owns it; others need this to build into it.
    Grant("user", "dataset", "roles/bigquery.dataEditor"),
    Grant("user", "account", "roles/iam.serviceAccountUser", ("iam.serviceAccounts.actAs",)),
    # Only with TUNING_KMS_KEY.
    Grant("vertex", "key", "roles/cloudkms.cryptoKeyEncrypterDecrypter"),
)


def permissions_on(resource: Resource) -> dict[str, str]:
    """Return the permissions that the user needs on a resource, each with the role that contains it."""
    needed = (grant for grant in GRANTS if (grant.member, grant.resource) == ("user", resource))
    return {permission: grant.role for grant in needed for permission in grant.permissions}


# Working files that a run can create again. Datasets and models have other prefixes.
STAGING_PREFIXES = ("load/", "parts/", "pipelines/", "requests/", "snapshots/")
# A job takes outputs of earlier jobs from Vertex AI's cache for at most this many days. The working files live longer
# than two such periods, so that a job that starts at the end of one still finds its inputs if it takes weeks.
CACHE_DAYS = 21
STAGING_DAYS = 60
REPOSITORY = "python-qa"  # of the image
TEMPLATES = "python-qa-templates"  # of the compiled pipelines
FORMATS = {REPOSITORY: "DOCKER", TEMPLATES: "KFP"}  # of the repositories of Artifact Registry
RUNNER = "python-qa-runner"


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


def repository_path(settings: Settings, name: str = REPOSITORY) -> str:
    """Return the address of a repository of Artifact Registry, without ``https://``."""
    return f"{settings.region}-{FORMATS[name].lower()}.pkg.dev/{settings.project}/{name}"


def runner_account(settings: Settings) -> str:
    """Return the service account of pipeline runs: the setting, or else the account that `cloud.init` proposes."""
    return settings.service_account or f"{RUNNER}@{settings.project}.iam.gserviceaccount.com"


def grants(settings: Settings) -> list[str]:
    """Return the gcloud commands for the GRANTS, after those that make the accounts that get roles.

    They are only printed, because the project's owner decides who gets access.
    """
    made = []
    if not settings.service_account:
        made.append(f"gcloud iam service-accounts create {RUNNER} --project={settings.project}")
    if settings.kms_key:  # before the first use of Vertex AI, its service agent does not exist
        made.append(
            f"gcloud beta services identity create --service=aiplatform.googleapis.com --project={settings.project}"
        )
    absent = {name for name, value in {"key": settings.kms_key, "secret": settings.webhook_secret}.items() if not value}
    return made + [grant_command(settings, grant) for grant in GRANTS if grant.resource not in absent]


def grant_command(settings: Settings, grant: Grant) -> str:
    """Return the gcloud command for a grant."""
    project, account = settings.project, runner_account(settings)
    number = f"$(gcloud projects describe {project} --format='value(projectNumber)')"
    member = {
        "user": "user:YOU@EXAMPLE.COM",
        "runner": f"serviceAccount:{account}",
        "vertex": f"serviceAccount:service-{number}@gcp-sa-aiplatform.iam.gserviceaccount.com",
    }[grant.member]
    if grant.resource == "dataset":
        return (
            f"bq query --nouse_legacy_sql 'GRANT `{grant.role}` ON SCHEMA "
            f'`{project}`.`{settings.bigquery_dataset}` TO "{member}"\''
        )
    repositories = "artifacts repositories add-iam-policy-binding"
    before, after = {
        "project": (f"projects add-iam-policy-binding {project}", " --condition=None"),
        "bucket": (f"storage buckets add-iam-policy-binding gs://{settings.bucket}", ""),
        "repository": (f"{repositories} {REPOSITORY}", f" --project={project} --location={settings.region}"),
        "templates": (f"{repositories} {TEMPLATES}", f" --project={project} --location={settings.region}"),
        "account": (f"iam service-accounts add-iam-policy-binding {account}", f" --project={project}"),
        "key": (f"kms keys add-iam-policy-binding {settings.kms_key}", ""),
        "secret": (f"secrets add-iam-policy-binding {settings.webhook_secret}", f" --project={project}"),
    }[grant.resource]
    return f"gcloud {before} --member={member} --role={grant.role}{after}"
