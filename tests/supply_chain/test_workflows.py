"""GitHub's workflows run only code that cannot change under them, and the lock is audited."""

import re
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
