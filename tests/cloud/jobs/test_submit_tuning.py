"""The project's own pipeline as a job on Vertex AI, and what stops it before anything is sent."""

import logging
import math
import re
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from tests.cloud.servers.loopback import Loopback
from tests.cloud.servers.vertex_server import Vertex
from tests.cloud.storage.cloud_dataset import make_dataset
from tests.registry.candidates import register
from tuning.cloud.custom_job import JobMachine, find_or_start
from tuning.cloud.estimate import Cost
from tuning.command_line.options import TuningOptions
from tuning.dataset.dataset import find_dataset
from tuning.errors import TuningError
from tuning.gcs.storage import find_storage
from tuning.pipelines.end_to_end import Given, tune_all
from tuning.pipelines.plan import Plan
from tuning.pipelines.release.places import inputs_in
from tuning.pipelines.release.release import find_opponent, opponent_arguments
from tuning.pipelines.steps.requests import TuningRequest, dataset_sha256, training_key
from tuning.pipelines.vertex import jobs
from tuning.pipelines.vertex.job import Job
from tuning.pipelines.vertex.template_job import SubmitOptions, send
from tuning.pipelines.vertex.tuning_job import check_start, tuning_request
from tuning.registry import registry
from tuning.settings import Settings
from tuning.tuners.options import tuning_settings
from tuning.tuners.protocol import Model, TuneOptions


def test_a_champion_whose_base_needs_a_login_is_refused_before_anything_is_sent(
    cloud: Settings, tmp_path: Path
) -> None:
    base = "meta-llama/Llama-3.2-3B-Instruct"

    def promote(form: str) -> None:
        folder = tmp_path / form / form
        folder.mkdir(parents=True)
        (folder / "model.safetensors").write_bytes(form.encode())
        name = register(cloud, Model(tuner="hf", base_model=base, uri=str(folder)), folder.parent)
        registry.promote(cloud, name, force=True, reason="a trial")

    def placed() -> list[str]:
        return list(find_storage(cloud).addresses("gs://bucket/requests/"))

    inputs = inputs_in(cloud, "gs://bucket/requests")
    promote("merged")
    assert [opponent_arguments(cloud, find_opponent(cloud, "smollm2", "k"), inputs)["champion_uri"]] == placed()
    promote("adapter")
    with pytest.raises(TuningError, match=f"must beat v2, an adapter of {base}, which asks for a login on the hub"):
        opponent_arguments(cloud, find_opponent(cloud, "smollm2", "k"), inputs)
    assert len(placed()) == 1


def submit_tuning(
    settings: Settings, tuner: str, tune: TuneOptions, options: SubmitOptions, show: Callable[[str], None]
) -> Job:
    check_start(msgspec.structs.replace(settings, tuner=tuner), tune)
    plan = Plan(dataset=find_dataset(settings, options.dataset), tuner=tuner, tune=tune)
    return send(settings, tuning_request(settings, plan, options, show), options.again, show)


def test_the_compiled_pipeline_arrives_with_what_it_reads(cloud: Settings, vertex_api: Loopback) -> None:
    dataset = make_dataset(cloud, "gemini")
    said: list[str] = []
    job = submit_tuning(cloud, "gemini", TuneOptions(epochs=2), SubmitOptions(), said.append)
    (request,) = vertex_api.asked("POST", "/pipelineJobs$")
    values = request.body["runtimeConfig"]["parameterValues"]
    assert values["tuner"] == "gemini"
    assert values["dataset_uri"] == f"gs://bucket/datasets/{dataset.id}"
    assert values["dataset_sha256"] == dataset_sha256(dataset)
    assert request.body["pipelineSpec"]["pipelineInfo"]["name"] == "tune-python-qa"
    assert request.body["labels"]["dataset_id"] == dataset.id
    assert re.fullmatch(r"[0-9a-f]{40}(-dirty)?", request.body["labels"]["git_commit"])
    assert request.query["pipelineJobId"] == job.id
    with find_storage(cloud).open(values["tuning_uri"]) as file:
        asked = msgspec.json.decode(file.read())
    assert asked["options"]["epochs"] == 2
    assert "access_token" not in asked["settings"]
    uploaded = set(find_storage(cloud).addresses(f"gs://bucket/datasets/{dataset.id}/"))
    assert {uri.rsplit("/", 1)[1] for uri in uploaded} == {path.name for path in dataset.folder.iterdir()}
    assert said[1].startswith("about 0.0")
    assert "files uploaded, 0 already there" in said[2]


def test_a_full_training_is_asked_for_in_the_request_file(cloud: Settings, vertex_api: Loopback) -> None:
    make_dataset(cloud, "messages")
    settings, options = tuning_settings(cloud, TuningOptions(full=True))
    submit_tuning(settings, "hf", options, SubmitOptions(), print)
    (request,) = vertex_api.asked("POST", "/pipelineJobs$")
    values = request.body["runtimeConfig"]["parameterValues"]
    with find_storage(cloud).open(values["tuning_uri"]) as file:
        asked = msgspec.json.decode(file.read(), type=TuningRequest)
    assert (asked.tuner, asked.options) == ("hf", TuneOptions(full=True))


def test_the_machine_is_a_parameter_of_the_job_and_another_one_is_another_job(
    cloud: Settings, vertex_api: Loopback
) -> None:
    make_dataset(cloud, "messages")
    for given in (TuningOptions(), TuningOptions(accelerator="NVIDIA_TESLA_T4", machine_memory=60)):
        settings, options = tuning_settings(cloud, given)
        submit_tuning(settings, "hf", options, SubmitOptions(), print)
    asked = [request.body["runtimeConfig"]["parameterValues"] for request in vertex_api.asked("POST", "/pipelineJobs$")]
    machines = [[one[name] for name in ("cpu", "memory", "accelerator", "accelerator_count")] for one in asked]
    assert machines == [["8", "32G", "ACCELERATOR_TYPE_UNSPECIFIED", "0"], ["8", "60G", "NVIDIA_TESLA_T4", "1"]]


def test_with_a_spot_machine_the_step_is_small_and_the_job_has_the_machine_and_is_cancelled_with_it(
    cloud: Settings, vertex: Vertex, vertex_api: Loopback
) -> None:
    make_dataset(cloud, "messages")
    image = f"us-docker.pkg.dev/p/r/tuning@sha256:{'0' * 64}"
    with_image = msgspec.structs.replace(cloud, image=image)
    settings, options = tuning_settings(with_image, TuningOptions(spot=True, disk_gb=200, accelerator="NVIDIA_L4"))
    vertex.outcomes = ["PIPELINE_STATE_RUNNING"] * 9
    submit_tuning(settings, "hf", options, SubmitOptions(), print)
    (request,) = vertex_api.asked("POST", "/pipelineJobs$")
    values = request.body["runtimeConfig"]["parameterValues"]
    names = ("cpu", "memory", "accelerator", "accelerator_count")
    assert [values[name] for name in names] == ["8", "32G", "NVIDIA_L4", "1"]
    assert [values[f"tune_{name}"] for name in names] == ["4", "16G", "ACCELERATOR_TYPE_UNSPECIFIED", "0"]
    job = msgspec.json.decode(values["custom_job"])
    assert (job["machine_type"], job["spot"], job["disk_gb"], job["image"]) == ("g2-standard-8", True, 200, image)
    key = training_key(values)
    running, _ = find_or_start(cloud, msgspec.json.decode(values["custom_job"], type=JobMachine), ["python3"], key)
    other, _ = find_or_start(cloud, msgspec.json.decode(values["custom_job"], type=JobMachine), ["python3"], "other")
    jobs.cancel(cloud, request.query["pipelineJobId"])
    states = {name: job["state"] for name, job in vertex.custom.jobs.items()}
    assert states[running.name] == "JOB_STATE_CANCELLED"
    assert states[other.name] != "JOB_STATE_CANCELLED"
    late, is_new = find_or_start(cloud, msgspec.json.decode(values["custom_job"], type=JobMachine), ["python3"], key)
    assert is_new
    with pytest.raises(TuningError, match=r"already ended \(CANCELLED\)"):
        jobs.cancel(cloud, request.query["pipelineJobId"])
    assert vertex.custom.jobs[late.name]["state"] == "JOB_STATE_CANCELLED"
    three, options = tuning_settings(with_image, TuningOptions(spot=True, accelerator="NVIDIA_L4", accelerator_count=3))
    with pytest.raises(TuningError, match="no machine type of Vertex AI has 8 CPUs, 32 GB, 3 NVIDIA_L4"):
        check_start(three, options)


def test_a_second_submit_uploads_nothing_and_sends_nothing(cloud: Settings, vertex_api: Loopback) -> None:
    make_dataset(cloud, "gemini")
    said: list[str] = []
    first = submit_tuning(cloud, "gemini", TuneOptions(), SubmitOptions(), said.append)
    second = submit_tuning(cloud, "gemini", TuneOptions(), SubmitOptions(), said.append)
    assert first.id == second.id
    assert ": 0 files uploaded" in said[-3]
    assert len(vertex_api.asked("POST", "/pipelineJobs$")) == 1


@pytest.mark.parametrize(
    ("kind", "change", "options", "said"),
    [
        ("gemini", {"budget": 0.01}, {"base_model": "gemini-3.5-flash"}, r"more than the budget of 0\.01"),
        ("gemini", {"budget": 50.0}, {}, "no price known for gemini-3.5-flash-lite, so its tuning cannot be held"),
        ("gemini", {"region": "europe-west1"}, {}, "Vertex AI does not tune models in europe-west1"),
        ("gemini", {}, {"base_model": "text-bison@001"}, "text-bison@001 can no longer be tuned"),
        ("notebook", {}, {}, "the tuner gemini does not accept the format notebook"),
    ],
)
def test_what_is_wrong_is_said_before_any_request_that_costs_money(
    cloud: Settings,
    vertex_api: Loopback,
    kind: str,
    change: dict[str, object],
    options: dict[str, object],
    said: str,
) -> None:
    make_dataset(cloud, kind)
    settings = msgspec.structs.replace(cloud, **change)
    with pytest.raises(TuningError, match=said):
        submit_tuning(settings, "gemini", TuneOptions(**options), SubmitOptions(), print)  # type: ignore[arg-type]
    assert {request.path.rsplit(":", 1)[-1] for request, _ in vertex_api.seen} <= {"countTokens"}
    assert list(find_storage(cloud).addresses("gs://bucket/")) == []


def test_too_few_evaluation_rows_are_said_with_the_command_that_makes_more(cloud: Settings) -> None:
    make_dataset(cloud, "gemini", train=40, evaluation=3)
    with pytest.raises(TuningError, match=r"at least 5 are needed\. Make another with `invoke dataset`, with a "):
        submit_tuning(cloud, "gemini", TuneOptions(), SubmitOptions(), print)


def test_an_evaluation_set_above_the_limit_is_said_before_anything_is_made_and_sampled(
    cloud: Settings, created: Callable[[], list[str]]
) -> None:
    make_dataset(cloud, "gemini", train=40, evaluation=1_001)
    said: list[tuple[str, list[str]]] = []
    submit_tuning(cloud, "gemini", TuneOptions(), SubmitOptions(), lambda line: said.append((line, created())))
    line = "eval.jsonl has 1,001 rows, but the tuner accepts at most 1,000: validation takes a sample"
    assert said[0] == (line, [])


def test_googles_own_service_needs_an_image(cloud: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tuning.pipelines.vertex.template_job.credentials", lambda endpoint, settings: None)
    with pytest.raises(TuningError, match="no container image"):
        submit_tuning(
            msgspec.structs.replace(cloud, vertex_endpoint=""), "gemini", TuneOptions(), SubmitOptions(), print
        )


def test_no_credential_reaches_a_request_file_or_the_log(
    cloud: Settings, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    make_dataset(cloud, "gemini")
    submit_tuning(cloud, "gemini", TuneOptions(), SubmitOptions(), print)
    stored = b""
    for uri in find_storage(cloud).addresses("gs://bucket/"):
        with find_storage(cloud).open(uri) as file:
            stored += file.read()
    output = capfd.readouterr()
    said = (caplog.text + output.out + output.err).encode() + stored
    assert b"tuner" in stored  # the request files were read
    assert cloud.access_token.encode() not in said


@pytest.mark.parametrize(
    ("change", "tuning", "said"),
    [
        ({"region": "europe-west1"}, {}, "Vertex AI does not tune models in europe-west1"),
        ({}, {"base_model": "gemini-2.5-flash"}, "gemini-2.5-flash can no longer be tuned"),
        ({"vertex_endpoint": "", "project": "local-project"}, {}, "needs your own project"),
        ({"vertex_endpoint": ""}, {}, "GOOGLE_APPLICATION_CREDENTIALS"),
        ({}, {"budget": 50.0}, "no price known for gemini-3.5-flash-lite"),
        ({}, {"base_model": "google/gemma3@gemma-3-4b-it"}, "Gemini models only.* Tune open models with --tuner hf"),
        ({"image": "us-docker.pkg.dev/p/r/tuning:1"}, {}, "is not named by its digest"),
        ({"kms_key": "projects/p/locations/l/keyRings/r/cryptoKeys/k"}, {}, "with your own encryption key"),
    ],
)
def test_tune_says_what_is_wrong_before_it_builds(
    cloud: Settings, vertex_api: Loopback, change: dict[str, object], tuning: dict[str, object], said: str
) -> None:
    settings = msgspec.structs.replace(cloud, bigquery_endpoint="http://127.0.0.1:9", **change)
    with pytest.raises(TuningError, match=said):
        tune_all(settings, Given(tuning=TuningOptions(tuner="gemini", **tuning)), print)
    assert vertex_api.seen == []


def test_tune_asks_what_the_build_costs_before_it_builds(cloud: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    build = Cost("dbt build", "66 GB", 0.38, math.nan)
    monkeypatch.setattr("tuning.pipelines.vertex.tuning_job.estimate_build", lambda settings, variables: build)
    settings = msgspec.structs.replace(cloud, budget=0.4)
    given = Given(tuning=TuningOptions(tuner="gemini", base_model="gemini-3.5-flash"))
    with pytest.raises(TuningError, match=r"more than the budget of 0\.40 \(dbt build 0\.38, pipeline run 0\.03\)"):
        tune_all(settings, given, print)
