"""Describe a pipeline job on Vertex AI: its state, its tasks and their outputs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tuning.settings import Settings

if TYPE_CHECKING:
    from google.cloud.aiplatform_v1.types import PipelineJob, PipelineTaskDetail

_ENDED = frozenset({"SUCCEEDED", "FAILED", "CANCELLED"})


@dataclass(frozen=True)
class Artifact:
    """Represent an output of a task in Cloud Storage: a file or a folder."""

    uri: str
    metadata: Mapping[str, Any]


@dataclass(frozen=True)
class Task:
    """Represent a task of a job.

    `state` is SKIPPED if the service took the outputs from its cache. `seconds` is 0 until the task ends.
    """

    name: str
    state: str
    error: str
    seconds: float
    outputs: Mapping[str, Artifact]


@dataclass(frozen=True)
class Job:
    """Represent a pipeline job. States are Vertex AI's, without the prefix ``PIPELINE_STATE_``."""

    id: str
    display_name: str
    state: str
    link: str
    tasks: tuple[Task, ...]
    error: str
    labels: Mapping[str, str]
    started_at: str = ""  # ISO 8601, UTC; when the job was created

    @property
    def ended(self) -> bool:
        """Return whether the job has succeeded, failed or been cancelled."""
        return self.state in _ENDED

    def output(self, task: str, name: str) -> Artifact | None:
        """Return the output `name` of the task `task`, or None if the task has no such output."""
        return next((one.outputs[name] for one in self.tasks if one.name == task and name in one.outputs), None)


def describe(settings: Settings, job: "PipelineJob") -> Job:
    """Return the job as the service last described it."""
    name = job.name.rpartition("/")[2]
    return Job(
        id=name,
        display_name=job.display_name,
        state=job.state.name.removeprefix("PIPELINE_STATE_"),
        link=(
            f"https://console.cloud.google.com/vertex-ai/locations/{settings.region}/pipelines/runs/{name}"
            f"?project={settings.project}"
        ),
        tasks=tuple(_task(task) for task in sorted(_steps(job), key=lambda task: task.task_id)),
        error=job.error.message,
        labels=dict(job.labels),
        started_at=job.create_time.isoformat(timespec="seconds") if job.create_time else "",
    )


def _steps(job: "PipelineJob") -> "list[PipelineTaskDetail]":
    """Return the tasks without the root task, which stands for the whole job: other tasks name it as their parent."""
    details = job.job_detail.task_details
    parents = {task.parent_task_id for task in details}
    return [task for task in details if task.parent_task_id or task.task_id not in parents]


def _task(task: "PipelineTaskDetail") -> Task:
    ended = task.end_time and task.start_time
    return Task(
        name=task.task_name,
        state=task.state.name,
        error=task.error.message,
        seconds=max(0.0, round((task.end_time - task.start_time).total_seconds(), 1)) if ended else 0.0,
        outputs={
            name: Artifact(found.artifacts[0].uri, type(found.artifacts[0]).to_dict(found.artifacts[0])["metadata"])
            for name, found in task.outputs.items()
            if found.artifacts
        },
    )
