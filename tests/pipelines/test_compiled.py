"""The compiled YAML: the file that is reviewed is the file that runs."""

import re
from pathlib import Path

import pytest
import yaml

from tuning.errors import TuningError
from tuning.pipelines.components import IMAGE
from tuning.pipelines.hello import compile_hello
from tuning.pipelines.refresh.pipeline import compile_refresh
from tuning.pipelines.tuning import STEPS, compile_pipeline
from tuning.settings import Settings

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture(scope="module")
def compiled(tmp_path_factory) -> Path:
    return compile_pipeline(Settings(), tmp_path_factory.mktemp("compiled") / "pipeline.yaml")


@pytest.fixture(scope="module")
def refreshed(tmp_path_factory) -> Path:
    return compile_refresh(Settings(), tmp_path_factory.mktemp("refreshed") / "pipeline.yaml")


@pytest.fixture(scope="module")
def spec(compiled: Path) -> dict:
    return yaml.safe_load(compiled.read_text())


def test_the_pipeline_is_the_one_that_was_reviewed(compiled):
    assert compiled.read_text() == (GOLDEN / "tune_python_qa.yaml").read_text(), (
        "the compiled pipeline changed: look at the difference, then "
        "`invoke compile --output tests/pipelines/golden/tune_python_qa.yaml`"
    )


def test_the_refresh_is_the_one_that_was_reviewed(refreshed):
    assert refreshed.read_text() == (GOLDEN / "refresh_python_qa.yaml").read_text(), (
        "the compiled pipeline changed: look at the difference, then "
        "`invoke compile --pipeline refresh --output tests/pipelines/golden/refresh_python_qa.yaml`"
    )


def test_the_refresh_has_the_steps_of_the_tuning_and_caches_no_others(spec, refreshed):
    whole = yaml.safe_load(refreshed.read_text())
    tasks = {name: task for dag in dags(whole) for name, task in dag["tasks"].items()}
    for name in STEPS:
        assert whole["components"][f"comp-{name}"] == spec["components"][f"comp-{name}"]
        assert tasks[name]["cachingOptions"] == spec["root"]["dag"]["tasks"][name]["cachingOptions"]
    steps = {name for name in tasks if "executorLabel" in whole["components"].get(f"comp-{name}", {})}
    added = {name for name in steps - set(STEPS) if "importer" not in name}
    assert added == {"build-mart", "export-snapshot", "prepare-dataset", "release", "notify"}
    assert not any(tasks[name].get("cachingOptions", {}).get("enableCache") for name in added)


def dags(spec: dict) -> list[dict]:
    return [one["dag"] for one in (spec["root"], *spec["components"].values()) if "dag" in one]


def test_hello_is_the_one_that_was_reviewed(tmp_path):
    assert compile_hello(tmp_path / "hello.yaml").read_text() == (GOLDEN / "hello.yaml").read_text()


def test_hellos_components_are_the_seeds(tmp_path):
    text = compile_hello(tmp_path / "hello.yaml").read_text()
    executors = yaml.safe_load(text)["deploymentSpec"]["executors"]
    assert 'hello_text = f"Hello, {name}!"' in executors["exec-say-hello"]["container"]["command"][-1]
    assert 'how_are_you = f"{hello_text}. How are you?"' in executors["exec-how-are-you"]["container"]["command"][-1]


def test_every_step_runs_in_one_image_and_installs_nothing(spec):
    containers = [e["container"] for e in spec["deploymentSpec"]["executors"].values() if "container" in e]
    assert len(containers) == len(STEPS)
    assert {container["image"] for container in containers} == {IMAGE}
    assert not any("pip install" in part for container in containers for part in container["command"])


def test_the_setting_image_is_what_the_steps_run_in(tmp_path):
    image = "us-docker.pkg.dev/project/repository/python-qa-tuning@sha256:" + 64 * "0"
    path = compile_pipeline(Settings(image=image), tmp_path / "pipeline.yaml")
    executors = yaml.safe_load(path.read_text())["deploymentSpec"]["executors"].values()
    assert {executor["container"]["image"] for executor in executors if "container" in executor} == {image}


@pytest.mark.parametrize("image", ["python-qa-tuning:0.1.0", "python-qa-tuning", "python-qa-tuning:1@sha256:0"])
def test_an_image_that_can_change_is_refused(tmp_path, image):
    for compile_it in (
        lambda path: compile_pipeline(Settings(image=image), path),
        lambda path: compile_refresh(Settings(image=image), path),
        lambda path: compile_hello(path, image),
    ):
        with pytest.raises(TuningError, match=r"is not named by its digest\. Push it, and set TUNING_IMAGE to"):
            compile_it(tmp_path / "pipeline.yaml")
    assert list(tmp_path.iterdir()) == []


def test_every_cached_step_has_its_code_and_the_period_as_arguments(spec):
    tasks = spec["root"]["dag"]["tasks"]
    for name in STEPS:
        parameters = {
            key: value.get("componentInputParameter") for key, value in tasks[name]["inputs"]["parameters"].items()
        }
        assert parameters["period"] == "period"
        assert parameters["code"] in ("tuner_code", "evaluation_code", "judging_code")


def test_models_tune_and_answer_on_the_machine_of_the_parameters_and_no_other_step_asks_for_one(spec, refreshed):
    names = {"resourceCpuLimit": "cpu", "resourceMemoryLimit": "memory"}
    kinds = {"resourceType": "accelerator", "resourceCount": "accelerator_count"}
    for whole in (spec, yaml.safe_load(refreshed.read_text())):
        executors = whole["deploymentSpec"]["executors"]
        asking = {name for name, one in executors.items() if one.get("container", {}).get("resources")}
        assert asking == {"exec-tune", "exec-evaluate-base", "exec-evaluate-tuned", "exec-evaluate-champion"}
        tasks = {name: task for dag in dags(whole) for name, task in dag["tasks"].items()}
        for executor in asking:
            resources = executors[executor]["container"]["resources"]
            asked = {name: resources[name] for name in names} | resources["accelerator"]
            given = tasks[executor.removeprefix("exec-")]["inputs"]["parameters"]
            for name, parameter in (names | kinds).items():
                (channel,) = re.findall(r"inputs\.parameters\['(.*?)'\]", asked[name])
                assert channel.endswith(f"--{'tune_' * (executor == 'exec-tune')}{parameter}")
                source = given[channel]["componentInputParameter"].rpartition("-")[2]
                assert source == (f"tune_{parameter}" if executor == "exec-tune" else parameter)


def test_each_part_of_a_pipeline_gets_the_parameters_that_its_steps_read(spec, refreshed):
    for whole in (spec, yaml.safe_load(refreshed.read_text())):
        for part in (whole["root"], *whole["components"].values()):
            given = set(part.get("inputDefinitions", {}).get("parameters", {}))
            for task in part.get("dag", {}).get("tasks", {}).values():
                sources = task.get("inputs", {}).get("parameters", {}).values()
                assert {source.get("componentInputParameter") for source in sources} - {None} <= given


def test_artifacts_are_of_kfps_own_types(spec):
    types = {
        name: {
            key: value["artifactType"]["schemaTitle"]
            for key, value in component["outputDefinitions"]["artifacts"].items()
        }
        for name, component in spec["components"].items()
        if "importer" not in name
    }
    assert types["comp-validate"] == {"checked": "system.Dataset"}
    assert types["comp-tune"] == {"model": "system.Model", "metrics": "system.Metrics"}
    assert types["comp-report"] == {"page": "system.HTML", "summary": "system.Markdown"}


def test_each_imported_file_carries_the_hash_of_its_content(spec):
    importers = [e["importer"] for e in spec["deploymentSpec"]["executors"].values() if "importer" in e]
    assert len(importers) == 5
    for importer in importers:
        assert importer["metadata"] == {"sha256": "{{$.inputs.parameters['metadata']}}"}
        assert not importer.get("reimport")


def test_evaluation_waits_for_tuning_and_the_judges_for_all_of_it(spec):
    tasks = spec["root"]["dag"]["tasks"]
    for name in ("evaluate-base", "evaluate-tuned", "evaluate-champion"):
        assert "tune" in tasks[name]["dependentTasks"]
    assert {"evaluate-base", "evaluate-tuned", "evaluate-champion"} <= set(tasks["compare"]["dependentTasks"])
    assert "compare" in tasks["gate"]["dependentTasks"]
    assert all(tasks[name]["cachingOptions"] == {"enableCache": True} for name in STEPS)


def test_the_bases_evaluation_depends_on_nothing_that_tuning_chooses(spec):
    inputs = spec["root"]["dag"]["tasks"]["evaluate-base"]["inputs"]
    read = {value["taskOutputArtifact"]["producerTask"] for value in inputs["artifacts"].values()}
    assert "tune" not in read
    read = {value.get("componentInputParameter") for value in inputs["parameters"].values()} - {None}
    machine = {"cpu", "memory", "accelerator", "accelerator_count"}  # another one rounds differently
    assert read == {"evaluation_code", "period", "tuner"} | machine  # the request names the tuner too
