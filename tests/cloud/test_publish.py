"""The workflow that publishes each merge: its commands exist, and its scripts run with stand-in programs."""

import json
import os
import runpy
import shlex
import stat
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import google.auth
import pytest
import requests
import yaml
from google.auth.credentials import AnonymousCredentials
from invoke.parser import Parser

from tuning.cloud.required import TEMPLATES, repository_path
from tuning.cloud.terraform_files import configuration
from tuning.settings import PROJECT_ROOT, load_settings

WORKFLOW: dict[Any, Any] = yaml.safe_load((PROJECT_ROOT / ".github" / "workflows" / "publish.yml").read_text())
JOB: dict[str, Any] = WORKFLOW["jobs"]["publish"]
STEPS: dict[str, dict[str, Any]] = {step["name"]: step for step in JOB["steps"] if "name" in step}
VALUES = {"TUNING_PROJECT": "my-project", "TUNING_BUCKET": "bucket", "TUNING_REGION": "europe-west4"}
SHA = "0123456789abcdef0123456789abcdef01234567"
PROVIDER = "projects/1234/locations/global/workloadIdentityPools/python-qa-github/providers/github"
# Notes its arguments as one JSON line; `docker inspect` names the image by a digest.
PROGRAM = """#!{python}
import json, sys
with open({log!r}, "a") as file:
    print(json.dumps([{name!r}, *sys.argv[1:]]), file=file)
if sys.argv[1] == "inspect":
    print(sys.argv[-1].rpartition(":")[0] + "@sha256:digest")
"""


def test_it_runs_for_main_only_and_may_only_say_who_it_is() -> None:
    assert WORKFLOW[True] == {"push": {"branches": ["main"]}}  # YAML reads the key `on` as true
    assert JOB["permissions"] == {"contents": "read", "id-token": "write"}
    assert WORKFLOW["concurrency"] == {"group": "publish"}


def test_every_setting_of_the_job_is_one() -> None:
    names = [name for name in JOB["env"] if name.startswith("TUNING_")]
    assert {*VALUES, "TUNING_SERVICE_ACCOUNT"} <= set(names)
    settings = load_settings(environ={name: VALUES.get(name, "") for name in names} | {"TUNING_TARGET": "gcp"})
    assert (settings.project, settings.region) == ("my-project", "europe-west4")


def test_what_terraform_prints_is_what_the_workflow_asks_for() -> None:
    text = (PROJECT_ROOT / ".github" / "workflows" / "publish.yml").read_text()
    for output in configuration()["output"]:
        assert f"vars.{output} " in text


@pytest.mark.parametrize("name", ["Pipeline", "Schedule"])
def test_its_commands_parse(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(PROJECT_ROOT))
    from tasks import namespace

    line = STEPS[name]["run"].replace("$SCHEDULE_OPTIONS", "--tuner gemini --epochs 2 --limit 2000 --budget 50")
    program, *words = shlex.split(line.replace("$CRON", "0 3 * * 1"))
    assert program == ".venv/bin/invoke"
    monkeypatch.setattr(sys, "argv", ["invoke", *words])
    (parsed,) = Parser(contexts=namespace.to_contexts()).parse_argv(words)
    assert parsed.missing_positional_args == []


def run_step(name: str, folder: Path, **more: str) -> tuple[list[list[str]], str]:
    """The calls of gcloud and docker in a step, and what it leaves for the later ones."""
    programs, log, left = folder / "programs", folder / "calls", folder / "left"
    programs.mkdir()
    for program in ("gcloud", "docker"):
        path = programs / program
        path.write_text(PROGRAM.format(python=sys.executable, log=str(log), name=program))
        path.chmod(path.stat().st_mode | stat.S_IEXEC)
    known = {"PATH": f"{programs}:{os.environ['PATH']}", "GITHUB_ENV": str(left), "RUNNER_TEMP": str(folder)}
    given = {**known, **VALUES, "GITHUB_SHA": SHA, **more}
    subprocess.run(["/bin/bash", "-euo", "pipefail", "-c", STEPS[name]["run"]], env=given, check=True, timeout=60)
    return [json.loads(line) for line in log.read_text().splitlines()], left.read_text()


def test_it_signs_in_by_the_token_of_the_workflow(tmp_path: Path) -> None:
    asked = {"ACTIONS_ID_TOKEN_REQUEST_URL": "https://x.example/t?a=b", "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "planted"}
    calls, left = run_step("Sign in to Google Cloud", tmp_path, PROVIDER=PROVIDER, DEPLOYER="deployer@p", **asked)
    first, second, third = calls
    assert first[:5] == ["gcloud", "iam", "workload-identity-pools", "create-cred-config", PROVIDER]
    assert f"--credential-source-url=https://x.example/t?a=b&audience=https://iam.googleapis.com/{PROVIDER}" in first
    assert "--credential-source-headers=Authorization=bearer planted" in first
    assert second == ["gcloud", "auth", "login", "--quiet", f"--cred-file={tmp_path}/google.json"]
    assert third[:4] == ["gcloud", "auth", "configure-docker", "europe-west4-docker.pkg.dev"]
    assert left == f"GOOGLE_APPLICATION_CREDENTIALS={tmp_path}/google.json\n"


def test_the_image_is_named_by_its_digest_for_the_later_steps(tmp_path: Path) -> None:
    calls, left = run_step("Image", tmp_path)
    image = f"{repository_path(load_settings(environ=VALUES))}/tuning"
    assert [call[1] for call in calls] == ["build", "push", "inspect"]
    assert f"{image}:{SHA}" in calls[0]
    assert left == f"TUNING_IMAGE={image}@sha256:digest\n"
    assert (
        [*STEPS].index("Image") < [*STEPS].index("Pipeline") < [*STEPS].index("Template") < [*STEPS].index("Schedule")
    )


def test_the_template_goes_to_the_repository_of_templates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[dict[str, Any]] = []

    def post(*, files: dict[str, Any], **given: Any) -> SimpleNamespace:
        sent.append({**given, "content": files["content"].read()})
        return SimpleNamespace(raise_for_status=lambda: None, text="refresh-python-qa/sha256:1")

    monkeypatch.setattr(requests, "post", post)
    monkeypatch.setattr(google.auth, "default", lambda: (AnonymousCredentials(), "my-project"))  # type: ignore[no-untyped-call]
    monkeypatch.chdir(tmp_path)
    for name, value in {**VALUES, "GITHUB_SHA": SHA}.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "refresh.yaml").write_text("a pipeline")
    (tmp_path / "step.py").write_text(STEPS["Template"]["run"])
    runpy.run_path(str(tmp_path / "step.py"))
    (request,) = sent
    assert request["url"] == f"https://{repository_path(load_settings(environ=VALUES), TEMPLATES)}"
    assert (request["content"], request["data"]) == (b"a pipeline", {"tags": f"latest,commit-{SHA}"})
