"""What a run is given, and which change of it changes which hash."""

import inspect
from pathlib import Path

import msgspec
import pytest
from kfp.dsl import PipelineTaskFinalStatus

from tuning.dataset.denied import Denied, deny
from tuning.dataset.options import DatasetOptions
from tuning.errors import TuningError
from tuning.evaluation.options import EvaluationOptions, GateOptions
from tuning.pipelines import components
from tuning.pipelines.plan import Plan
from tuning.pipelines.refresh import components as refresh_components
from tuning.pipelines.refresh import request as refresh_request
from tuning.pipelines.steps import code_hash, process
from tuning.pipelines.steps.code_hash import check_code, code_sha256, reached
from tuning.pipelines.steps.requests import (
    ChampionRequest,
    TuningRequest,
    dataset_arguments,
    read_request,
    store_requests,
    training_key,
    tuning_arguments,
)
from tuning.pipelines.tuning import STEPS
from tuning.settings import PROJECT_ROOT, Settings
from tuning.tuners.protocol import TuneOptions
from tuning.warehouse.variables import Variables

TUNER = "hf"


def arguments(settings, dataset, placed=None, **changed) -> dict[str, str]:
    placed = {} if placed is None else placed

    def place(name: str, content: bytes) -> str:
        placed[name] = content
        return f"/requests/{name}"

    champion = changed.pop("champion", ChampionRequest())
    plan = Plan(**({"dataset": dataset, "tuner": TUNER, "tune": TuneOptions()} | changed))
    return {
        **tuning_arguments(settings, plan, place),
        **dataset_arguments(dataset, str(dataset.folder)),
        **store_requests(settings, {"champion": champion}, place),
    }


def changed_hashes(before: dict[str, str], after: dict[str, str]) -> set[str]:
    return {name for name in before if name.endswith(("sha256", "code")) and before[name] != after[name]}


def test_the_same_input_gives_the_same_arguments(settings, dataset):
    assert arguments(settings, dataset) == arguments(settings, dataset)


@pytest.mark.parametrize(
    ("change", "hashes"),
    [
        ({"tune": TuneOptions(steps=5)}, {"tuning_sha256"}),
        ({"tune": TuneOptions(full=True)}, {"tuning_sha256"}),
        ({"tune": TuneOptions(base_model="tiny")}, {"tuning_sha256", "evaluation_sha256", "gate_sha256"}),
        ({"evaluation": EvaluationOptions(examples=9)}, {"evaluation_sha256"}),
        ({"gate": GateOptions(level=0.9)}, {"gate_sha256"}),
        ({"champion": ChampionRequest(version="v1", folder="/models/v1")}, {"champion_sha256"}),
    ],
)
def test_an_option_changes_only_its_own_request(settings, dataset, change, hashes):
    assert changed_hashes(arguments(settings, dataset), arguments(settings, dataset, **change)) == hashes


def test_a_changed_row_changes_the_datasets_hash_though_the_manifest_is_the_same(settings, dataset):
    before = arguments(settings, dataset)
    dataset.file("train").write_bytes(dataset.file("train").read_bytes().replace(b"case 3?", b"case 4?"))
    assert changed_hashes(before, arguments(settings, dataset)) == {"dataset_sha256"}


def test_a_setting_that_no_step_reads_changes_nothing(settings, dataset):
    other = msgspec.structs.replace(settings, budget=7.0, image="x", bigquery_dataset="y")
    assert arguments(settings, dataset) == arguments(other, dataset)


def test_no_secret_is_written_into_a_request(dataset, tmp_path):
    placed: dict[str, bytes] = {}
    arguments(Settings(home=tmp_path, access_token="planted-token"), dataset, placed)
    assert len(placed) == 4
    assert not any(b"planted-token" in content for content in placed.values())


@pytest.mark.cloud
def test_in_the_cloud_the_home_is_the_containers_own(dataset, tmp_path):
    placed: dict[str, bytes] = {}
    arguments(Settings(home=tmp_path, target="gcp", project="p"), dataset, placed)
    assert not any(str(tmp_path).encode() in content for content in placed.values())


def test_a_request_is_read_back_whole(settings, dataset, tmp_path):
    placed: dict[str, bytes] = {}
    arguments(settings, dataset, placed, tune=TuneOptions(steps=5, base_model='{{$}} "python3"'))
    path = tmp_path / "tuning.json"
    path.write_bytes(next(content for name, content in placed.items() if name.startswith("tuning-")))
    assert read_request(path, TuningRequest).options == TuneOptions(steps=5, base_model='{{$}} "python3"')


def test_the_training_key_knows_data_options_and_code_and_not_the_champion(settings, dataset):
    key = training_key(arguments(settings, dataset))
    assert training_key(arguments(settings, dataset, champion=ChampionRequest(version="v1", folder="x"))) == key
    assert training_key(arguments(settings, dataset, gate=GateOptions(level=0.9))) == key
    assert training_key(arguments(settings, dataset, tune=TuneOptions(seed=1))) != key


def test_the_code_of_a_step_is_what_it_imports_even_inside_functions():
    tuning = reached("tuning.pipelines.steps.tune")
    assert {
        "tuning.tuners.hf.tuner",
        "tuning.tuners.hf.models.tiny",
        "tuning.dataset.formats.codec",
        "tuning.storage",
    } <= set(tuning)
    assert not any(name.startswith(("tuning.warehouse", "tuning.sources")) for name in tuning)
    assert "tuning.evaluation.report" not in tuning
    judging = reached("tuning.pipelines.steps.gate")
    assert {"tuning.evaluation.gate", "tuning.evaluation.report"} <= set(judging)


def test_the_questions_of_the_suite_and_what_runs_their_checks_are_part_of_the_code_of_the_evaluation(monkeypatch):
    hashed: set[Path] = set()
    monkeypatch.setattr(code_hash, "sha256_of", lambda path: hashed.add(path) or "0")
    code_sha256("tuning.pipelines.steps.evaluate", "hf")
    answers = PROJECT_ROOT / "tuning" / "answers"
    assert {answers / "suite.py", answers / "ask.py"} <= hashed
    assert {answers / "child.py", *(answers / "sandbox").glob("*.py"), *(answers / "suites").glob("*.toml")} <= hashed


def test_the_dbt_project_is_part_of_the_code_that_uses_it_and_of_no_other(monkeypatch):
    uses, other = "tuning.pipelines.end_to_end", "tuning.pipelines.steps.tune"
    before = [code_sha256(uses, "hf"), code_sha256(other, "hf")]
    monkeypatch.setattr(code_hash, "dbt_project_sha256", lambda project: "edited")
    assert code_sha256(uses, "hf") != before[0]
    assert code_sha256(other, "hf") == before[1]


def test_a_step_takes_code_of_a_machine_with_other_libraries_and_no_other_code(monkeypatch):
    here = code_sha256("tuning.pipelines.steps.gate", "hf")
    monkeypatch.setattr(code_hash, "_installed", lambda library: "none")
    without_libraries = code_sha256("tuning.pipelines.steps.gate", "hf")
    assert without_libraries != here
    for code in (here, without_libraries, code_sha256("tuning.pipelines.steps.gate", "hf", "image@sha256:1")):
        check_code("tuning.pipelines.steps.gate", "hf", code)
    monkeypatch.setattr(code_hash, "sha256_of", lambda path: "edited")
    with pytest.raises(TuningError, match=r"is not the code that started the run.* set TUNING_IMAGE to its digest"):
        check_code("tuning.pipelines.steps.gate", "hf", here)


def test_the_digest_of_an_image_stands_for_its_libraries(monkeypatch):
    first = code_sha256("tuning.errors", "hf", "image@sha256:1")
    assert code_sha256("tuning.errors", "hf", "image@sha256:2") != first
    monkeypatch.setattr(code_hash, "_installed", lambda library: "none")
    assert code_sha256("tuning.errors", "hf", "image@sha256:1") == first


def modules() -> dict[str, str]:
    """The module of each step, by the name of its component."""
    tuned = dict.fromkeys(("validate", "tune"), "steps.tune")
    evaluated = dict.fromkeys((name.replace("-", "_") for name in STEPS if "evaluate" in name), "steps.evaluate")
    judged = dict.fromkeys(("compare", "gate", "report"), "steps.gate")
    added = dict.fromkeys(("build_mart", "export_snapshot", "prepare_dataset", "release", "notify"), "refresh.steps")
    return {**tuned, **evaluated, **judged, **added}


@pytest.mark.parametrize("name", modules())
def test_each_step_compares_its_code(monkeypatch, name):
    module = modules()[name]
    component = getattr(components if module.startswith("steps") else refresh_components, name).python_func
    given = {argument: f"the {argument}" for argument in inspect.signature(component).parameters}
    if name == "notify":
        given["status"] = PipelineTaskFinalStatus("FAILED", "", "", 1, "why")
    checked = []
    monkeypatch.setattr(process, "end_with_ancestors", lambda levels: None)
    monkeypatch.setattr(process, "check_code", lambda *arguments: checked.append(arguments) or refuse())

    def refuse():
        raise TuningError("another code")

    with pytest.raises(SystemExit):
        component(**given)
    assert checked == [(f"tuning.pipelines.{module}", "the tuner", "the code")]


def test_the_code_of_a_tuner_of_ones_own_counts(tmp_path: Path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    module = tmp_path / "own_tuner_of_test.py"
    module.write_text("A = 1\n")
    before = code_sha256("tuning.errors", "own_tuner_of_test:A")
    module.write_text("A = 2\n")
    assert code_sha256("tuning.errors", "own_tuner_of_test:A") != before
    assert code_sha256("tuning.errors", "hf") != before


def test_a_forgotten_post_is_a_change_for_a_refresh(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refresh_request, "connect", lambda _: None)
    monkeypatch.setattr(refresh_request, "source", lambda *_: {"digest": "0"})

    def key() -> str:
        return refresh_request.refresh_key(settings, Variables(), DatasetOptions(), {})[0]

    before = key()
    deny(settings, Denied(post_id=7, reason="asked"))
    after = key()
    assert before != after
    deny(settings, Denied(post_id=7, reason="asked again"))
    assert key() == after
