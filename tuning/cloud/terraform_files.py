"""Write what `cloud.init` makes and the grants that it prints as Terraform, in its JSON syntax.

``python -m tuning.cloud.terraform_files`` writes the file of the folder ``terraform/`` again.
"""

from pathlib import Path
from typing import Any

import orjson

from tuning.cloud.required import (
    APIS,
    FORMATS,
    GRANTS,
    REPOSITORY,
    RUNNER,
    SETUP_APIS,
    STAGING_DAYS,
    STAGING_PREFIXES,
    TEMPLATES,
    Resource,
)
from tuning.settings import Settings

FILE = Path(__file__).parent / "terraform" / "main.tf.json"
DEPLOYER = "python-qa-deployer"  # the account of the workflow
_GITHUB = "https://token.actions.githubusercontent.com"
_OTHER_APIS = ("iamcredentials.googleapis.com", "monitoring.googleapis.com", "sts.googleapis.com")  # workflow and alert
_NOTE = (
    "Made by `python -m tuning.cloud.terraform_files` from tuning/cloud/required.py. Set the variables in a "
    "terraform.tfvars of your own."
)
_FAILED = (
    'resource.type="aiplatform.googleapis.com/PipelineJob" AND log_id("aiplatform.googleapis.com/pipeline_job_events") '
    'AND jsonPayload.state="PIPELINE_STATE_FAILED"'
)
# Which resource grants a role on what, with the arguments that name what.
_ON: dict[Resource, tuple[str, dict[str, str]]] = {
    "project": ("google_project_iam_member", {"project": "${var.project}"}),
    "bucket": ("google_storage_bucket_iam_member", {"bucket": "${google_storage_bucket.bucket.name}"}),
    "repository": (
        "google_artifact_registry_repository_iam_member",
        {
            "location": "${google_artifact_registry_repository.images.location}",
            "repository": "${google_artifact_registry_repository.images.name}",
        },
    ),
    "templates": (
        "google_artifact_registry_repository_iam_member",
        {
            "location": "${google_artifact_registry_repository.templates.location}",
            "repository": "${google_artifact_registry_repository.templates.name}",
        },
    ),
    "dataset": ("google_bigquery_dataset_iam_member", {"dataset_id": "${google_bigquery_dataset.dataset.dataset_id}"}),
    "account": ("google_service_account_iam_member", {"service_account_id": "${google_service_account.runner.name}"}),
    "key": ("google_kms_crypto_key_iam_member", {"crypto_key_id": "${var.kms_key}"}),
    "secret": ("google_secret_manager_secret_iam_member", {"secret_id": "${var.webhook_secret}"}),
}
_MEMBERS = {
    "runner": "${google_service_account.runner.member}",
    "vertex": "serviceAccount:service-${data.google_project.project.number}@gcp-sa-aiplatform.iam.gserviceaccount.com",
}
_ONLY_WITH = {"key": "kms_key", "secret": "webhook_secret"}  # the variable without which there is no such grant


def configuration() -> dict[str, Any]:
    """Return the content of the file, as Terraform's JSON syntax has it."""
    default = Settings()
    return {
        "//": _NOTE,
        "terraform": {
            "required_version": ">= 1.5",
            "required_providers": {"google": {"source": "hashicorp/google", "version": ">= 6.0, < 8.0"}},
        },
        "variable": {
            "project": _variable("Google Cloud project (TUNING_PROJECT)"),
            "bucket": _variable("bucket (TUNING_BUCKET)"),
            "region": _variable("region of Vertex AI, bucket and images (TUNING_REGION)", default.region),
            "location": _variable("location of BigQuery (TUNING_LOCATION)", default.location),
            "bigquery_dataset": _variable("dataset (TUNING_BIGQUERY_DATASET)", default.bigquery_dataset),
            "team": _variable("who submits jobs, such as user:YOU@EXAMPLE.COM", [], "list(string)"),
            "kms_key": _variable("Cloud KMS key (TUNING_KMS_KEY), or empty", ""),
            "webhook_secret": _variable("secret with the webhook (TUNING_WEBHOOK_SECRET), or empty", ""),
            "notification_channels": _variable("channels of the alert for failed runs", [], "list(string)"),
            "github_repository": _variable("OWNER/NAME whose workflow may deploy from main, or empty", ""),
        },
        "locals": {
            "deployer": f"serviceAccount:{DEPLOYER}@${{var.project}}.iam.gserviceaccount.com",
            "is_github": '${var.github_repository == "" ? 0 : 1}',
            "people": '${toset(concat(var.team, var.github_repository == "" ? [] : [local.deployer]))}',
        },
        "provider": {
            "google": {
                "project": "${var.project}",
                "region": "${var.region}",
                "billing_project": "${var.project}",
                "user_project_override": True,
            }
        },
        "data": {"google_project": {"project": {"project_id": "${var.project}"}}},
        "resource": _merged(_storage(), _grants(), _github(), _alert()),
        "output": {
            "TUNING_SERVICE_ACCOUNT": {"value": "${google_service_account.runner.email}"},
            "WORKLOAD_PROVIDER": {"value": "${google_iam_workload_identity_pool_provider.github[*].name}"},
            "DEPLOYER": {"value": "${google_service_account.deployer[*].email}"},
        },
    }


def _variable(description: str, default: Any = None, kind: str = "string") -> dict[str, Any]:
    return {"type": kind, "description": description} | ({} if default is None else {"default": default})


def _storage() -> dict[str, Any]:
    """Return the resources that hold something: APIs, bucket, dataset, repositories and the account of the runs."""
    enabled = {"depends_on": ["google_project_service.apis"]}
    kept = {"lifecycle": {"prevent_destroy": True}}
    return {
        "google_project_service": {
            "apis": {
                "for_each": f"${{toset({_list(sorted((*APIS, *SETUP_APIS, *_OTHER_APIS)))})}}",
                "service": "${each.value}",
                "disable_on_destroy": False,
            }
        },
        "google_storage_bucket": {
            "bucket": {
                "name": "${var.bucket}",
                "location": "${var.region}",
                "uniform_bucket_level_access": True,
                "public_access_prevention": "enforced",
                "lifecycle_rule": {
                    "action": {"type": "Delete"},
                    "condition": {"age": STAGING_DAYS, "matches_prefix": list(STAGING_PREFIXES)},
                },
                **kept,
                **enabled,
            }
        },
        "google_bigquery_dataset": {
            "dataset": {"dataset_id": "${var.bigquery_dataset}", "location": "${var.location}", **kept, **enabled}
        },
        "google_artifact_registry_repository": {
            "images": _repository(REPOSITORY) | enabled,
            "templates": _repository(TEMPLATES) | enabled,
        },
        "google_service_account": {"runner": {"account_id": RUNNER, "display_name": "runs of python-qa", **enabled}},
    }


def _repository(name: str) -> dict[str, Any]:
    return {"repository_id": name, "location": "${var.region}", "format": FORMATS[name]}


def _grants() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for grant in GRANTS:
        kind, what = _ON[grant.resource]
        given: dict[str, Any] = {**what, "role": grant.role}
        if grant.member == "user":
            given = {"for_each": "${local.people}", **given, "member": "${each.value}"}
            given["depends_on"] = ["google_service_account.deployer"]
        else:
            given["member"] = _MEMBERS[grant.member]
        if grant.resource in _ONLY_WITH:
            given = {"count": f'${{var.{_ONLY_WITH[grant.resource]} == "" ? 0 : 1}}', **given}
        name = "_".join([grant.member, grant.resource, grant.role.removeprefix("roles/").replace(".", "_")])
        found.setdefault(kind, {})[name] = given
    return found


def _github() -> dict[str, Any]:
    """Return what lets the workflow of one repository, on its branch main, act as the account `DEPLOYER`."""
    only = {"count": "${local.is_github}"}
    pool = "${google_iam_workload_identity_pool.github[0]"
    return {
        "google_service_account": {"deployer": {**only, "account_id": DEPLOYER, "display_name": "workflow of GitHub"}},
        "google_iam_workload_identity_pool": {"github": {**only, "workload_identity_pool_id": "python-qa-github"}},
        "google_iam_workload_identity_pool_provider": {
            "github": {
                **only,
                "workload_identity_pool_id": f"{pool}.workload_identity_pool_id}}",
                "workload_identity_pool_provider_id": "github",
                "attribute_mapping": {
                    "google.subject": "assertion.sub",
                    "attribute.repository": "assertion.repository",
                },
                "attribute_condition": "assertion.repository == '${var.github_repository}' "
                "&& assertion.ref == 'refs/heads/main'",
                "oidc": {"issuer_uri": _GITHUB},
            }
        },
        "google_service_account_iam_member": {
            "github_is_deployer": {
                **only,
                "service_account_id": "${google_service_account.deployer[0].name}",
                "role": "roles/iam.workloadIdentityUser",
                "member": "principalSet://iam.googleapis.com/"
                f"{pool}.name}}/attribute.repository/${{var.github_repository}}",
            }
        },
    }


def _alert() -> dict[str, Any]:
    policy = {
        "count": "${length(var.notification_channels) > 0 ? 1 : 0}",
        "display_name": "a run of python-qa failed",
        "combiner": "OR",
        "conditions": {"display_name": "a pipeline job failed", "condition_matched_log": {"filter": _FAILED}},
        "alert_strategy": {"notification_rate_limit": {"period": "300s"}},
        "notification_channels": "${var.notification_channels}",
    }
    return {"google_monitoring_alert_policy": {"failed_runs": policy}}


def _merged(*parts: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for part in parts:
        for kind, resources in part.items():
            found[kind] = found.get(kind, {}) | resources
    return found


def _list(words: list[str]) -> str:
    return orjson.dumps(words).decode()


def content() -> bytes:
    """Return the bytes of the file."""
    return orjson.dumps(configuration(), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


if __name__ == "__main__":
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_bytes(content())
