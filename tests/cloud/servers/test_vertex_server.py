"""The loopback server can fail: requests that Google would refuse are refused here, each for its own reason."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import requests
import yaml

from tests.cloud.servers.loopback import TOKEN, Loopback

JOBS = "/v1/projects/mine/locations/us-central1/pipelineJobs"
TUNING = "/v1beta1/projects/mine/locations/us-central1/tuningJobs"
SCHEDULES = "/v1/projects/mine/locations/us-central1/schedules"
GENERATE = "/v1beta1/projects/mine/locations/us/publishers/google/models/gemini-3.5-flash:generateContent"
Body = dict[str, Any]


@pytest.fixture
def job(seed_template: bytes) -> Body:
    return {
        "displayName": "a job",
        "labels": {"team": "data"},
        "pipelineSpec": yaml.safe_load(seed_template),
        "runtimeConfig": {
            "gcsOutputDirectory": "gs://bucket/root",
            "parameterValues": {"project": "mine", "model_display_name": "m", "train_steps": 200},
        },
    }


TUNING_JOB: Body = {
    "baseModel": "gemini-3.5-flash",
    "supervisedTuningSpec": {"trainingDatasetUri": "gs://bucket/train.jsonl", "hyperParameters": {"epochCount": "3"}},
}
QUESTION: Body = {"contents": [{"role": "user", "parts": [{"text": "Why?"}]}]}


def post(server: Loopback, path: str, body: Body, token: str = TOKEN) -> tuple[int, str]:
    answer = requests.post(server.url + path, json=body, headers={"Authorization": f"Bearer {token}"}, timeout=10)
    return answer.status_code, answer.json().get("error", {}).get("message", "")


def changed(body: Body, change: Callable[[Body], object]) -> Body:
    body = copy.deepcopy(body)
    change(body)
    return body


def values(body: Body) -> Body:
    found: Body = body["runtimeConfig"]["parameterValues"]
    return found


def test_well_formed_requests_are_taken(vertex_api: Loopback, job: Body) -> None:
    schedule = {
        "displayName": "weekly",
        "cron": "0 3 * * 1",
        "maxConcurrentRunCount": "1",
        "createPipelineJobRequest": {"parent": "projects/mine/locations/us-central1", "pipelineJob": job},
    }
    assert post(vertex_api, f"{JOBS}?pipelineJobId=good-1", job) == (200, "")
    assert post(vertex_api, TUNING, TUNING_JOB) == (200, "")
    assert post(vertex_api, SCHEDULES, schedule) == (200, "")
    assert post(vertex_api, GENERATE, QUESTION) == (200, "")


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("Bad_Id", lambda body: None, "pipelineJobId"),
        ("a:b", lambda body: None, "pipelineJobId"),
        ("", lambda body: None, "pipelineJobId"),
        ("ok", lambda body: body.update(templatURI="x"), "templatURI"),
        ("ok", lambda body: body["runtimeConfig"].update(caching=True), "caching"),
        ("ok", lambda body: body.update(displayName=""), "displayName"),
        ("ok", lambda body: body.update(displayName="x" * 129), "displayName"),
        ("ok", lambda body: body.update(labels={"date": "10:24:11:2026"}), "label date"),
        ("ok", lambda body: body.update(labels={"Team": "data"}), "label Team"),
        ("ok", lambda body: body.update(labels=["a"]), "payload"),
        ("ok", lambda body: body["runtimeConfig"].update(gcsOutputDirectory="./"), "not in Cloud Storage"),
        ("ok", lambda body: body["runtimeConfig"].update(failurePolicy="QUICKLY"), "QUICKLY"),
        ("ok", lambda body: values(body).update(train_steps="200"), "train_steps is not a NUMBER_INTEGER"),
        ("ok", lambda body: values(body).update(train_steps=1.5), "train_steps is not a NUMBER_INTEGER"),
        ("ok", lambda body: values(body).update(steps=200), "unknown parameter steps"),
        ("ok", lambda body: values(body).pop("project"), "project is missing"),
        ("ok", lambda body: body.pop("pipelineSpec"), "pipelineSpec"),
        ("ok", lambda body: body.update(encryptionSpec={"kmsKeyName": "my-key"}), "kmsKeyName"),
        ("ok", lambda body: body.update(network="default"), "network"),
        ("ok", lambda body: body.update(serviceAccount="runner"), "serviceAccount"),
    ],
)
def test_a_malformed_pipeline_job_is_refused(
    vertex_api: Loopback, job: Body, name: str, change: Callable[[Body], object], said: str
) -> None:
    status, message = post(vertex_api, f"{JOBS}?pipelineJobId={name}", changed(job, change))
    assert status == 400
    assert said in message


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        (TUNING, {**TUNING_JOB, "epochs": 3}, "epochs"),
        (TUNING, {**TUNING_JOB, "baseModel": "text-bison@001"}, "text-bison@001 cannot be tuned"),
        (TUNING, {"baseModel": "gemini-3.5-flash"}, "no tuning spec"),
        (TUNING, {**TUNING_JOB, "supervisedTuningSpec": {"trainingDatasetUri": "train.jsonl"}}, "train.jsonl"),
        (SCHEDULES, {"displayName": "d", "cron": "daily", "maxConcurrentRunCount": "1"}, "cron"),
        (GENERATE, {"contents": []}, "contents is required"),
        (GENERATE, {**QUESTION, "temprature": 0}, "temprature"),
        (JOBS.replace("us-central1", "mars-east1"), {}, "mars-east1"),
    ],
)
def test_other_malformed_requests_are_refused(vertex_api: Loopback, path: str, body: Body, said: str) -> None:
    status, message = post(vertex_api, path, body)
    assert status == 400
    assert said in message


@pytest.mark.parametrize(
    ("model", "thinking", "said"),
    [
        ("gemini-3.5-flash", {"thinkingLevel": "MINIMAL"}, ""),
        ("gemini-3.5-flash", {"thinkingLevel": "NONE"}, "NONE"),
        ("gemini-3.5-flash", {"thinkingLevel": "LOW", "thinkingBudget": 0}, "not supported together"),
        ("gemini-3.7-flash", {"thinkingLevel": "MINIMAL"}, "MINIMAL is not supported"),
        ("gemini-3.1-pro-preview", {"thinkingLevel": "MINIMAL"}, "MINIMAL is not supported"),
        ("gemini-3.1-pro-preview", {"thinkingLevel": "LOW"}, ""),
        ("gemini-2.5-flash", {"thinkingLevel": "LOW"}, "level is not supported"),
        ("gemini-2.5-flash", {"thinkingBudget": 0}, ""),
        ("gemini-2.5-flash-lite", {"thinkingBudget": 0}, ""),
        ("gemini-2.5-flash-lite", {"thinkingBudget": 128}, "takes 512 to 24576"),
        ("gemini-2.5-pro", {"thinkingBudget": 0}, "takes 128 to 32768"),
        ("gemini-2.5-pro", {"thinkingBudget": 128}, ""),
        ("gemma3@gemma-3-4b-it", {"thinkingBudget": 0}, "not supported"),
    ],
)
def test_thinking_that_a_model_does_not_take_is_refused(
    vertex_api: Loopback, model: str, thinking: Body, said: str
) -> None:
    path = GENERATE.replace("gemini-3.5-flash", model)
    status, message = post(vertex_api, path, {**QUESTION, "generationConfig": {"thinkingConfig": thinking}})
    assert status == (400 if said else 200)
    assert said in message


def test_another_token_an_unknown_method_and_a_second_job_of_one_id_are_refused(
    vertex_api: Loopback, job: Body
) -> None:
    assert post(vertex_api, f"{JOBS}?pipelineJobId=one", job, token="another")[0] == 401
    assert post(vertex_api, "/v1/projects/mine/pipelineJobs", job)[0] == 404
    assert post(vertex_api, f"{JOBS}?pipelineJobId=one", job)[0] == 200
    assert post(vertex_api, f"{JOBS}?pipelineJobId=one", job)[0] == 409
