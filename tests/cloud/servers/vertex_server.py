"""Vertex AI on loopback: refuses what Google would refuse, by Google's own message types and documented limits."""

import copy
import itertools
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

# The requests are of v1beta1, but this version of Google's library knows thinkingLevel only in the messages of v1.
from google.cloud.aiplatform_v1.types import CountTokensRequest, GenerateContentRequest, PipelineJob, Schedule
from google.genai import types as genai
from pydantic import ValidationError

from tests.cloud.experiments.metadata_server import Metadata
from tests.cloud.servers.custom_jobs import CustomJobs
from tests.cloud.servers.discovery import Method, find_method
from tests.cloud.servers.endpoint_server import Endpoints
from tests.cloud.servers.loopback import Loopback, RefusedError, Request
from tests.cloud.servers.model_server import ModelRegistry
from tests.cloud.servers.rules import KEY, NOW, PARENT, check_labels
from tests.cloud.servers.rules import parse as _parse
from tests.cloud.servers.rules import place as _place
from tests.cloud.servers.rules import public as _public

SERVED_FROM = {"us-central1": "us", "europe-west4": "eu"}  # tuned models answer in the multi-region
BASE_MODELS = {"gemini-3.5-flash", "gemini-3.5-flash-lite", "gemini-3.1-flash-lite"}
_TYPES: dict[str, type | tuple[type, ...]] = {
    "STRING": str, "NUMBER_INTEGER": (int, float), "NUMBER_DOUBLE": (int, float), "BOOLEAN": bool,
    "LIST": list, "STRUCT": dict,
}  # fmt: skip
# The thinking budgets that a model takes, besides -1 (the model chooses). Flash and Flash-Lite take 0 as well: off.
BUDGETS = {
    "gemini-2.5-pro": range(128, 32_769),
    "gemini-2.5-flash-lite": range(512, 24_577),
    "gemini-2.5-flash": range(1, 24_577),
}
_NO_MINIMAL = re.compile(r"gemini-3(\.\d+)?-pro|gemini-3\.[78]-flash")


@dataclass
class Vertex:
    """What the service remembers. Each look at a job moves it one state on."""

    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    schedules: dict[str, dict[str, Any]] = field(default_factory=dict)
    tuning_jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    registry: ModelRegistry = field(default_factory=ModelRegistry)
    metadata: Metadata = field(default_factory=Metadata)
    outcomes: list[str] = field(default_factory=lambda: ["PIPELINE_STATE_RUNNING", "PIPELINE_STATE_SUCCEEDED"])
    run: Callable[[dict[str, Any]], None] | None = None  # runs an accepted job for real
    answers: Callable[[str], dict[str, Any]] = lambda prompt: {"text": f"Answer to: {prompt}"}
    begun: list[Callable[[], None]] = field(default_factory=list)  # accepted jobs that have not run yet
    numbers: Any = field(default_factory=lambda: itertools.count(1001))

    def __post_init__(self) -> None:
        self.endpoints = Endpoints(self.registry)
        self.custom = CustomJobs(self.begun, self.numbers)

    @property
    def models(self) -> dict[str, dict[str, Any]]:
        return self.registry.models

    def routes(self) -> list[tuple[str, str, Callable[[Request], Any]]]:
        return [
            ("POST", rf"{PARENT}/pipelineJobs", self.create_job),
            ("GET", rf"{PARENT}/pipelineJobs", self.list_jobs),
            ("GET", rf"{PARENT}/pipelineJobs/([^/:]+)", self.get_job),
            ("POST", rf"{PARENT}/pipelineJobs/([^/:]+):cancel", self.cancel_job),
            ("POST", rf"{PARENT}/schedules", self.create_schedule),
            ("GET", rf"{PARENT}/schedules", lambda request: {"schedules": list(self.schedules.values())}),
            ("GET", rf"{PARENT}/schedules/([^/:]+)", self.get_schedule),
            ("POST", rf"{PARENT}/schedules/([^/:]+):pause", self.pause_schedule),
            ("POST", rf"{PARENT}/schedules/([^/:]+):resume", self.resume_schedule),
            ("DELETE", rf"{PARENT}/schedules/([^/:]+)", self.delete_schedule),
            ("POST", rf"{PARENT}/tuningJobs", self.create_tuning),
            ("GET", rf"{PARENT}/tuningJobs", self.list_tunings),
            ("GET", rf"{PARENT}/tuningJobs/([^/:]+)", self.get_tuning),
            *self.custom.routes(),
            *self.registry.routes(),
            *self.endpoints.routes(),
            *self.metadata.routes(),
            ("POST", rf"{PARENT}/(endpoints/[^/:]+|publishers/google/models/[^/:]+):generateContent", self.generate),
            ("POST", rf"{PARENT}/(endpoints/[^/:]+|publishers/google/models/[^/:]+):countTokens", self.count_tokens),
        ]

    def create_job(self, request: Request) -> dict[str, Any]:
        project, location = _place(request)
        job = _parse(PipelineJob, request.body)
        name = request.query.get("pipelineJobId", "")
        if not re.fullmatch(r"[a-z][-a-z0-9]{0,127}", name):
            raise RefusedError(400, f"pipelineJobId {name!r} does not match [a-z][-a-z0-9]{{0,127}}")
        check_job(request.body, job)
        resource = f"projects/{project}/locations/{location}/pipelineJobs/{name}"
        if resource in self.jobs:
            raise RefusedError(409, f"{resource} already exists")
        self.jobs[resource] = {**request.body, "name": resource, "state": "PIPELINE_STATE_PENDING",
                               "createTime": NOW, "updateTime": NOW, "jobDetail": {"taskDetails": []}}  # fmt: skip
        self.jobs[resource]["_left"] = [] if self.run else list(self.outcomes)
        if self.run:
            self.begun.append(partial(self.run, self.jobs[resource]))
        return with_root(self.jobs[resource])

    def get_job(self, request: Request) -> dict[str, Any]:
        job = self._job(request)
        if job["_left"]:
            job["state"] = job["_left"].pop(0)
            task = job["state"].removeprefix("PIPELINE_STATE_")
            job["jobDetail"] = {"taskDetails": [{"taskId": "2", "taskName": "tune", "state": task}]}
            if job["state"] == "PIPELINE_STATE_FAILED":
                job["error"] = {"code": 9, "message": "the tuning step failed"}
        return with_root(job)

    def list_jobs(self, request: Request) -> dict[str, Any]:
        asked = re.fullmatch(r'schedule_name="(.+)"', request.query.get("filter", ""))
        found = [job for job in reversed(self.jobs.values()) if not asked or job.get("scheduleName") == asked[1]]
        return {"pipelineJobs": [with_root(job) for job in found]}

    def list_tunings(self, request: Request) -> dict[str, Any]:
        return {"tuningJobs": [_public(job) for job in reversed(self.tuning_jobs.values())]}

    def cancel_job(self, request: Request) -> dict[str, Any]:
        job = self._job(request)
        job["_left"] = []
        job["state"] = "PIPELINE_STATE_CANCELLED"
        return {}

    def _job(self, request: Request) -> dict[str, Any]:
        project, location = _place(request)
        name = f"projects/{project}/locations/{location}/pipelineJobs/{request.groups[2]}"
        if name not in self.jobs:
            raise RefusedError(404, f"{name} not found")
        return self.jobs[name]

    def create_schedule(self, request: Request) -> dict[str, Any]:
        project, location = _place(request)
        schedule = _parse(Schedule, request.body)
        if len(schedule.cron.removeprefix("TZ=").split()) < 5:
            raise RefusedError(400, f"cron {schedule.cron!r} is not a schedule")
        if not schedule.max_concurrent_run_count:
            raise RefusedError(400, "maxConcurrentRunCount is required")
        created = request.body["createPipelineJobRequest"]
        check_job(created["pipelineJob"], schedule.create_pipeline_job_request.pipeline_job, named=False)
        name = f"projects/{project}/locations/{location}/schedules/{next(self.numbers)}"
        times = {"createTime": NOW, "startTime": NOW, "updateTime": NOW, "nextRunTime": NOW}
        self.schedules[name] = {**request.body, **times, "name": name, "state": "ACTIVE", "startedRunCount": "0"}
        return self.schedules[name]

    def start_scheduled(self, name: str) -> dict[str, Any] | None:
        """What the service does at a time of the schedule: it starts the job, unless the schedule is paused or its job
        still runs. The job's ID is the service's choice."""
        schedule = self.schedules[name]
        is_busy = any(job["state"] in ("PIPELINE_STATE_PENDING", "PIPELINE_STATE_RUNNING")
                      for job in self.jobs.values() if job.get("scheduleName") == name)  # fmt: skip
        if schedule["state"] != "ACTIVE" or is_busy:
            return None
        schedule["startedRunCount"] = str(int(schedule["startedRunCount"]) + 1)
        job = copy.deepcopy(schedule["createPipelineJobRequest"]["pipelineJob"])
        pipeline = job["pipelineSpec"]["pipelineInfo"]["name"]
        place = name.rpartition("/schedules/")[0]
        resource = f"{place}/pipelineJobs/{pipeline}-{next(self.numbers)}"
        times = {"createTime": NOW, "updateTime": NOW}
        begun = {"state": "PIPELINE_STATE_PENDING", "jobDetail": {"taskDetails": []}, "_left": []}
        self.jobs[resource] = {**job, **times, **begun, "name": resource, "scheduleName": name}
        if self.run:
            self.run(self.jobs[resource])
        return self.jobs[resource]

    def get_schedule(self, request: Request) -> dict[str, Any]:
        return self.schedules[self._schedule(request)]

    def pause_schedule(self, request: Request) -> dict[str, Any]:
        self.schedules[self._schedule(request)]["state"] = "PAUSED"
        return {}

    def resume_schedule(self, request: Request) -> dict[str, Any]:
        self.schedules[self._schedule(request)]["state"] = "ACTIVE"
        return {}

    def delete_schedule(self, request: Request) -> dict[str, Any]:
        name = self._schedule(request)
        del self.schedules[name]
        empty = {"@type": "type.googleapis.com/google.protobuf.Empty"}
        return {"name": f"{name}/operations/1", "done": True, "response": empty}

    def _schedule(self, request: Request) -> str:
        project, location = _place(request)
        name = f"projects/{project}/locations/{location}/schedules/{request.groups[2]}"
        if name not in self.schedules:
            raise RefusedError(404, f"{name} not found")
        return name

    def create_tuning(self, request: Request) -> dict[str, Any]:
        project, location = _place(request)
        check_tuning(request.body)
        number = next(self.numbers)
        name = f"projects/{project}/locations/{location}/tuningJobs/{number}"
        place = f"projects/{project}/locations/{location}"
        model = f"{place}/models/{number}"
        self.models[model] = {
            "name": model,
            "versionId": "1",
            "versionAliases": ["default"],
            "createTime": NOW,
            "updateTime": NOW,
            "displayName": request.body.get("tunedModelDisplayName", ""),
        }
        times = {"createTime": NOW, "updateTime": NOW}
        self.tuning_jobs[name] = {**request.body, **times, "name": name, "state": "JOB_STATE_PENDING"}
        self.tuning_jobs[name]["_left"] = ["JOB_STATE_RUNNING", "JOB_STATE_SUCCEEDED"]
        return _public(self.tuning_jobs[name])

    def get_tuning(self, request: Request) -> dict[str, Any]:
        project, location = _place(request)
        place = f"projects/{project}/locations/{location}"
        number = request.groups[2]
        job = self.tuning_jobs.get(f"{place}/tuningJobs/{number}")
        if job is None:
            raise RefusedError(404, f"tuning job {number} not found")
        if job["_left"]:
            job["state"] = job["_left"].pop(0)
        job["startTime"] = NOW
        if job["state"] in ("JOB_STATE_SUCCEEDED", "JOB_STATE_FAILED"):
            job["endTime"] = NOW
        if job["state"] == "JOB_STATE_SUCCEEDED":
            endpoint = f"projects/{project}/locations/{SERVED_FROM[location]}/endpoints/{number}"
            checkpoint = {"checkpointId": "1", "epoch": "1", "step": "10", "endpoint": endpoint}
            model = f"{place}/models/{number}@1"
            job["tunedModel"] = {"model": model, "endpoint": endpoint, "checkpoints": [checkpoint]}
            facts = {"tuningDatasetExampleCount": "20", "totalBillableTokenCount": "5000"}
            job["tuningDataStats"] = {"supervisedTuningDataStats": facts}
        return _public(job)

    def generate(self, request: Request) -> dict[str, Any]:
        _place(request)
        body = {**request.body, "model": "m"}
        parsed = _parse(GenerateContentRequest, body)
        if not parsed.contents or parsed.contents[-1].role != "user":
            raise RefusedError(400, "contents must end with a user turn")
        check_thinking(self._base_of(request.groups[2]), parsed.generation_config.thinking_config)
        asked = parsed.contents[-1].parts[-1].text
        answer = self.answers(asked)
        if "raw" in answer:
            return answer["raw"]
        content = {"role": "model", "parts": [{"text": answer["text"]}]}
        rating = {"category": "HARM_CATEGORY_HARASSMENT", "probability": "NEGLIGIBLE"}
        candidate = {"content": content, "finishReason": answer.get("finish", "STOP"), "safetyRatings": [rating]}
        if "citations" in answer:
            candidate["citationMetadata"] = {"citations": answer["citations"]}
        usage = {"promptTokenCount": len(asked.split()), "candidatesTokenCount": len(answer["text"].split())}
        usage["totalTokenCount"] = sum(usage.values())
        return {"candidates": [candidate], "usageMetadata": usage, "createTime": NOW, "responseId": "1"}

    def _base_of(self, name: str) -> str:
        """The model behind a publisher's model or an endpoint; "" for an endpoint that no tuning here made."""
        kind, _, name = name.rpartition("/")
        if kind != "endpoints":
            return name
        return next((job["baseModel"] for key, job in self.tuning_jobs.items() if key.endswith(f"/{name}")), "")

    def count_tokens(self, request: Request) -> dict[str, Any]:
        _place(request)
        parsed = _parse(CountTokensRequest, request.body)
        texts = [part.text for content in parsed.contents for part in content.parts]
        return {"totalTokens": sum(len(text.split()) for text in texts)}


def check_job(body: dict[str, Any], job: Any, named: bool = True) -> None:
    """What Google documents of a PipelineJob beyond its fields' types."""
    if named and not 0 < len(job.display_name) <= 128:
        raise RefusedError(400, "displayName takes 1 to 128 characters")
    check_labels(job.labels)
    if not job.runtime_config.gcs_output_directory.startswith("gs://"):
        raise RefusedError(
            400, f"gcsOutputDirectory {job.runtime_config.gcs_output_directory!r} is not in Cloud Storage"
        )
    if job.service_account and "@" not in job.service_account:
        raise RefusedError(400, "serviceAccount is an e-mail address")
    if job.network and not re.fullmatch(r"projects/\d+/global/networks/[\w-]+", job.network):
        raise RefusedError(400, "network has the form projects/NUMBER/global/networks/NAME")
    key = job.encryption_spec.kms_key_name
    if key and not KEY.fullmatch(key):
        raise RefusedError(400, "kmsKeyName is not a key")
    spec = body.get("pipelineSpec") or {}
    if not spec.get("root") or not spec.get("pipelineInfo", {}).get("name"):
        raise RefusedError(400, "pipelineSpec has no root or no name")
    _check_parameters(spec, body.get("runtimeConfig", {}).get("parameterValues", {}))


def _check_parameters(spec: dict[str, Any], values: dict[str, Any]) -> None:
    declared = spec["root"].get("inputDefinitions", {}).get("parameters", {})
    for name, value in values.items():
        if name not in declared:
            raise RefusedError(400, f"unknown parameter {name}")
        kind = declared[name]["parameterType"]
        if not isinstance(value, _TYPES[kind]) or (isinstance(value, bool) and kind != "BOOLEAN"):
            raise RefusedError(400, f"parameter {name} is not a {kind}")
        if kind == "NUMBER_INTEGER" and value != int(value):
            raise RefusedError(400, f"parameter {name} is not a {kind}")
    for name, facts in declared.items():
        if name not in values and "defaultValue" not in facts and not facts.get("isOptional"):
            raise RefusedError(400, f"parameter {name} is missing")


def check_tuning(body: dict[str, Any]) -> None:
    try:
        job = genai.TuningJob.model_validate(body)
    except ValidationError as error:
        raise RefusedError(400, f"unknown or malformed field: {error.errors()[0]['loc']}") from None
    if job.base_model not in BASE_MODELS:
        raise RefusedError(400, f"base model {job.base_model} cannot be tuned")
    spec = job.supervised_tuning_spec or job.preference_optimization_spec
    if spec is None:
        raise RefusedError(400, "no tuning spec")
    for uri in (spec.training_dataset_uri, spec.validation_dataset_uri):
        if uri is not None and not re.fullmatch(r"gs://[^/]+/.+\.jsonl", uri):
            raise RefusedError(400, f"{uri} is not a JSONL file in Cloud Storage")
    if not spec.training_dataset_uri:
        raise RefusedError(400, "trainingDatasetUri is required")
    epochs = spec.hyper_parameters.epoch_count if spec.hyper_parameters else None
    if epochs is not None and not 1 <= epochs <= 100:
        raise RefusedError(400, f"epochCount {epochs} is not between 1 and 100")
    check_labels(job.labels or {})


def check_thinking(model: str, config: Any) -> None:
    """What https://cloud.google.com/vertex-ai/generative-ai/docs/thinking says about the models that we ask."""
    budget = config.thinking_budget if "thinking_budget" in config else None
    level = config.thinking_level.name if "thinking_level" in config else None
    if budget is not None and level is not None:
        raise RefusedError(400, "thinking_budget and thinking_level are not supported together")
    if (budget is not None or level) and "@" in model:
        raise RefusedError(400, "Thinking is not supported for this model")
    if level is not None and model.startswith("gemini-2.5"):
        raise RefusedError(400, "Thinking level is not supported for this model")
    if level == "MINIMAL" and _NO_MINIMAL.match(model):
        raise RefusedError(400, "Thinking level MINIMAL is not supported for this model")
    for prefix, budgets in BUDGETS.items():
        if model.startswith(prefix):
            if budget not in (None, -1, *([] if prefix.endswith("pro") else [0])) and budget not in budgets:
                raise RefusedError(400, f"thinking_budget is out of range; it takes {budgets[0]} to {budgets[-1]}")
            break


def with_root(job: dict[str, Any]) -> dict[str, Any]:
    """The job as it is answered: with the times of the tasks, and the root task, of which all others are parts."""
    root = {"taskId": "1001", "taskName": job["name"].rpartition("/")[2], "createTime": NOW}
    root["state"] = job["state"].removeprefix("PIPELINE_STATE_")
    tasks = [{"createTime": NOW, "startTime": NOW, "parentTaskId": "1001", **task}
             | ({} if task["state"] in ("PENDING", "RUNNING") else {"endTime": NOW})
             for task in job["jobDetail"]["taskDetails"]]  # fmt: skip
    ended = {"startTime": NOW, "endTime": NOW} if root["state"] in ("SUCCEEDED", "FAILED", "CANCELLED") else {}
    return {**_public(job), **ended, "jobDetail": {"taskDetails": [root, *tasks]}}


def serve(vertex: Vertex) -> Loopback:
    def find(request: Request) -> Method | None:
        return find_method("aiplatform.googleapis.com", request.method, request.path)

    return Loopback(vertex.routes(), find=find, after=vertex.begun)
