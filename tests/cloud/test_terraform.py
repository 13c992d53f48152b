"""The Terraform files: made from the table of `cloud.init`, and checked by Terraform itself where it is installed."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tuning.cloud.init import _changes
from tuning.cloud.required import (
    APIS,
    FORMATS,
    GRANTS,
    RUNNER,
    STAGING_DAYS,
    STAGING_PREFIXES,
    Resource,
    staging_rule,
)
from tuning.cloud.terraform_files import FILE, content
from tuning.settings import Settings

WRITTEN: dict[str, Any] = json.loads(FILE.read_bytes())
MADE: dict[str, dict[str, dict[str, Any]]] = WRITTEN["resource"]
# The resource of Terraform for each resource of the table.
KINDS: dict[Resource, str] = {
    "project": "google_project_iam_member",
    "bucket": "google_storage_bucket_iam_member",
    "repository": "google_artifact_registry_repository_iam_member",
    "templates": "google_artifact_registry_repository_iam_member",
    "dataset": "google_bigquery_dataset_iam_member",
    "account": "google_service_account_iam_member",
    "key": "google_kms_crypto_key_iam_member",
    "secret": "google_secret_manager_secret_iam_member",
}


def test_the_file_is_the_one_that_the_table_makes() -> None:
    assert FILE.read_bytes() == content(), "run `python -m tuning.cloud.terraform_files`"


def test_every_grant_of_the_table_is_there_and_no_other_but_that_of_the_workflow() -> None:
    roles = {
        (kind, name.split("_")[0], name.split("_")[1], given["role"])
        for kind, grants in MADE.items()
        if kind.endswith("_iam_member")
        for name, given in grants.items()
    }
    workflow = (KINDS["account"], "github", "is", "roles/iam.workloadIdentityUser")
    assert roles == {(KINDS[one.resource], one.member, one.resource, one.role) for one in GRANTS} | {workflow}


def test_bucket_dataset_repositories_and_account_are_those_of_cloud_init() -> None:
    bucket = MADE["google_storage_bucket"]["bucket"]
    rule = bucket["lifecycle_rule"]
    condition = {"age": rule["condition"]["age"], "matchesPrefix": rule["condition"]["matches_prefix"]}
    assert {"action": rule["action"], "condition": condition} == staging_rule()
    assert (condition["age"], tuple(condition["matchesPrefix"])) == (STAGING_DAYS, STAGING_PREFIXES)

    class Bucket:
        """The bucket as Terraform makes it, for what `cloud.init` would still change."""

        class iam_configuration:  # noqa: N801 - the name of Google's client
            uniform_bucket_level_access_enabled = bucket["uniform_bucket_level_access"]
            public_access_prevention = bucket["public_access_prevention"]

        lifecycle_rules = (staging_rule(),)

    assert _changes(Bucket) == []
    made = MADE["google_artifact_registry_repository"].values()
    assert {one["repository_id"]: one["format"] for one in made} == FORMATS
    assert MADE["google_service_account"]["runner"]["account_id"] == RUNNER
    assert set(APIS) <= set(re.findall(r"[a-z]+\.googleapis\.com", MADE["google_project_service"]["apis"]["for_each"]))
    default = Settings()
    for name in ("region", "location", "bigquery_dataset"):
        assert WRITTEN["variable"][name]["default"] == getattr(default, name)


def test_only_the_branch_main_of_one_repository_may_deploy() -> None:
    provider = MADE["google_iam_workload_identity_pool_provider"]["github"]
    assert provider["attribute_condition"] == (
        "assertion.repository == '${var.github_repository}' && assertion.ref == 'refs/heads/main'"
    )
    assert provider["oidc"] == {"issuer_uri": "https://token.actions.githubusercontent.com"}


def test_terraform_plans_it(tmp_path: Path) -> None:
    """With each of Google's resources in the form of `terraform_data`, which Terraform has built in: all names,
    references, expressions and dependencies are checked, but not the arguments of Google's provider."""
    terraform = shutil.which("terraform")
    if terraform is None:
        pytest.skip("Terraform is not installed")

    def run(*arguments: str) -> str:
        command = [terraform, *arguments, "-no-color"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    (tmp_path / "main.tf.json").write_text(json.dumps(_with_built_in(WRITTEN)))
    run("init", "-backend=false")
    variables = {"project": "mine", "bucket": "bucket", "team": '["user:a@example.com"]'}
    given = [f"-var={name}={value}" for name, value in variables.items()]
    least = run("plan", "-input=false", *given)
    assert "user:a@example.com" in least
    for absent in ("github", "deployer", "kms_crypto_key", "secret_manager", "monitoring"):
        assert f"terraform_data.{absent}" not in least
        assert f"_{absent}" not in least
    more = {"github_repository": "me/mine", "kms_key": "k", "webhook_secret": "s", "notification_channels": '["c"]'}
    most = run("plan", "-input=false", *given, *(f"-var={name}={value}" for name, value in more.items()))
    assert most.count("serviceAccount:python-qa-deployer@mine.iam.gserviceaccount.com") >= 8
    assert "assertion.repository == 'me/mine'" in most
    for present in ("kms_crypto_key", "secret_manager", "monitoring_alert_policy"):
        assert f"terraform_data.{present}" in most


def _with_built_in(written: dict[str, Any]) -> dict[str, Any]:
    def translated(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: translated(one) for name, one in value.items()}
        if isinstance(value, list):
            return [translated(one) for one in value]
        if not isinstance(value, str):
            return value
        value = value.replace("data.google_project.project.number", '"1234"')
        value = re.sub(r"google_(\w+)\.(\w+)(\[0\]|\[\*\])?\.(\w+)", r"terraform_data.\1_\2\3.input.\4", value)
        return re.sub(r"^google_(\w+)\.(\w+)$", r"terraform_data.\1_\2", value)

    resources = {}
    of_terraform = {"for_each", "count", "depends_on", "lifecycle"}
    for kind, found in written["resource"].items():
        for name, arguments in translated(found).items():
            own = {key: value for key, value in arguments.items() if key not in of_terraform}
            known = dict.fromkeys(("name", "email", "member", "location"), "known after apply") | own
            meta = {key: value for key, value in arguments.items() if key in of_terraform}
            resources[f"{kind.removeprefix('google_')}_{name}"] = meta | {"input": known}
    return {
        "terraform": {"required_version": written["terraform"]["required_version"]},
        "variable": written["variable"],
        "locals": written["locals"],
        "resource": {"terraform_data": resources},
        "output": translated(written["output"]),
    }
