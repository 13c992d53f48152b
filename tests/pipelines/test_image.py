"""The image of the steps, as far as it can be judged without building it."""

import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tuning.pipelines.components import IMAGE
from tuning.settings import PROJECT_ROOT

DOCKERFILE = (PROJECT_ROOT / "Dockerfile").read_text()


def test_the_image_is_slim_pinned_and_not_root():
    assert set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)) == {"python:3.11.14-slim-bookworm"}
    assert re.findall(r"^USER (\S+)", DOCKERFILE, re.MULTILINE) == ["tuning"]
    assert "--constraint requirements.lock" in DOCKERFILE


def test_the_pipeline_names_the_image_that_the_dockerfile_says_to_build():
    assert f"docker build --tag {IMAGE} ." in DOCKERFILE


def test_what_the_dockerfile_copies_exists_and_is_let_into_the_build():
    let_in = {line[1:] for line in (PROJECT_ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {
        name for line in re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE) for name in line.split()
    }
    assert copied == let_in
    assert all((PROJECT_ROOT / name).exists() for name in copied)


@pytest.mark.slow
def test_an_installed_package_holds_the_reports_templates(tmp_path: Path):
    source = tmp_path / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(PROJECT_ROOT / name, source)
    shutil.copytree(PROJECT_ROOT / "tuning", source / "tuning", ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--wheel-dir", str(tmp_path), str(source)]
    subprocess.run(command, check=True, capture_output=True)
    names = zipfile.ZipFile(next(tmp_path.glob("*.whl"))).namelist()
    assert "tuning/evaluation/templates/report.html.j2" in names
    assert "tuning/evaluation/templates/report.md.j2" in names
