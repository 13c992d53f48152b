"""The command line against Google on loopback, as a person types it."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cloud.servers.loopback import TOKEN, Loopback
from tests.cloud.servers.storage_bridge import Record
from tests.cloud.servers.vertex_server import Vertex
from tests.cloud.storage.cloud_dataset import make_dataset
from tests.invoked import Result, invoke_here
from tuning.gcs.object_file import client
from tuning.gcs.storage import find_storage
from tuning.pipelines.vertex.notebook_template import URI
from tuning.settings import PROJECT_ROOT, Settings

Invoke = Callable[..., Result]


@pytest.fixture
def invoke(cloud: Settings, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """``invoke`` in the environment of a person who points at the loopback servers."""
    names = ("home", "project", "bucket", "vertex_endpoint", "google_endpoint", "storage_endpoint", "access_token")
    for name in (*names, "poll_seconds"):
        monkeypatch.setenv(f"TUNING_{name.upper()}", str(getattr(cloud, name)))
    return invoke_here


def test_the_notebooks_job_from_submit_to_its_end(
    invoke: Invoke, cloud: Settings, vertex: Vertex, vertex_api: Loopback
) -> None:
    dataset = make_dataset(cloud)
    sent = invoke("submit", "--template", URI, "--wait")
    assert sent.returncode == 0, sent.stderr
    (name,) = (resource.rpartition("/")[2] for resource in vertex.jobs)
    lines = sent.stdout.splitlines()
    assert lines[0].startswith("warning: text-bison@001 and all other PaLM models have been unavailable")
    assert lines[1] == f"the notebook's ./ is gs://bucket/notebook/{dataset.id}/ in Cloud Storage"
    assert f"submitted {name} (deep_learning_ai_pipeline-" in sent.stdout
    assert lines[-1] == f"{name} SUCCEEDED"
    for shown in (invoke("status", "--target", "gcp"), invoke("status", name, "--target", "gcp")):
        assert shown.stdout.startswith(f"{name} SUCCEEDED (deep_learning_ai_pipeline-")
    again = invoke("submit", "--template", URI).stdout.splitlines()
    assert again[-2] == f"{name} already exists (SUCCEEDED): nothing was sent"
    assert len(vertex_api.asked("POST", "/pipelineJobs$")) == 1
    assert TOKEN not in sent.stdout + sent.stderr


def test_a_schedule_is_made_listed_and_deleted(invoke: Invoke, cloud: Settings) -> None:
    make_dataset(cloud)
    made = invoke("schedule", "--template", URI, "--cron", "0 3 * * 1", "--target", "gcp")
    assert made.returncode == 0, made.stderr
    listed = invoke("schedule", "--target", "gcp").stdout
    number = listed.split()[0]
    assert made.stdout.splitlines()[-1] == f"created {listed.strip()}"
    assert "ACTIVE '0 3 * * 1'" in listed
    assert invoke("schedule", "--runs", number, "--target", "gcp").stdout == "it has started no run yet\n"
    for option, word, state in (("--pause", "paused", "PAUSED"), ("--resume", "resumed", "ACTIVE")):
        said = invoke("schedule", option, number, "--target", "gcp").stdout
        assert said.startswith(f"{word} tune-large-model-")
        assert f" {state} " in invoke("schedule", "--target", "gcp").stdout
    assert invoke("schedule", "--delete", number, "--target", "gcp").stdout.startswith("deleted tune-large-model-")
    assert invoke("schedule", "--target", "gcp").stdout == "there are no schedules\n"


def test_a_running_job_is_cancelled(invoke: Invoke, cloud: Settings, vertex: Vertex) -> None:
    vertex.outcomes = ["PIPELINE_STATE_RUNNING"] * 9
    make_dataset(cloud)
    invoke("submit", "--template", URI, "--target", "gcp")
    (name,) = (resource.rpartition("/")[2] for resource in vertex.jobs)
    assert invoke("cancel", name, "--target", "gcp").stdout == f"{name} CANCELLED\n"


@pytest.mark.parametrize(
    ("arguments", "environ", "said"),
    [
        (["--template", URI], {"TUNING_VERTEX_ENDPOINT": ""}, "this command needs Vertex AI, and the target is local"),
        (["--template", URI, "--budget", "5"], {}, "the cost of an external template is unknown"),
        (["--template", URI, "--param", "train_steps=many"], {}, "train_steps must be a whole number, not 'many'"),
        (
            ["--template", URI, "--failure-policy", "medium"],
            {},
            "--failure-policy cannot be 'medium'. Choose one of: slow, fast",
        ),
        (["--template", URI], {"TUNING_REGION": "mars-east1"}, "'mars-east1' is not a region of Vertex AI"),
        (["--template", URI, "--dataset", "none"], {}, "contains no dataset"),
        (["--target", "gcp", "--param", "a=1"], {}, "--param needs --template"),
        (["--target", "gcp", "--tuner", "gemini"], {}, "does not accept the format notebook"),
        (
            ["--target", "gcp", "--template", URI],
            {"TUNING_VERTEX_ENDPOINT": "", "GOOGLE_APPLICATION_CREDENTIALS": ""},
            "no Google credentials",
        ),
        (
            ["--target", "gcp", "--template", URI],
            {"TUNING_VERTEX_ENDPOINT": "", "TUNING_PROJECT": ""},
            "target gcp needs your own project",
        ),
    ],
)
def test_a_mistake_is_one_line_before_anything_is_sent(
    invoke: Invoke,
    cloud: Settings,
    created: Callable[[], list[str]],
    tmp_path: Path,
    arguments: list[str],
    environ: dict[str, str],
    said: str,
) -> None:
    make_dataset(cloud)
    result = invoke("submit", *arguments, **{"HOME": str(tmp_path), "CLOUDSDK_CONFIG": str(tmp_path), **environ})
    assert result.returncode == 1
    assert said in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert created() == []


@pytest.mark.parametrize(
    ("arguments", "environ", "said"),
    [
        (
            ["--base-model", "gemini-3.5-flash", "--budget", "0.01"],
            {},
            r"this would cost about 0\.0\d dollars, more than the budget of 0\.01 .* nothing was sent",
        ),
        (["--budget", "50"], {}, "no price known for gemini-3.5-flash-lite, so its tuning cannot be held to a budget"),
        ([], {"TUNING_REGION": "europe-west1"}, "Vertex AI does not tune models in europe-west1"),
        ([], {"TUNING_VERTEX_ENDPOINT": "", "GOOGLE_APPLICATION_CREDENTIALS": ""}, "no Google credentials"),
    ],
)
def test_a_tuning_that_cannot_be_sent_is_one_line_before_anything_is_made(
    invoke: Invoke,
    cloud: Settings,
    created: Callable[[], list[str]],
    tmp_path: Path,
    arguments: list[str],
    environ: dict[str, str],
    said: str,
) -> None:
    make_dataset(cloud, "gemini")
    home = {"HOME": str(tmp_path), "CLOUDSDK_CONFIG": str(tmp_path)}
    result = invoke("submit", "--target", "gcp", "--tuner", "gemini", *arguments, **home, **environ)
    assert result.returncode == 1
    assert re.search(said, result.stderr)
    assert len(result.stderr.strip().splitlines()) == 1
    assert created() == []


@pytest.mark.parametrize(
    ("rows", "said"),
    [(251, "has more than 250"), (9, "has 9"), (0, "has 0")],
    ids=["too many", "too few", "none"],
)
def test_an_evaluation_file_of_ones_own_that_the_template_would_refuse_is_refused(
    invoke: Invoke,
    cloud: Settings,
    storage_record: Record,
    created: Callable[[], list[str]],
    rows: int,
    said: str,
) -> None:
    make_dataset(cloud)
    uri = "gs://bucket/mine.jsonl"
    client(cloud).bucket("bucket").blob("mine.jsonl").upload_from_string(b"{}\n" * rows)
    storage_record.seen.clear()
    result = invoke("submit", "--template", URI, "--param", f"evaluation_data_uri={uri}")
    assert result.returncode == 1
    assert f"the template accepts 10 to 250 evaluation rows, but {uri} {said}. Remove --param" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert created() == []


def test_a_file_of_ones_own_is_sent_in_place_of_the_datasets(
    invoke: Invoke, cloud: Settings, vertex_api: Loopback
) -> None:
    dataset = make_dataset(cloud, evaluation=251)
    client(cloud).bucket("bucket").blob("mine.jsonl").upload_from_string(b"{}\n" * 250)
    sent = invoke("submit", "--template", URI, "--param", "evaluation_data_uri=gs://bucket/mine.jsonl")
    assert sent.returncode == 0, sent.stderr
    assert "251 rows" not in sent.stdout
    (request,) = vertex_api.asked("POST", "/pipelineJobs$")
    values = request.body["runtimeConfig"]["parameterValues"]
    assert values["evaluation_data_uri"] == "gs://bucket/mine.jsonl"
    assert list(find_storage(cloud).addresses("gs://bucket/notebook/")) == [values["dataset_uri"]]
    assert values["dataset_uri"].startswith(f"gs://bucket/notebook/{dataset.id}/")


def test_a_file_of_ones_own_that_is_not_there_is_named(
    invoke: Invoke, cloud: Settings, created: Callable[[], list[str]]
) -> None:
    make_dataset(cloud)
    result = invoke("submit", "--template", URI, "--param", "evaluation_data_uri=gs://bucket/none.jsonl")
    assert result.stderr == "error: there is no gs://bucket/none.jsonl.\n"
    assert created() == []


def test_the_installed_command_sends_the_notebooks_job(cloud: Settings, vertex: Vertex) -> None:
    make_dataset(cloud)
    names = ("home", "project", "bucket", "vertex_endpoint", "google_endpoint", "storage_endpoint", "access_token")
    sent = subprocess.run(
        [str(Path(sys.executable).with_name("invoke")), "submit", "--template", URI],
        cwd=PROJECT_ROOT,
        env={**os.environ, **{f"TUNING_{name.upper()}": str(getattr(cloud, name)) for name in names}},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert (sent.returncode, sent.stderr) == (0, "")
    (name,) = (resource.rpartition("/")[2] for resource in vertex.jobs)
    assert [line.split(" (")[0] for line in sent.stdout.splitlines()[4:5]] == [f"submitted {name}"]
    assert len(sent.stdout.splitlines()) == 6  # nothing of Google's library in between
