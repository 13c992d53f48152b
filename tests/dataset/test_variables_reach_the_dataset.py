"""A data team's edit of dbt_project.yml reaches every command."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tuning.settings import PROJECT_ROOT


@pytest.mark.slow
def test_editing_since_changes_what_invoke_dataset_builds(tmp_path: Path) -> None:
    ignored = shutil.ignore_patterns("__pycache__", "target", "logs")
    for name in ("tuning", "dbt_project"):
        shutil.copytree(PROJECT_ROOT / name, tmp_path / name, ignore=ignored)
    shutil.copy(PROJECT_ROOT / "tasks.py", tmp_path)
    project = tmp_path / "dbt_project" / "dbt_project.yml"
    environment = os.environ | {"PYTHONPATH": str(tmp_path), "TUNING_HOME": str(tmp_path / "home")}

    def invoke(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "invoke", *words]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    try:
        assert invoke("sample", "--rows", "60").returncode == 0
        text = project.read_text()
        head, _, defaults = text.partition("  <<: &defaults")
        project.write_text(head + "  <<: &defaults" + defaults.replace('since: "2020-01-01"', 'since: "2100-01-01"'))
        later = invoke("dataset")
        assert later.returncode == 1
        assert "no rows" in later.stderr, later.stderr
        assert "none meets the rule answer_new_enough (since: 2100-01-01)" in later.stdout + later.stderr
        seed = invoke("dataset", "--preset", "seed")
        assert seed.returncode == 0, seed.stderr
    finally:
        invoke("warehouse.down")
