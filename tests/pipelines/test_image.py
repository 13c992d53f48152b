"""The image of the steps, as far as it can be judged without building it."""

import os
import re
import subprocess
import sys
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest

from tuning.pipelines.components import IMAGE
from tuning.pipelines.steps.code_hash import sources_sha256
from tuning.settings import PROJECT_ROOT

DOCKERFILE = (PROJECT_ROOT / "Dockerfile").read_text()


def test_the_image_is_slim_pinned_and_not_root():
    assert set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)) == {"python:3.11.14-slim-bookworm"}
    assert re.findall(r"^USER (\S+)", DOCKERFILE, re.MULTILINE) == ["tuning"]
    assert "--constraint requirements.lock" in DOCKERFILE


def test_the_pipeline_names_the_image_that_the_dockerfile_says_to_build():
    assert f"docker build --tag {IMAGE.partition(':')[0]}:VERSION ." in DOCKERFILE
    assert f"python-qa-tuning:{version('python-qa-tuning')}" == IMAGE


def test_what_the_dockerfile_copies_exists_and_is_let_into_the_build():
    let_in = {line[1:] for line in (PROJECT_ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {
        name for line in re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE) for name in line.split()
    }
    assert copied == let_in
    assert all((PROJECT_ROOT / name).exists() for name in copied)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--wheel-dir", str(folder), str(PROJECT_ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the wheel is installed into."""
    folder = tmp_path_factory.mktemp("installed")
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder), str(wheel)]
    subprocess.run(install, check=True, capture_output=True)
    return folder


@pytest.mark.slow
def test_the_wheel_contains_templates_the_dbt_project_and_the_tasks(wheel: Path):
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {"tuning/evaluation/templates/report.html.j2", "tuning/evaluation/templates/report.md.j2"} <= names
    assert {"tuning/dbt_project/dbt_project.yml", "tuning/dbt_project/profiles.yml", "tuning/tasks.py"} <= names
    texts = [
        *PROJECT_ROOT.glob("tuning/answers/suites/*.toml"),
        *PROJECT_ROOT.glob("tuning/sources/sample/posts/*.toml"),
    ]
    assert len(texts) >= 8
    assert {path.relative_to(PROJECT_ROOT).as_posix() for path in texts} <= names
    project = PROJECT_ROOT / "dbt_project"
    models = {path.relative_to(project).as_posix() for path in (project / "models").rglob("*.*")}
    assert models
    assert {f"tuning/dbt_project/{name}" for name in models} <= names
    assert not any("/target/" in name or "/logs/" in name for name in names)


@pytest.mark.slow
def test_an_installed_package_has_the_code_of_the_checkout(installed: Path, tmp_path: Path):
    modules = [f"tuning.pipelines.steps.{name}" for name in ("tune", "evaluate", "gate")]
    code = "import sys; from tuning.pipelines.steps.code_hash import sources_sha256 as of; import tuning"
    command = [sys.executable, "-c", f"{code}; print(tuning.__file__, *(of(name, 'hf') for name in sys.argv[1:]))"]
    environment = os.environ | {"PYTHONPATH": str(installed)}
    said = subprocess.run(
        [*command, *modules], env=environment, cwd=tmp_path, check=True, capture_output=True, text=True
    )
    file, *hashes = said.stdout.split()
    assert Path(file).is_relative_to(installed)
    assert hashes == [sources_sha256(name, "hf") for name in modules]


@pytest.mark.slow
def test_an_installed_package_builds_the_marts_outside_the_checkout(installed: Path, tmp_path: Path):
    work = tmp_path / "work"
    work.mkdir()
    (work / "tasks.py").write_text("from tuning.tasks import namespace\n")
    environment = os.environ | {"PYTHONPATH": str(installed), "TUNING_HOME": str(tmp_path / "home")}

    def invoke(*words: str) -> str:
        command = [sys.executable, "-m", "invoke", *words]
        done = subprocess.run(command, cwd=work, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    try:
        invoke("sample", "--rows", "20")
        said = invoke("dataset")
        (folder,) = (tmp_path / "home" / "datasets").glob("[!.]*")
        assert (
            15 <= sum(len((folder / f"{side}.jsonl").read_text().splitlines()) for side in ("train", "eval")) <= 20
        ), said
    finally:
        invoke("warehouse.down")
