"""GitHub's workflows run only code that cannot change under them, and the lock is audited."""

import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from tuning.settings import PROJECT_ROOT

WORKFLOWS = sorted((PROJECT_ROOT / ".github" / "workflows").glob("*.yml"))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned_by_commit_and_say_their_version(path: Path) -> None:
    text = path.read_text()
    used = re.findall(r"uses: *(.*)", text)
    assert used
    for one in used:
        assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", one), one


def test_an_action_has_the_same_commit_everywhere() -> None:
    commits: dict[str, set[str]] = {}
    for path in WORKFLOWS:
        for name, commit in re.findall(r"uses: *([\w./-]+)@(.*)", path.read_text()):
            commits.setdefault(name, set()).add(commit)
    assert {name for name, different in commits.items() if len(different) > 1} == set()


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_may_only_read(path: Path) -> None:
    assert yaml.safe_load(path.read_text())["permissions"] == {"contents": "read"}


def test_the_lock_is_audited_on_a_schedule() -> None:
    audit = yaml.safe_load((PROJECT_ROOT / ".github" / "workflows" / "audit.yml").read_text())
    events = audit[True]  # YAML reads the key `on` as true
    assert events["schedule"]
    assert "requirements.lock" in events["pull_request"]["paths"]
    commands = " ".join(step.get("run", "") for step in audit["jobs"]["audit"]["steps"])
    assert "pip-audit" in commands
    assert "-r requirements.lock" in commands


def _writes(permissions: dict[str, str]) -> bool:
    """Whether a job may change something. `id-token: write` only lets it say to others which workflow it is."""
    return "write" in [level for name, level in permissions.items() if name != "id-token"]


def test_only_a_tag_may_write_and_it_must_name_the_version() -> None:
    writing = {
        path.name: workflow[True]
        for path in WORKFLOWS
        for workflow in [yaml.safe_load(path.read_text())]
        if any(_writes(job.get("permissions", {})) for job in workflow["jobs"].values())
    }
    assert writing == {"release.yml": {"push": {"tags": ["v*"]}}}
    release = yaml.safe_load((PROJECT_ROOT / ".github" / "workflows" / "release.yml").read_text())
    (check,) = [step["run"] for step in release["jobs"]["release"]["steps"] if "pyproject.toml" in step.get("run", "")]
    version = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text())["project"]["version"]
    for tag, accepted in ((f"v{version}", True), (version, False), ("v", False)):
        done = subprocess.run(["/bin/sh", "-c", check], cwd=PROJECT_ROOT, env={**os.environ, "GITHUB_REF_NAME": tag})
        assert (done.returncode == 0) == accepted, tag
