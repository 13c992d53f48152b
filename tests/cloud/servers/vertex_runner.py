"""What Vertex AI does with an accepted pipeline job: runs its compiled steps, here by kfp.local in another process.

A step on Vertex AI sees ``gs://BUCKET`` as the folder /gcs/BUCKET; here the bucket is first copied to a folder.
"""

import json
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from tuning.gcs.storage import find_storage
from tuning.pipelines.local.runner import run_template
from tuning.pipelines.outcome import Output
from tuning.pipelines.vertex.run import OUTPUTS
from tuning.settings import Settings


@dataclass
class VertexRunner:
    """Call it with an accepted job; it runs in a thread and leaves its state and tasks in the job."""

    settings: Settings  # those of the submitter, by which the bucket is reached
    home: Path  # of the machine that the steps run on
    failures: list[str] = field(default_factory=list)

    def __call__(self, job: dict[str, Any]) -> None:
        job["state"] = "PIPELINE_STATE_RUNNING"
        threading.Thread(target=self._run, args=(job,), daemon=True).start()

    def _run(self, job: dict[str, Any]) -> None:
        try:
            tasks = self._tasks(job)
        except Exception as error:
            self.failures.append(repr(error))
            job["error"] = {"code": 9, "message": str(error)}
            job["state"] = "PIPELINE_STATE_FAILED"
        else:
            job["jobDetail"] = {"taskDetails": tasks}
            job["state"] = "PIPELINE_STATE_SUCCEEDED"

    def _tasks(self, job: dict[str, Any]) -> list[dict[str, Any]]:
        folder = self.home / "job"
        folder.mkdir(parents=True)
        mounted = self._mount()
        template = folder / "pipeline.json"
        template.write_text(json.dumps(job["pipelineSpec"]))
        values = job["runtimeConfig"]["parameterValues"]
        local = {name: value.replace("gs://", f"{mounted}/") for name, value in values.items()}
        ran = run_template(msgspec.structs.replace(self.settings, home=self.home), template, local, folder, print)
        root = f"{job['runtimeConfig']['gcsOutputDirectory']}/{job['name'].rpartition('/')[2]}"
        tasks: dict[str, dict[str, Any]] = {}
        for name, (task, output) in OUTPUTS.items():
            uri = f"{root}/{task}/{output}"
            self._upload(ran.outputs[name], uri)
            detail = tasks.setdefault(task, {"taskId": str(len(tasks) + 1), "taskName": task, "state": "SUCCEEDED"})
            artifact = {"uri": uri, "metadata": ran.outputs[name].metadata}
            detail.setdefault("outputs", {})[output] = {"artifacts": [artifact]}
        return list(tasks.values())

    def _mount(self) -> Path:
        mounted = self.home / "gcs"
        for uri in find_storage(self.settings).addresses(f"gs://{self.settings.bucket}/"):
            find_storage(self.settings).get(uri, mounted / uri.removeprefix("gs://"))
        return mounted

    def _upload(self, output: Output, uri: str) -> None:
        path = Path(output.path)
        for file in [path] if path.is_file() else sorted(one for one in path.rglob("*") if one.is_file()):
            find_storage(self.settings).put(
                file, uri if path.is_file() else f"{uri}/{file.relative_to(path).as_posix()}"
            )
