"""The notebook's job, sent by Google's own PipelineJob and compared with the notebook field by field."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cloud.servers.loopback import Loopback
from tests.cloud.storage.cloud_dataset import make_dataset
from tuning.gcs.storage import find_storage
from tuning.pipelines.vertex import notebook_template
from tuning.pipelines.vertex.template_job import SubmitOptions, submit_template
from tuning.settings import PROJECT_ROOT, Settings

NOTEBOOK = {
    "template_path": "https://us-kfp.pkg.dev/ml-pipeline/large-language-model-pipelines/tune-large-model/v2.0.0",
    "display_name": "deep_learning_ai_pipeline-{date}",
    "model_display_name": "deep-learning-ai-model-{date}",
    "location": "us-central1",
    "large_model_reference": "text-bison@001",
    "train_steps": 200,
    "dataset_uri": "./tune_data_stack_overflow_python_qa.jsonl",
    "evaluation_interval": 20,
    "evaluation_data_uri": "./tune_eval_data_stack_overflow_python_qa.jsonl",
    "pipeline_root": "./",
    "enable_caching": True,
}


def test_the_request_that_arrives_is_the_notebooks_job(cloud: Settings, vertex_api: Loopback) -> None:
    dataset = make_dataset(cloud)
    said: list[str] = []

    job = submit_template(cloud, NOTEBOOK["template_path"], {}, SubmitOptions(), said.append)

    (request,) = vertex_api.asked("POST", "/pipelineJobs$")
    body = request.body
    values = body["runtimeConfig"]["parameterValues"]
    date = body["displayName"].removeprefix("deep_learning_ai_pipeline-")
    # ./ is the notebook's own folder. A job sees no such folder: here it is the dataset's, in the bucket.
    here = f"gs://bucket/notebook/{dataset.id}/"
    assert re.fullmatch(r"\d\d:\d\d:\d\d:\d{4}", date)
    assert body["displayName"] == NOTEBOOK["display_name"].format(date=date)
    assert body["templateUri"] == NOTEBOOK["template_path"]
    assert request.path == f"/v1/projects/mine/locations/{NOTEBOOK['location']}/pipelineJobs"
    assert body["runtimeConfig"]["gcsOutputDirectory"] == NOTEBOOK["pipeline_root"].replace("./", here)
    assert values == {
        "model_display_name": NOTEBOOK["model_display_name"].format(date=date),
        "location": NOTEBOOK["location"],
        "large_model_reference": NOTEBOOK["large_model_reference"],
        "project": "mine",
        "train_steps": NOTEBOOK["train_steps"],
        "dataset_uri": NOTEBOOK["dataset_uri"].replace("./", here),
        "evaluation_interval": NOTEBOOK["evaluation_interval"],
        "evaluation_data_uri": NOTEBOOK["evaluation_data_uri"].replace("./", here),
    }
    tasks = body["pipelineSpec"]["root"]["dag"]["tasks"].values()
    assert [task["cachingOptions"] for task in tasks] == [{"enableCache": NOTEBOOK["enable_caching"]}]
    assert body["labels"]["dataset_id"] == dataset.id
    assert request.query["pipelineJobId"] == job.id
    for split, uri in (("train", values["dataset_uri"]), ("eval", values["evaluation_data_uri"])):
        with find_storage(cloud).open(uri) as file:
            assert file.read() == dataset.file(split).read_bytes()
    assert "text-bison@001 and all other PaLM models have been unavailable" in said[0]
    assert "--tuner gemini --epochs 40" in said[0]  # 200 steps of 8 rows on 40 rows


def test_an_evaluation_set_above_the_templates_limit_is_said_before_anything_is_made_and_sampled(
    cloud: Settings, vertex_api: Loopback, created: Callable[[], list[str]]
) -> None:
    dataset = make_dataset(cloud, train=40, evaluation=251)
    said: list[tuple[str, list[str]]] = []
    submit_template(cloud, NOTEBOOK["template_path"], {}, SubmitOptions(), lambda line: said.append((line, created())))
    assert said[0] == ("eval.jsonl has 251 rows, but the template accepts at most 250: sending a sample of 250", [])
    (request,) = vertex_api.asked("POST", "/pipelineJobs$")
    with find_storage(cloud).open(request.body["runtimeConfig"]["parameterValues"]["evaluation_data_uri"]) as file:
        sent = file.read().splitlines()
    assert len(sent) == 250
    assert set(sent) < set(dataset.file("eval").read_bytes().splitlines())


def test_the_literals_here_and_in_the_code_are_the_notebooks() -> None:
    path = PROJECT_ROOT.parent / "shared" / "SEED.txt"
    if not path.is_file():
        pytest.skip(f"the course notebook is not at {path}")
    notebook = path.read_text().replace("\\\n", "")

    def literal(pattern: str) -> str:
        (found,) = set(re.findall(pattern, notebook))
        return found

    read = {
        "template_path": literal(r"template_path = '(https:[^']+)'"),
        "display_name": literal(r'display_name=f"(deep_learning_ai_pipeline-[^"]+)"'),
        "model_display_name": literal(r'MODEL_NAME = f"([^"]+)"'),
        "location": literal(r'REGION = "([^"]+)"'),
        "large_model_reference": literal(r'"large_model_reference": "([^"]+)"'),
        "train_steps": int(literal(r"TRAINING_STEPS = (\d+)")),
        "dataset_uri": literal(r'TRAINING_DATA_URI = "([^"]+)"'),
        "evaluation_interval": int(literal(r"EVALUATION_INTERVAL = (\d+)")),
        "evaluation_data_uri": literal(r'EVAUATION_DATA_URI = "([^"]+)"'),
        "pipeline_root": literal(r'pipeline_root "([^"]+)"'),
        "enable_caching": literal(r"\n\s+enable_caching=(\w+),") == "True",
    }
    assert read == NOTEBOOK
    names = re.findall(r'"(\w+)": ', notebook.split("pipeline_arguments = {")[-1].split("}")[0])
    settings = Settings(home=Path("/nowhere"))
    assert names == [
        "model_display_name", "location", "large_model_reference", "project",
        "train_steps", "dataset_uri", "evaluation_interval", "evaluation_data_uri",
    ]  # fmt: skip
    assert literal(r'strftime\("([^"]+)"\)') == notebook_template.DATE_FORMAT
    assert settings.region == read["location"]
