"""Requests that Google takes, each with one field changed so that Google refuses it: the stand-ins refuse it too."""

import copy
from typing import Any

import pytest
import requests
import yaml

from tests.cloud.servers.discovery import InvalidError, find_method
from tests.cloud.servers.loopback import TOKEN, Loopback

PLACE = "projects/mine/locations/us-central1"
KEY = f"{PLACE}/keyRings/ring/cryptoKeys/key"
ENDPOINT = f"{PLACE}/endpoints/1"
GONE = object()  # the field is left out
Body = dict[str, Any]

PATHS = {
    "job": f"/v1/{PLACE}/pipelineJobs?pipelineJobId=job-1",
    "schedule": f"/v1/{PLACE}/schedules",
    "custom": f"/v1/{PLACE}/customJobs",
    "tuning": f"/v1beta1/{PLACE}/tuningJobs",
    "preference": f"/v1beta1/{PLACE}/tuningJobs",
    "question": "/v1beta1/projects/mine/locations/us/publishers/google/models/gemini-3.5-flash:generateContent",
    "count": "/v1beta1/projects/mine/locations/us/publishers/google/models/gemini-3.5-flash:countTokens",
    "aliases": f"/v1/{PLACE}/models/1@1:mergeVersionAliases",
    "model": f"/v1/{PLACE}/models:upload",
    "version": f"/v1/{PLACE}/models:upload",
    "evaluation": f"/v1/{PLACE}/models/1@1/evaluations:import",
    "endpoint": f"/v1/{PLACE}/endpoints?endpointId=python-qa",
    "deploy": f"/v1/{PLACE}/endpoints/1:deployModel",
    "undeploy": f"/v1/{PLACE}/endpoints/1:undeployModel",
    "permissions": "/cloudresourcemanager.googleapis.com/v3/projects/mine:testIamPermissions",
    "account": "/iam.googleapis.com/v1/projects/-/serviceAccounts/runner@mine.example:testIamPermissions",
    "repository": f"/artifactregistry.googleapis.com/v1/{PLACE}/repositories?repositoryId=images",
}


@pytest.fixture
def bodies(seed_template: bytes) -> dict[str, Body]:
    job = {
        "displayName": "a job",
        "labels": {"team": "data"},
        "pipelineSpec": yaml.safe_load(seed_template),
        "runtimeConfig": {
            "gcsOutputDirectory": "gs://bucket/root",
            "failurePolicy": "PIPELINE_FAILURE_POLICY_FAIL_FAST",
            "parameterValues": {"project": "mine", "model_display_name": "m", "train_steps": 200},
        },
        "serviceAccount": "runner@mine.iam.gserviceaccount.com",
        "network": "projects/1234/global/networks/vpc",
        "encryptionSpec": {"kmsKeyName": KEY},
    }
    contents = [{"role": "user", "parts": [{"text": "Why?"}]}]
    hyper = {"epochCount": "3", "adapterSize": "ADAPTER_SIZE_FOUR", "learningRateMultiplier": 0.5}
    files = {"trainingDatasetUri": "gs://bucket/train.jsonl", "validationDatasetUri": "gs://bucket/eval.jsonl"}
    tuning = {
        "baseModel": "gemini-3.5-flash",
        "tunedModelDisplayName": "m",
        "description": "d",
        "labels": {"key": "0"},
        "encryptionSpec": {"kmsKeyName": KEY},
    }
    model = {
        "displayName": "python-qa",
        "versionDescription": "better",
        "versionAliases": ["v1"],
        "labels": {"version": "v1"},
        "artifactUri": "gs://bucket/registry/v1/model/weights/merged",
        "containerSpec": {
            "imageUri": "us-docker.pkg.dev/vertex-ai/images/pytorch-vllm-serve:1",
            "args": ["python3", "-m", "vllm.entrypoints.api_server"],
            "ports": [{"containerPort": 8080}],
            "predictRoute": "/generate",
            "healthRoute": "/ping",
        },
        "encryptionSpec": {"kmsKeyName": KEY},
    }
    return {
        "job": job,
        "schedule": {
            "displayName": "weekly",
            "cron": "0 3 * * 1",
            "maxConcurrentRunCount": "1",
            "maxConcurrentActiveRunCount": "1",
            "createPipelineJobRequest": {"parent": PLACE, "pipelineJob": copy.deepcopy(job)},
        },
        "custom": {
            "displayName": "python-qa-training-0",
            "labels": {"python_qa_training": "0"},
            "jobSpec": {
                "workerPoolSpecs": [
                    {
                        "machineSpec": {
                            "machineType": "g2-standard-8",
                            "acceleratorType": "NVIDIA_L4",
                            "acceleratorCount": 1,
                        },
                        "replicaCount": "1",
                        "containerSpec": {"imageUri": "us-docker.pkg.dev/p/r/tuning@sha256:0", "command": ["python3"]},
                        "diskSpec": {"bootDiskSizeGb": 200},
                    }
                ],
                "scheduling": {"strategy": "SPOT", "restartJobOnWorkerRestart": True},
                "serviceAccount": "runner@mine.iam.gserviceaccount.com",
            },
            "encryptionSpec": {"kmsKeyName": KEY},
        },
        "tuning": {**tuning, "supervisedTuningSpec": {**files, "hyperParameters": hyper}},
        "preference": {**tuning, "preferenceOptimizationSpec": {**files, "hyperParameters": dict(hyper)}},
        "question": {
            "contents": contents,
            "systemInstruction": {"parts": [{"text": "Answer."}]},
            "generationConfig": {
                "temperature": 0.0,
                "maxOutputTokens": 1024,
                "thinkingConfig": {"thinkingLevel": "MINIMAL"},
            },
            "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_MEDIUM_AND_ABOVE"}],
        },
        "count": {"contents": contents},
        "aliases": {"versionAliases": ["champion", "-challenger"]},
        "model": {"modelId": "python-qa", "model": model},
        "version": {"parentModel": f"{PLACE}/models/1", "model": {**model, "versionAliases": ["v2"]}},
        "evaluation": {
            "modelEvaluation": {
                "displayName": "v1 of run 1",
                "metricsSchemaUri": "gs://google-cloud-aiplatform/schema/modelevaluation/"
                "general_text_generation_metrics_1.0.0.yaml",
                "metrics": {"rougeLSum": 21.5},
                "metadata": {"loss": 1.5},
            }
        },
        "endpoint": {"displayName": "python-qa", "labels": {"before": "v1"}, "encryptionSpec": {"kmsKeyName": KEY}},
        "deploy": {
            "deployedModel": {
                "id": "7",
                "displayName": "v7",
                "model": f"{PLACE}/models/1@1",
                "dedicatedResources": {
                    "machineSpec": {
                        "machineType": "g2-standard-8",
                        "acceleratorType": "NVIDIA_L4",
                        "acceleratorCount": 1,
                    },
                    "minReplicaCount": 1,
                    "maxReplicaCount": 1,
                },
            },
            "trafficSplit": {"0": 10, "5": 90},
        },
        "undeploy": {"deployedModelId": "6"},
        "permissions": {"permissions": ["bigquery.jobs.create"]},
        "account": {"permissions": ["iam.serviceAccounts.actAs"]},
        "repository": {"format": "DOCKER", "description": "images"},
    }


@pytest.fixture
def send(vertex_api: Loopback, google_api: Loopback, vertex: Any, bodies: dict[str, Body]) -> Any:
    vertex.models[f"{PLACE}/models/1"] = {
        "name": f"{PLACE}/models/1",
        "versionId": "1",
        "versionAliases": ["default", "taken"],
        "containerSpec": bodies["model"]["model"]["containerSpec"],
    }
    vertex.models[f"{PLACE}/models/2"] = {"name": f"{PLACE}/models/2", "versionId": "1", "versionAliases": ["default"]}
    vertex.endpoints.endpoints[ENDPOINT] = {
        "name": ENDPOINT,
        "displayName": "python-qa",
        "etag": "1",
        "deployedModels": [{"id": "5"}, {"id": "6"}],
        "trafficSplit": {"5": 100},
    }

    def post(path: str, body: Body) -> tuple[int, str]:
        server = google_api if ".googleapis.com/" in path else vertex_api
        answer = requests.post(server.url + path, json=body, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=10)
        return answer.status_code, answer.json().get("error", {}).get("message", "")

    return post


def changed(body: Body, field: str, value: object) -> Body:
    """The body with another value of a field, which is named by the keys that lead to it."""
    body = copy.deepcopy(body)
    *way, last = field.split(".")
    inner: Any = body
    for key in way:
        inner = inner[int(key) if key.isdigit() else key]
    if value is GONE:
        del inner[last]
    else:
        inner[last] = value
    return body


def test_each_request_is_taken_as_it_is(bodies: dict[str, Body], send: Any) -> None:
    assert {name: send(path, bodies[name]) for name, path in PATHS.items()} == dict.fromkeys(PATHS, (200, ""))


CHANGES = [
    # unknown fields
    ("job", "displayname", "x", "displayname"),
    ("job", "runtimeConfig.enableCaching", True, "enableCaching"),
    ("job", "runtimeConfig.outputDirectory", "gs://b/x", "outputDirectory"),
    ("job", "encryptionSpec.keyName", KEY, "keyName"),
    ("schedule", "cronLine", "0 3 * * 1", "cronLine"),
    ("schedule", "createPipelineJobRequest.job", {}, "job"),
    ("schedule", "createPipelineJobRequest.pipelineJob.caching", True, "caching"),
    ("custom", "jobSpec.workerPoolSpecs.0.bootDiskSizeGb", 200, "bootDiskSizeGb"),
    ("custom", "jobSpec.scheduling.spot", True, "spot"),
    ("tuning", "epochs", 3, "epochs"),
    ("tuning", "supervisedTuningSpec.trainingUri", "gs://bucket/train.jsonl", "trainingUri"),
    ("tuning", "supervisedTuningSpec.hyperParameters.epochs", 3, "epochs"),
    ("tuning", "supervisedTuningSpec.hyperParameters.beta", 0.1, "beta"),
    ("preference", "preferenceOptimizationSpec.hyperParameters.batch", 4, "batch"),
    ("question", "temperature", 0, "temperature"),
    ("question", "generationConfig.maxTokens", 5, "maxTokens"),
    ("question", "generationConfig.thinkingConfig.level", "LOW", "level"),
    ("question", "safetySettings.0.level", "OFF", "level"),
    ("question", "contents.0.text", "Why?", "text"),
    ("count", "prompt", "Why?", "prompt"),
    ("aliases", "aliases", ["champion"], "aliases"),
    ("model", "model.container", {}, "container"),
    ("model", "name", "python-qa", "name"),
    ("version", "model.containerSpec.port", 8080, "port"),
    ("evaluation", "modelEvaluation.metric", {}, "metric"),
    ("permissions", "permission", "a.b.c", "permission"),
    ("account", "resource", "x", "resource"),
    ("repository", "kind", "DOCKER", "kind"),
    ("endpoint", "traffic", {}, "traffic"),
    ("deploy", "deployedModel.machine", "g2-standard-8", "machine"),
    ("undeploy", "force", True, "force"),
    # wrong types
    ("job", "displayName", 5, "displayName"),
    ("job", "labels", ["team"], "labels"),
    ("job", "labels.team", 5, "labels.team"),
    ("job", "runtimeConfig", "gs://bucket/root", "runtimeConfig"),
    ("job", "runtimeConfig.gcsOutputDirectory", ["gs://bucket/root"], "gcsOutputDirectory"),
    ("job", "preflightValidations", "yes", "preflightValidations"),
    ("job", "reservedIpRanges", "vpc", "reservedIpRanges"),
    ("schedule", "maxConcurrentRunCount", "one", "maxConcurrentRunCount"),
    ("schedule", "maxConcurrentRunCount", 1.5, "maxConcurrentRunCount"),
    ("schedule", "allowQueueing", "true", "allowQueueing"),
    ("schedule", "startTime", "tomorrow", "startTime"),
    ("schedule", "endTime", "2026-11-05", "endTime"),
    ("tuning", "supervisedTuningSpec.hyperParameters.epochCount", "three", "epochCount"),
    ("tuning", "supervisedTuningSpec.hyperParameters.epochCount", 2.5, "epochCount"),
    ("tuning", "supervisedTuningSpec.hyperParameters.epochCount", True, "epochCount"),
    ("tuning", "supervisedTuningSpec.hyperParameters.learningRateMultiplier", "fast", "learningRateMultiplier"),
    ("tuning", "supervisedTuningSpec.exportLastCheckpointOnly", "yes", "exportLastCheckpointOnly"),
    ("tuning", "supervisedTuningSpec", [], "supervisedTuningSpec"),
    ("custom", "jobSpec.workerPoolSpecs.0.diskSpec.bootDiskSizeGb", "large", "bootDiskSizeGb"),
    ("custom", "jobSpec.workerPoolSpecs.0.containerSpec.command", "python3", "command"),
    ("custom", "jobSpec.scheduling.restartJobOnWorkerRestart", "yes", "restartJobOnWorkerRestart"),
    ("tuning", "description", {"text": "d"}, "description"),
    ("question", "generationConfig.maxOutputTokens", "many", "maxOutputTokens"),
    ("question", "generationConfig.maxOutputTokens", 2**31, "maxOutputTokens"),
    ("question", "generationConfig.temperature", "cold", "temperature"),
    ("question", "generationConfig.thinkingConfig.thinkingBudget", "none", "thinkingBudget"),
    ("question", "contents", "Why?", "contents"),
    ("question", "contents.0.parts", {"text": "Why?"}, "parts"),
    ("question", "contents.0.parts.0.text", 5, "text"),
    ("question", "systemInstruction", "Answer.", "systemInstruction"),
    ("count", "contents.0.parts.0.inlineData", {"mimeType": "text/plain", "data": "%"}, "data"),
    ("aliases", "versionAliases", "champion", "versionAliases"),
    ("model", "model.containerSpec.args", "python3", "args"),
    ("model", "model.containerSpec.ports.0.containerPort", "http", "containerPort"),
    ("version", "model.versionAliases", "v2", "versionAliases"),
    ("permissions", "permissions", "bigquery.jobs.create", "permissions"),
    ("account", "permissions", [5], "permissions[0]"),
    ("repository", "labels", ["a"], "labels"),
    ("deploy", "trafficSplit", {"0": "ten"}, "trafficSplit"),
    ("deploy", "deployedModel.dedicatedResources.minReplicaCount", "one", "minReplicaCount"),
    ("undeploy", "deployedModelId", 6, "deployedModelId"),
    # names that an enum does not have
    ("deploy", "deployedModel.dedicatedResources.machineSpec.acceleratorType", "L4", "acceleratorType"),
    ("deploy", "deployedModel.dedicatedResources.machineSpec.acceleratorType", 7, "acceleratorType"),
    ("custom", "jobSpec.scheduling.strategy", "PREEMPTIBLE", "strategy"),
    ("job", "runtimeConfig.failurePolicy", "FAST", "failurePolicy"),
    ("job", "runtimeConfig.failurePolicy", 9, "failurePolicy"),
    ("tuning", "supervisedTuningSpec.hyperParameters.adapterSize", "ADAPTER_SIZE_THREE", "adapterSize"),
    ("preference", "preferenceOptimizationSpec.hyperParameters.adapterSize", "4", "adapterSize"),
    ("question", "generationConfig.thinkingConfig.thinkingLevel", "NONE", "thinkingLevel"),
    ("question", "safetySettings.0.category", "HARASSMENT", "category"),
    ("question", "safetySettings.0.threshold", "BLOCK_SOME", "threshold"),
    ("repository", "format", "OCI", "format"),
    # required fields that are missing
    ("job", "runtimeConfig.gcsOutputDirectory", GONE, "gcsOutputDirectory is required"),
    ("job", "encryptionSpec.kmsKeyName", GONE, "kmsKeyName is required"),
    ("schedule", "displayName", GONE, "displayName is required"),
    ("schedule", "maxConcurrentRunCount", GONE, "maxConcurrentRunCount is required"),
    ("schedule", "createPipelineJobRequest.pipelineJob", GONE, "pipelineJob is required"),
    ("schedule", "createPipelineJobRequest.parent", GONE, "parent is required"),
    ("custom", "displayName", GONE, "displayName is required"),
    ("custom", "jobSpec", GONE, "jobSpec is required"),
    ("custom", "jobSpec.workerPoolSpecs", [], "workerPoolSpecs is required"),
    ("custom", "jobSpec.workerPoolSpecs.0.containerSpec.imageUri", GONE, "imageUri is required"),
    ("tuning", "supervisedTuningSpec.trainingDatasetUri", GONE, "trainingDatasetUri is required"),
    ("preference", "preferenceOptimizationSpec.trainingDatasetUri", "", "trainingDatasetUri is required"),
    ("tuning", "encryptionSpec.kmsKeyName", "", "kmsKeyName is required"),
    ("question", "contents", GONE, "contents is required"),
    ("question", "safetySettings.0.category", GONE, "category is required"),
    ("aliases", "versionAliases", GONE, "versionAliases is required"),
    ("model", "model", GONE, "model is required"),
    ("model", "model.displayName", GONE, "displayName is required"),
    ("model", "model.containerSpec.imageUri", GONE, "imageUri is required"),
    ("evaluation", "modelEvaluation", GONE, "modelEvaluation is required"),
    ("repository", "format", GONE, "format is required"),
    ("endpoint", "displayName", GONE, "displayName is required"),
    ("deploy", "deployedModel.dedicatedResources.machineSpec", GONE, "machineSpec is required"),
    ("undeploy", "deployedModelId", GONE, "deployedModelId is required"),
    # what Google's documentation says beyond the discovery documents
    ("job", "serviceAccount", "runner", "serviceAccount"),
    ("job", "network", "vpc", "network"),
    ("job", "labels.Team", "x", "label Team"),
    ("schedule", "cron", "daily", "cron"),
    ("custom", "displayName", "x" * 129, "displayName"),
    ("custom", "labels.python_qa_training", "A", "label python_qa_training"),
    ("custom", "jobSpec.serviceAccount", "runner", "serviceAccount"),
    ("custom", "encryptionSpec.kmsKeyName", "key", "kmsKeyName"),
    ("custom", "jobSpec.workerPoolSpecs.0.replicaCount", "2", "replicaCount"),
    ("custom", "jobSpec.workerPoolSpecs.0.containerSpec", GONE, "containerSpec"),
    ("custom", "jobSpec.workerPoolSpecs.0.machineSpec.machineType", "g2-standard-9x", "machine type"),
    ("custom", "jobSpec.workerPoolSpecs.0.machineSpec.acceleratorType", "NVIDIA_TESLA_T4", "acceleratorType"),
    ("custom", "jobSpec.workerPoolSpecs.0.machineSpec.acceleratorCount", 2, "acceleratorCount"),
    ("custom", "jobSpec.workerPoolSpecs.0.machineSpec", {"machineType": "g2-standard-8"}, "acceleratorType"),
    ("custom", "jobSpec.workerPoolSpecs.0.diskSpec.bootDiskSizeGb", 50, "bootDiskSizeGb"),
    ("tuning", "baseModel", "text-bison@001", "cannot be tuned"),
    ("tuning", "supervisedTuningSpec.validationDatasetUri", "eval.jsonl", "eval.jsonl"),
    ("tuning", "supervisedTuningSpec.hyperParameters.epochCount", 101, "epochCount"),
    ("question", "contents.0.role", "model", "user turn"),
    ("aliases", "versionAliases", ["Champion!"], "alias"),
    ("aliases", "versionAliases", ["-default"], "default"),
    ("model", "modelId", "Python", "modelId"),
    ("model", "modelId", "1-python", "modelId"),
    ("model", "parentModel", f"{PLACE}/models/1", "modelId and parentModel"),
    ("model", "model.displayName", "x" * 129, "displayName"),
    ("model", "model.labels.version", "V1", "label version"),
    ("model", "model.artifactUri", "/var/models/v1", "artifactUri"),
    ("model", "model.containerSpec", GONE, "containerSpec"),
    ("model", "model.containerSpec.imageUri", "vllm", "imageUri"),
    ("model", "model.containerSpec.healthRoute", "ping", "healthRoute"),
    ("model", "model.containerSpec.ports.0.containerPort", 0, "containerPort"),
    ("model", "model.encryptionSpec.kmsKeyName", "key", "kmsKeyName"),
    ("version", "model.versionAliases", ["2"], "alias"),
    ("version", "model.versionAliases", ["taken"], "alias taken is used"),
    ("evaluation", "modelEvaluation.metricsSchemaUri", "gs://bucket/mine.yaml", "metricsSchemaUri"),
    ("evaluation", "modelEvaluation.metricsSchemaUri", GONE, "metricsSchemaUri"),
    ("evaluation", "modelEvaluation.metrics", {"loss": 1.5}, "metrics"),
    ("evaluation", "modelEvaluation.metrics", {"rougeLSum": "high"}, "metrics"),
    ("evaluation", "modelEvaluation.metrics", GONE, "metrics"),
    ("endpoint", "displayName", "x" * 129, "displayName"),
    ("endpoint", "trafficSplit", {"7": 100}, "not deployed"),
    ("endpoint", "labels.before", "V1", "label before"),
    ("endpoint", "encryptionSpec.kmsKeyName", "key", "kmsKeyName"),
    ("deploy", "trafficSplit", {"0": 10, "5": 80}, "add up to 100"),
    ("deploy", "trafficSplit", {"7": 100}, "7, which is not deployed"),
    ("deploy", "deployedModel.id", "v7", "not 1 to 10 digits"),
    ("deploy", "deployedModel.id", "0", "not 1 to 10 digits"),
    ("deploy", "deployedModel.model", f"{PLACE}/models/2@1", "does not support dedicated resources"),
    ("deploy", "deployedModel.dedicatedResources", GONE, "dedicatedResources"),
    ("deploy", "deployedModel.automaticResources", {"minReplicaCount": 1}, "prediction_resources"),
    ("deploy", "deployedModel.dedicatedResources.maxReplicaCount", -1, "maxReplicaCount"),
    ("deploy", "deployedModel.dedicatedResources.machineSpec.machineType", "g2-standard-9", "machine type"),
    ("deploy", "deployedModel.dedicatedResources.machineSpec.acceleratorType", "NVIDIA_TESLA_T4", "acceleratorType"),
    ("deploy", "deployedModel.dedicatedResources.machineSpec.acceleratorCount", 2, "acceleratorCount"),
    ("undeploy", "deployedModelId", "5", "100% of the traffic"),
    ("undeploy", "trafficSplit", {"5": 50}, "add up to 100"),
    ("undeploy", "trafficSplit", {"6": 100}, "100% of the traffic"),
    ("permissions", "permissions", ["bigquery.*"], "permission"),
]  # fmt: skip


def test_there_are_enough_changes() -> None:
    assert len(CHANGES) >= 55
    assert len({(name, field, repr(value)) for name, field, value, _ in CHANGES}) == len(CHANGES)
    assert {name for name, *_ in CHANGES} == set(PATHS)


@pytest.mark.parametrize(("name", "field", "value", "said"), CHANGES)
def test_a_changed_request_is_refused(
    bodies: dict[str, Body], send: Any, name: str, field: str, value: object, said: str
) -> None:
    status, message = send(PATHS[name], changed(bodies[name], field, value))
    assert status == 400
    assert said in message


def test_a_model_that_is_there_or_is_not_is_said(bodies: dict[str, Body], send: Any) -> None:
    for name, status in (("model", 200), ("model", 409)):
        assert send(PATHS[name], bodies[name])[0] == status
    assert send(PATHS["version"], changed(bodies["version"], "parentModel", f"{PLACE}/models/9"))[0] == 404
    assert send(PATHS["aliases"].replace("1@1", "1@taken"), bodies["aliases"]) == (
        400,
        "name must include a version ID",
    )
    assert send(PATHS["evaluation"].replace("1@1", "1@7"), bodies["evaluation"])[0] == 404


def test_an_endpoint_or_a_deployed_model_that_is_there_or_is_not_is_said(bodies: dict[str, Body], send: Any) -> None:
    for name in ("endpoint", "deploy"):  # of a deployment, while it still runs
        assert [send(PATHS[name], bodies[name])[0] for _ in range(2)] == [200, 409]
    assert send(PATHS["deploy"], changed(bodies["deploy"], "deployedModel.id", "5"))[0] == 409
    assert send(PATHS["deploy"].replace("us-central1", "europe-west4"), bodies["deploy"])[0] == 404
    unknown = changed(bodies["deploy"], "deployedModel.model", f"{PLACE}/models/1@9")
    assert send(PATHS["deploy"], changed(unknown, "deployedModel.id", "8"))[0] == 404
    assert send(PATHS["undeploy"], {"deployedModelId": "9"})[0] == 404


@pytest.mark.parametrize(
    ("mask", "body", "status"),
    [
        ("trafficSplit", {"trafficSplit": {"5": 40, "6": 60}, "etag": "1"}, 200),
        ("trafficSplit", {}, 200),
        ("trafficSplit", {"trafficSplit": {"5": 40}}, 400),
        ("trafficSplit", {"trafficSplit": {"5": 140, "6": -40}}, 400),
        ("trafficSplit", {"trafficSplit": {"7": 100}}, 400),
        ("trafficSplit", {"trafficSplit": {"6": 100}, "etag": "0"}, 409),
        ("labels", {"labels": {"before": "V1"}}, 400),
        ("network", {"network": "vpc"}, 400),
    ],
)
def test_a_change_of_an_endpoint_is_taken_or_refused(
    send: Any, vertex_api: Loopback, mask: str, body: Body, status: int
) -> None:
    url, headers = f"{vertex_api.url}/v1/{ENDPOINT}?updateMask={mask}", {"Authorization": f"Bearer {TOKEN}"}
    sent = {"name": ENDPOINT, "displayName": "python-qa", **body}
    assert requests.patch(url, json=sent, headers=headers, timeout=10).status_code == status


@pytest.mark.parametrize(
    ("path", "said"),
    [
        (f"/v1/{PLACE}/pipelineJobs?jobId=job-1", 'Unknown name "jobId"'),
        (f"/artifactregistry.googleapis.com/v1/{PLACE}/repositories?id=images", 'Unknown name "id"'),
        (f"/artifactregistry.googleapis.com/v1/{PLACE}/repositories?repositoryId=My_Images", "repositoryId"),
    ],
)
def test_a_changed_query_is_refused(bodies: dict[str, Body], send: Any, path: str, said: str) -> None:
    status, message = send(path, bodies["job" if "pipelineJobs" in path else "repository"])
    assert status == 400
    assert said in message


@pytest.mark.parametrize(
    ("verb", "path", "answer"),
    [
        ("GET", f"/v1/{PLACE}/pipelineJobs/a", {"state": "SUCCEEDED"}),
        ("GET", f"/v1/{PLACE}/pipelineJobs/a", {"create_time": "2026-11-05T03:00:00Z"}),
        ("GET", f"/v1/{PLACE}/pipelineJobs/a", {"createTime": "yesterday"}),
        ("GET", f"/v1/{PLACE}/pipelineJobs/a", {"jobDetail": {"taskDetails": [{"taskId": 1}]}}),
        ("GET", f"/v1beta1/{PLACE}/tuningJobs/1", {"tunedModel": {"endpoints": ["x"]}}),
        ("GET", f"/v1/{PLACE}/schedules", {"schedules": {}}),
    ],
)
def test_an_answer_that_google_cannot_give_is_found(verb: str, path: str, answer: Body) -> None:
    method = find_method("aiplatform.googleapis.com", verb, path)
    assert method is not None
    with pytest.raises(InvalidError):
        method.check_answer(answer)
