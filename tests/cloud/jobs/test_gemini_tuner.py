"""Managed tuning by google-genai: what is asked for, what is refused before, and one job whatever breaks."""

import json
import re
from pathlib import Path

import msgspec
import pytest

from tests.cloud.servers.loopback import Fault, Loopback
from tests.cloud.servers.vertex_server import Vertex
from tests.cloud.storage.cloud_dataset import line, make_dataset
from tuning.dataset.formats.limits import GEMINI
from tuning.errors import TuningError
from tuning.gcs.storage import find_storage
from tuning.settings import Settings
from tuning.tuners.gemini.tuner import GeminiTuner
from tuning.tuners.protocol import TuneOptions

OPEN = "google/gemma3@gemma-3-4b-it"
KEY = "projects/mine/locations/us-central1/keyRings/ring/cryptoKeys/key"


def test_supervised_tuning_is_asked_for_with_every_setting(
    cloud: Settings, vertex_api: Loopback, tmp_path: Path
) -> None:
    dataset = make_dataset(cloud, "gemini")
    options = TuneOptions(base_model="gemini-3.5-flash", epochs=2, lora_rank=8, learning_rate=0.5)

    model = GeminiTuner().tune(cloud, dataset, options, tmp_path)

    (request,) = vertex_api.asked("POST", "/tuningJobs$")
    assert request.path == "/v1beta1/projects/mine/locations/us-central1/tuningJobs"
    assert re.fullmatch(r"[0-9a-f]{32}", request.body.pop("labels")["tuning_key"])
    assert request.body == {
        "baseModel": "gemini-3.5-flash",
        "tunedModelDisplayName": f"python-qa-{dataset.id}",
        "description": f"tuned on dataset {dataset.id}",
        "supervisedTuningSpec": {
            "trainingDatasetUri": f"gs://bucket/datasets/{dataset.id}/train.jsonl",
            "validationDatasetUri": f"gs://bucket/datasets/{dataset.id}/eval.jsonl",
            "hyperParameters": {
                "epochCount": 2,
                "adapterSize": "ADAPTER_SIZE_EIGHT",
                "learningRateMultiplier": 0.5,
            },
        },
    }
    with find_storage(cloud).open(f"gs://bucket/datasets/{dataset.id}/train.jsonl") as file:
        assert file.read() == dataset.file("train").read_bytes()
    assert model.uri == "projects/mine/locations/us/endpoints/1001"
    assert model.facts == {
        "tuning_job": "projects/mine/locations/us-central1/tuningJobs/1001",
        "epochs": 2,
        "rows_used": 20,
        "tokens_billed": 5000,
        "rows_cut": 0,
        "registered_as": "projects/mine/locations/us-central1/models/1001@1",
        "checkpoints": [{"checkpoint_id": "1", "epoch": 1, "step": 10, "endpoint": model.uri}],
    }
    assert json.loads((tmp_path / "tuning_job.json").read_bytes())["state"] == "JOB_STATE_SUCCEEDED"


def test_preference_tuning_is_asked_for_by_the_format(cloud: Settings, vertex_api: Loopback, tmp_path: Path) -> None:
    GeminiTuner().tune(cloud, make_dataset(cloud, "gemini-preference"), TuneOptions(), tmp_path)
    (request,) = vertex_api.asked("POST", "/tuningJobs$")
    assert request.body["baseModel"] == cloud.gemini_model  # the default of local tuning is no model of Google's
    assert request.body["preferenceOptimizationSpec"]["hyperParameters"] == {"epochCount": 3}
    assert "supervisedTuningSpec" not in request.body


def test_a_model_that_google_tunes_with_a_key_gets_it(cloud: Settings, vertex_api: Loopback, tmp_path: Path) -> None:
    settings = msgspec.structs.replace(cloud, kms_key=KEY)
    GeminiTuner().tune(settings, make_dataset(cloud, "gemini"), TuneOptions(base_model="gemini-3.5-flash"), tmp_path)
    (request,) = vertex_api.asked("POST", "/tuningJobs$")
    assert request.body["encryptionSpec"] == {"kms_key_name": KEY}  # Google reads names in snake case too


def test_steps_become_the_epochs_that_hold_them(cloud: Settings, vertex_api: Loopback, tmp_path: Path) -> None:
    dataset = make_dataset(cloud, "gemini", train=40)
    GeminiTuner().tune(cloud, dataset, TuneOptions(steps=12), tmp_path)  # 96 examples of 8 a step: 2.4 epochs
    (request,) = vertex_api.asked("POST", "/tuningJobs$")
    assert request.body["supervisedTuningSpec"]["hyperParameters"]["epochCount"] == 3


@pytest.mark.parametrize("how", [429, 503, "drop", "break"])
def test_a_fault_on_the_way_leaves_one_tuning_job(
    cloud: Settings, vertex: Vertex, vertex_api: Loopback, tmp_path: Path, how: int | str
) -> None:
    vertex_api.faults = [Fault("POST", "/tuningJobs$", how, 2), Fault("GET", "/tuningJobs", how, 2)]  # type: ignore[arg-type]
    model = GeminiTuner().tune(cloud, make_dataset(cloud, "gemini"), TuneOptions(), tmp_path)
    assert [fault.times for fault in vertex_api.faults][1] == 0
    assert list(vertex.tuning_jobs) == [model.facts["tuning_job"]]


def test_a_step_that_is_started_again_waits_for_its_first_job(cloud: Settings, vertex: Vertex, tmp_path: Path) -> None:
    dataset = make_dataset(cloud, "gemini")
    first = GeminiTuner().tune(cloud, dataset, TuneOptions(), tmp_path)
    assert GeminiTuner().tune(cloud, dataset, TuneOptions(), tmp_path) == first
    GeminiTuner().tune(cloud, dataset, TuneOptions(epochs=1), tmp_path)
    assert len(vertex.tuning_jobs) == 2


def test_a_failed_tuning_says_why_and_the_next_one_starts_anew(
    cloud: Settings, vertex: Vertex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = make_dataset(cloud, "gemini")
    create = Vertex.create_tuning

    def failing(self: Vertex, request: object) -> dict[str, object]:
        answer = create(self, request)  # type: ignore[arg-type]
        self.tuning_jobs[answer["name"]]["_left"] = ["JOB_STATE_FAILED"]
        self.tuning_jobs[answer["name"]]["error"] = {"code": 3, "message": "row 7 is too long"}
        return answer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vertex, "create_tuning", failing.__get__(vertex))
        from tests.cloud.servers.vertex_server import serve

        with serve(vertex) as server:
            pointed = msgspec.structs.replace(cloud, vertex_endpoint=server.url)
            with pytest.raises(TuningError, match="ended as FAILED: row 7 is too long"):
                GeminiTuner().tune(pointed, dataset, TuneOptions(), tmp_path)
    GeminiTuner().tune(cloud, dataset, TuneOptions(), tmp_path)
    assert len(vertex.tuning_jobs) == 2


@pytest.mark.parametrize(
    ("kind", "change", "options", "said"),
    [
        ("gemini", {"region": "europe-west1"}, {}, "Vertex AI does not tune models in europe-west1"),
        ("gemini", {}, {"base_model": "gemini-2.5-flash"}, "gemini-2.5-flash can no longer be tuned"),
        ("messages", {}, {"base_model": OPEN}, f"Gemini models only, not {OPEN}. Tune open models with --tuner hf"),
        ("gemini", {"kms_key": KEY}, {}, "does not tune gemini-3.5-flash-lite with your own encryption key"),
        ("gemini", {"kms_key": KEY}, {"base_model": "gemini-3.1-flash-lite"}, "Tune gemini-3.5-flash, or unset"),
        ("messages", {}, {"base_model": "gemini-3.5-flash"}, "does not accept the format messages"),
        ("gemini", {}, {"lora_rank": 3}, "gemini-3.5-flash-lite does not accept adapters of rank 3"),
        (
            "gemini",
            {},
            {"lora_rank": 32},
            "does not accept adapters of rank 32. Set --lora-rank to one of 1, 2, 4, 8, 16",
        ),
        ("gemini", {}, {"batch_size": 4}, "the batch size of gemini-3.5-flash-lite cannot be set"),
    ],
)
def test_what_vertex_ai_would_refuse_is_said_before_any_request(
    cloud: Settings,
    vertex_api: Loopback,
    tmp_path: Path,
    kind: str,
    change: dict[str, object],
    options: dict[str, object],
    said: str,
) -> None:
    dataset = make_dataset(cloud, kind)
    with pytest.raises(TuningError, match=said):
        GeminiTuner().tune(msgspec.structs.replace(cloud, **change), dataset, TuneOptions(**options), tmp_path)  # type: ignore[arg-type]
    assert vertex_api.seen == []


def test_a_base_model_that_google_does_not_tune_is_refused_by_the_service(cloud: Settings, tmp_path: Path) -> None:
    with pytest.raises(TuningError, match="base model gemini-9 cannot be tuned"):
        GeminiTuner().tune(cloud, make_dataset(cloud, "gemini"), TuneOptions(base_model="gemini-9"), tmp_path)


def test_the_documented_limits(settings: Settings) -> None:
    assert [GEMINI.evaluation(rows) for rows in (100, 10_000, 20_000)] == [1_000, 3_000, 5_000]
    assert GeminiTuner().evaluation_limit("gemini", 10_000) == 3_000


def test_a_dataset_within_the_limits_has_no_problem_but_its_size(settings: Settings) -> None:
    (advice,) = GeminiTuner().check(make_dataset(settings, "gemini", train=16))
    assert advice.what == "the dataset has only 16 training rows; at least 100 are recommended"
    assert not advice.fatal
    assert GeminiTuner().check(make_dataset(settings, "gemini-preference", train=100)) == []


def test_what_the_limits_refuse_is_named(settings: Settings) -> None:
    dataset = make_dataset(settings, "gemini", train=15, evaluation=1_001)
    long = json.dumps(line("gemini", "Why?", "x" * 400_000))
    empty = json.dumps(line("gemini", "Why?", " "))
    dataset.file("train").write_text(dataset.file("train").read_text() + f"{long}\n{empty}\n" + '{"contents": 1}\n')
    problems = [problem.what for problem in GeminiTuner().check(dataset) if problem.fatal]
    assert problems[0].startswith("Gemini tuning accepts at most 1,000 evaluation rows for 18 training rows")
    assert problems[1].startswith("train.jsonl: line 18 is not in the format gemini")
    assert problems[2] == "train.jsonl has 1 rows without a prompt or an answer"
    assert problems[3] == "train.jsonl has about 1 rows with more than 131,072 tokens"
    few = GeminiTuner().check(
        make_dataset(msgspec.structs.replace(settings, home=settings.home / "b"), "gemini", train=15)
    )
    assert few[0].what == "Gemini tuning accepts 16 to 10,000,000 training rows, but the dataset has 15"


def test_preferences_need_exactly_one_better_and_one_worse_answer(settings: Settings) -> None:
    dataset = make_dataset(settings, "gemini-preference")
    both_good = line("gemini-preference", "Why?", "Because.")
    both_good["completions"][1]["score"] = 1  # type: ignore[index]
    dataset.file("train").write_text(dataset.file("train").read_text() + json.dumps(both_good) + "\n")
    problems = [problem.what for problem in GeminiTuner().check(dataset) if problem.fatal]
    assert len(problems) == 1
    assert problems[0].startswith("train.jsonl: line 41 is not in the format gemini-preference")
