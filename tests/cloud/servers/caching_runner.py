"""What Vertex AI does with an accepted pipeline job: its tasks, conditions, exit steps and cache, in this process.

No step is really run, except those that a test names.

The cache has no expiry, and knows a step by the pipeline's name, its component and its inputs:
https://cloud.google.com/vertex-ai/docs/pipelines/configure-caching. The bucket's rule deletes files by age, whatever
the cache names.
"""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from kfp.dsl import PipelineTaskFinalStatus

from tuning.cloud.required import STAGING_DAYS, STAGING_PREFIXES
from tuning.gcs.bucket import object_files
from tuning.gcs.object_file import client
from tuning.gcs.storage import find_storage, put_bytes
from tuning.settings import Settings
from tuning.storage import is_in_bucket

RESOURCES = {"cpu_limit", "memory_limit", "accelerator_type", "accelerator_count"}  # inputs that kfp adds to a task


@dataclass
class Lifecycle:
    """The bucket's rule on a clock of the test: it deletes working files that are as old as the rule says."""

    settings: Settings
    days: int = STAGING_DAYS
    born: dict[tuple[str, object], date] = field(default_factory=dict)

    def pass_time(self, today: date) -> list[str]:
        """Note what is new, delete what is too old on the day `today`, and return its addresses."""
        deleted = []
        for file in object_files(self.settings, f"gs://{self.settings.bucket}/"):
            name = file.uri.removeprefix(f"gs://{self.settings.bucket}/")
            born = self.born.setdefault((file.uri, file.generation), today)
            if name.startswith(STAGING_PREFIXES) and (today - born).days >= self.days:
                client(self.settings).bucket(self.settings.bucket).blob(name).delete()
                deleted.append(file.uri)
        return deleted


@dataclass(frozen=True)
class Scope:
    """What the tasks of a DAG can refer to."""

    parameters: Mapping[str, Any]
    artifacts: Mapping[str, dict[str, Any]]
    done: dict[str, dict[str, Any]] = field(default_factory=dict)  # by task: the parameters and artifacts that it made


@dataclass
class Mounted:
    """An artifact as a step sees it: an object or a folder of the bucket, as files."""

    uri: str
    path: str
    metadata: dict[str, Any]


@dataclass
class CachingRunner:
    """Call it with an accepted job; the job has ended when it returns."""

    settings: Settings
    outputs: Mapping[tuple[str, str], tuple[Mapping[str, bytes], Mapping[str, Any]]]
    """By step and output: its files by their path below the output's address ('' for the output itself), and its
    metadata. A step without an entry writes its name."""
    steps: Mapping[str, Callable[..., Any]] = field(default_factory=dict)  # by task: what is really run
    mount: Path = Path()  # where a step that is really run sees ``gs://``
    failing: set[str] = field(default_factory=set)  # tasks that fail
    cache: dict[str, dict[str, Any]] = field(default_factory=dict)
    ran: list[list[str]] = field(default_factory=list)  # by job: the steps that were not taken from the cache

    def __call__(self, job: dict[str, Any]) -> None:
        self.ran.append([])
        job["jobDetail"] = {"taskDetails": []}
        root = job["pipelineSpec"]["root"]
        declared = root["inputDefinitions"]["parameters"]
        values = {name: facts["defaultValue"] for name, facts in declared.items() if "defaultValue" in facts}
        error = self._dag(job, root, Scope(values | job["runtimeConfig"]["parameterValues"], {}))
        job["state"] = "PIPELINE_STATE_FAILED" if error else "PIPELINE_STATE_SUCCEEDED"
        if error:
            job["error"] = {"code": 9, "message": error}

    def _dag(self, job: dict[str, Any], component: dict[str, Any], scope: Scope) -> str:
        """Run the tasks until one fails, each after those that it needs, then the exit steps. Return the error."""
        tasks, error = component["dag"]["tasks"], ""
        exits = {name: task for name, task in tasks.items() if "strategy" in task.get("triggerPolicy", {})}
        waiting = {name: task for name, task in tasks.items() if name not in exits}
        while waiting and not error:
            name = next(
                name for name, task in waiting.items() if set(task.get("dependentTasks", [])) <= set(scope.done)
            )
            error = self._task(job, name, waiting.pop(name), scope, "")
        for name, task in exits.items():
            error = self._task(job, name, task, scope, error) or error
        return error

    def _task(self, job: dict[str, Any], name: str, task: dict[str, Any], scope: Scope, failed: str) -> str:
        component = job["pipelineSpec"]["components"][task["componentRef"]["name"]]
        parameters, artifacts = _inputs(job, task, scope, failed)
        scope.done[name] = {}
        if not _is_met(task, parameters):
            return ""
        if "dag" in component:
            return self._dag(job, component, Scope(parameters, artifacts))
        detail = {"taskId": str(len(job["jobDetail"]["taskDetails"]) + 1), "taskName": name}
        made = self._step(job, name, task, component, parameters, artifacts)
        job["jobDetail"]["taskDetails"].append(detail | {key: made[key] for key in made if key != "parameters"})
        scope.done[name] = made
        return made["error"]["message"] if "error" in made else ""

    def _step(
        self,
        job: dict[str, Any],
        name: str,
        task: dict[str, Any],
        component: dict[str, Any],
        parameters: dict[str, Any],
        artifacts: dict[str, dict[str, Any]],
    ) -> dict[str, Any]:
        executor = job["pipelineSpec"]["deploymentSpec"]["executors"][component["executorLabel"]]
        if "importer" in executor:
            artifact = {"uri": parameters["uri"], "metadata": {"sha256": parameters["metadata"]}}
            return {"state": "SUCCEEDED", "outputs": {"artifact": {"artifacts": [artifact]}}}
        facts = [job["pipelineSpec"]["pipelineInfo"]["name"], component, executor, str(parameters), artifacts]
        key = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
        is_cached = task.get("cachingOptions", {}).get("enableCache")
        if is_cached and key in self.cache:
            return {"state": "SKIPPED", "outputs": self.cache[key]}
        for artifact in artifacts.values():
            if not object_files(self.settings, artifact["uri"]):
                return {"state": "FAILED", "error": {"code": 9, "message": f"{artifact['uri']} is missing"}}
        self.ran[-1].append(name)
        if name in self.failing:
            return {"state": "FAILED", "error": {"code": 9, "message": f"the step {name} failed"}}
        root = f"{job['runtimeConfig']['gcsOutputDirectory']}/{job['name'].rpartition('/')[2]}/{name}"
        places = {output: f"{root}/{output}" for output in component.get("outputDefinitions", {}).get("artifacts", {})}
        if name in self.steps:
            return self._really(name, parameters, artifacts, places)
        outputs = {output: {"artifacts": [self._write(uri, name, output)]} for output, uri in places.items()}
        if is_cached:
            self.cache[key] = outputs
        return {"state": "SUCCEEDED", "outputs": outputs}

    def _really(
        self, name: str, parameters: dict[str, Any], artifacts: dict[str, dict[str, Any]], places: dict[str, str]
    ) -> dict[str, Any]:
        given = {key: self._mounted(one["uri"], one["metadata"]) for key, one in artifacts.items()}
        made = {key: self._mounted(uri, {}) for key, uri in places.items()}
        for value in parameters.values():
            if isinstance(value, str) and is_in_bucket(value):
                self._mounted(value, {})
        for prefix in (
            "requests/",
            "schedules/",
        ):  # a request can name other objects; Vertex AI mounts the whole bucket
            self._mounted(f"gs://{self.settings.bucket}/{prefix}", {})
        try:
            result = self.steps[name](**parameters, **given, **made)
        except SystemExit:
            return {"state": "FAILED", "error": {"code": 9, "message": f"the step {name} failed"}}
        for one in made.values():
            for file in [Path(one.path), *Path(one.path).rglob("*")]:
                if file.is_file():
                    put_bytes(self.settings, file.read_bytes(), f"gs://{file.relative_to(self.mount).as_posix()}")
        outputs = {key: {"artifacts": [{"uri": one.uri, "metadata": one.metadata}]} for key, one in made.items()}
        values = result._asdict() if hasattr(result, "_asdict") else {} if result is None else {"Output": result}
        return {"state": "SUCCEEDED", "outputs": outputs, "parameters": values}

    def _mounted(self, uri: str, metadata: Mapping[str, Any]) -> Mounted:
        path = self.mount / uri.removeprefix("gs://")
        path.parent.mkdir(parents=True, exist_ok=True)
        for found in find_storage(self.settings).addresses(uri):
            find_storage(self.settings).get(found, self.mount / found.removeprefix("gs://"))
        return Mounted(uri, str(path), dict(metadata))

    def _write(self, uri: str, task: str, output: str) -> dict[str, Any]:
        files, metadata = self.outputs.get((task, output), ({"": task.encode()}, {}))
        bucket, _, path = uri.removeprefix("gs://").partition("/")
        for name, content in files.items():
            blob = client(self.settings).bucket(bucket).blob(f"{path}/{name}" if name else path)
            blob.upload_from_string(content)
        return {"uri": uri, "metadata": dict(metadata)}


def _inputs(
    job: dict[str, Any], task: dict[str, Any], scope: Scope, failed: str
) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    parameters: dict[str, Any] = {}
    for key, source in task.get("inputs", {}).get("parameters", {}).items():
        match source:
            case {"componentInputParameter": name}:
                parameters[key] = scope.parameters[name]
            case {"taskOutputParameter": {"producerTask": producer, "outputParameterKey": name}}:
                parameters[key] = scope.done[producer]["parameters"][name]
            case {"taskFinalStatus": {"producerTask": producer}}:
                state = "FAILED" if failed else "SUCCEEDED"
                parameters[key] = PipelineTaskFinalStatus(state, job["name"], producer, 9 if failed else None, failed)
            case {"runtimeValue": {"constant": "{{$.pipeline_job_name}}"}}:
                parameters[key] = job["name"].rpartition("/")[2]
            case {"runtimeValue": {"constant": text}} if key in RESOURCES:
                (name,) = re.findall(r"inputs\.parameters\['(.+)'\]", text)
                parameters[key] = scope.parameters[task["inputs"]["parameters"][name]["componentInputParameter"]]
            case _:
                raise NotImplementedError(source)
    artifacts = {}
    for key, source in task.get("inputs", {}).get("artifacts", {}).items():
        match source:
            case {"componentInputArtifact": name}:
                artifacts[key] = scope.artifacts[name]
            case {"taskOutputArtifact": {"producerTask": producer, "outputArtifactKey": name}}:
                (artifacts[key],) = scope.done[producer]["outputs"][name]["artifacts"]
    return parameters, artifacts


def _is_met(task: dict[str, Any], parameters: Mapping[str, Any]) -> bool:
    """Whether the condition of a task is met: one truth value, as far as this stand-in knows."""
    condition = task.get("triggerPolicy", {}).get("condition")
    if not condition:
        return True
    asked = re.fullmatch(r"inputs\.parameter_values\['(.+)'\] == true", condition)
    if not asked:
        raise NotImplementedError(condition)
    return parameters[asked[1]] is True
