"""What Vertex AI does with an accepted pipeline job, as far as its cache is concerned: no step is really run.

The cache has no expiry, and knows a step by the pipeline's name, its component and its inputs:
https://cloud.google.com/vertex-ai/docs/pipelines/configure-caching. The bucket's rule deletes files by age, whatever
the cache names.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from tuning.cloud.required import STAGING_DAYS, STAGING_PREFIXES
from tuning.gcs.bucket import object_files
from tuning.gcs.object_file import client
from tuning.settings import Settings


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


@dataclass
class CachingRunner:
    """Call it with an accepted job; the job has ended when it returns."""

    settings: Settings
    outputs: Mapping[tuple[str, str], tuple[Mapping[str, bytes], Mapping[str, Any]]]
    """By step and output: its files by their path below the output's address ('' for the output itself), and its
    metadata. A step without an entry writes its name."""
    cache: dict[str, dict[str, Any]] = field(default_factory=dict)
    ran: list[list[str]] = field(default_factory=list)  # by job: the steps that were not taken from the cache

    def __call__(self, job: dict[str, Any]) -> None:
        self.ran.append([])
        details: dict[str, dict[str, Any]] = {}
        job["jobDetail"] = {"taskDetails": []}
        job["state"] = "PIPELINE_STATE_SUCCEEDED"
        waiting = dict(job["pipelineSpec"]["root"]["dag"]["tasks"])
        while waiting:
            name = next(name for name, task in waiting.items() if set(task.get("dependentTasks", [])) <= set(details))
            details[name] = {"taskId": str(len(details) + 1), "taskName": name}
            details[name] |= self._task(job, name, waiting.pop(name), details)
            job["jobDetail"]["taskDetails"].append(details[name])
            if "error" in details[name]:
                job |= {"state": "PIPELINE_STATE_FAILED", "error": details[name]["error"]}
                return

    def _task(
        self, job: dict[str, Any], name: str, task: dict[str, Any], done: Mapping[str, dict[str, Any]]
    ) -> dict[str, Any]:
        spec, values = job["pipelineSpec"], job["runtimeConfig"]["parameterValues"]
        component = spec["components"][task["componentRef"]["name"]]
        executor = spec["deploymentSpec"]["executors"][component["executorLabel"]]
        parameters = {
            key: values[source["componentInputParameter"]]
            for key, source in task.get("inputs", {}).get("parameters", {}).items()
            if "componentInputParameter" in source
        }
        artifacts = {}
        for key, source in task.get("inputs", {}).get("artifacts", {}).items():
            made = source["taskOutputArtifact"]
            (artifacts[key],) = done[made["producerTask"]]["outputs"][made["outputArtifactKey"]]["artifacts"]
        if "importer" in executor:
            artifact = {"uri": parameters["uri"], "metadata": {"sha256": parameters["metadata"]}}
            return {"state": "SUCCEEDED", "outputs": {"artifact": {"artifacts": [artifact]}}}
        facts = [spec["pipelineInfo"]["name"], component, executor, parameters, artifacts]
        key = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
        if task.get("cachingOptions", {}).get("enableCache") and key in self.cache:
            return {"state": "SKIPPED", "outputs": self.cache[key]}
        for artifact in artifacts.values():
            if not object_files(self.settings, artifact["uri"]):
                return {"state": "FAILED", "error": {"code": 9, "message": f"{artifact['uri']} is missing"}}
        self.ran[-1].append(name)
        root = f"{job['runtimeConfig']['gcsOutputDirectory']}/{job['name'].rpartition('/')[2]}/{name}"
        self.cache[key] = {
            output: {"artifacts": [self._write(f"{root}/{output}", name, output)]}
            for output in component.get("outputDefinitions", {}).get("artifacts", {})
        }
        return {"state": "SUCCEEDED", "outputs": self.cache[key]}

    def _write(self, uri: str, task: str, output: str) -> dict[str, Any]:
        files, metadata = self.outputs.get((task, output), ({"": task.encode()}, {}))
        bucket, _, path = uri.removeprefix("gs://").partition("/")
        for name, content in files.items():
            blob = client(self.settings).bucket(bucket).blob(f"{path}/{name}" if name else path)
            blob.upload_from_string(content)
        return {"uri": uri, "metadata": dict(metadata)}
