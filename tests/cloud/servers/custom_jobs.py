"""Custom jobs of Vertex AI on loopback: what Google documents of their requests, and a machine that runs them."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from google.cloud.aiplatform_v1.types import CustomJob

from tests.cloud.servers.loopback import RefusedError, Request
from tests.cloud.servers.rules import KEY, NOW, PARENT, check_labels, parse, place, public

# By the start of a machine type's name: the accelerators that it has, or can have. N1 and E2 can be without.
# https://cloud.google.com/vertex-ai/docs/training/configure-compute
ACCELERATORS = {
    "e2-standard-": set(),
    "n1-standard-": {"NVIDIA_TESLA_T4", "NVIDIA_TESLA_V100"},
    "n1-highmem-": {"NVIDIA_TESLA_T4", "NVIDIA_TESLA_V100"},
    "g2-standard-": {"NVIDIA_L4"},
    "a2-highgpu-": {"NVIDIA_TESLA_A100"},
    "a2-megagpu-": {"NVIDIA_TESLA_A100"},
    "a2-ultragpu-": {"NVIDIA_A100_80GB"},
    "a3-highgpu-": {"NVIDIA_H100_80GB"},
    "a3-ultragpu-": {"NVIDIA_H200_141GB"},
}
L4S = {"4": 1, "8": 1, "12": 1, "16": 1, "24": 2, "32": 1, "48": 4, "96": 8}


@dataclass
class CustomJobs:
    """What the service remembers. Each look at a job moves it one state on, unless `run` runs it."""

    after: list[Callable[[], None]]
    numbers: Any
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    outcomes: list[str] = field(default_factory=lambda: ["RUNNING", "SUCCEEDED"])
    run: Callable[[dict[str, Any]], None] | None = None  # runs an accepted job for real

    def routes(self) -> list[tuple[str, str, Callable[[Request], Any]]]:
        return [
            ("POST", rf"{PARENT}/customJobs", self.create),
            ("GET", rf"{PARENT}/customJobs", self.list),
            ("GET", rf"{PARENT}/customJobs/([^/:]+)", self.get),
            ("POST", rf"{PARENT}/customJobs/([^/:]+):cancel", self.cancel),
        ]

    def create(self, request: Request) -> dict[str, Any]:
        project, location = place(request)
        check(parse(CustomJob, request.body))
        name = f"projects/{project}/locations/{location}/customJobs/{next(self.numbers)}"
        begun = {"name": name, "state": "JOB_STATE_PENDING", "createTime": NOW, "updateTime": NOW}
        self.jobs[name] = {**request.body, **begun, "_left": [] if self.run else list(self.outcomes)}
        if self.run:
            self.after.append(partial(self.run, self.jobs[name]))
        return public(self.jobs[name])

    def list(self, request: Request) -> dict[str, Any]:
        asked = re.fullmatch(r"labels\.(\w+)=(\w+)", request.query.get("filter", ""))
        if not asked:
            raise RefusedError(400, "the filter is not one that this server knows")
        found = [job for job in reversed(self.jobs.values()) if job["labels"].get(asked[1]) == asked[2]]
        return {"customJobs": [public(job) for job in found]}

    def get(self, request: Request) -> dict[str, Any]:
        job = self._job(request)
        if job["_left"]:
            job["state"] = f"JOB_STATE_{job['_left'].pop(0)}"
            if job["state"] == "JOB_STATE_FAILED":
                job["error"] = {"code": 3, "message": "The replica workerpool0-0 exited with a non-zero status of 1."}
        return public(job)

    def cancel(self, request: Request) -> dict[str, Any]:
        job = self._job(request)
        job["_left"], job["state"] = [], "JOB_STATE_CANCELLED"
        return {}

    def _job(self, request: Request) -> dict[str, Any]:
        name = "projects/{}/locations/{}/customJobs/{}".format(*request.groups[:3])
        if name not in self.jobs:
            raise RefusedError(404, f"{name} not found")
        return self.jobs[name]


def check(job: Any) -> None:
    """What Google documents of a CustomJob beyond its fields' types."""
    if not 0 < len(job.display_name) <= 128:
        raise RefusedError(400, "displayName takes 1 to 128 characters")
    check_labels(job.labels)
    spec = job.job_spec
    if spec.service_account and "@" not in spec.service_account:
        raise RefusedError(400, "serviceAccount is an e-mail address")
    if job.encryption_spec.kms_key_name and not KEY.fullmatch(job.encryption_spec.kms_key_name):
        raise RefusedError(400, "kmsKeyName is not a key")
    if spec.worker_pool_specs[0].replica_count != 1:
        raise RefusedError(400, "replicaCount of the first worker pool is 1")
    for pool in spec.worker_pool_specs:
        if not (pool.container_spec or pool.python_package_spec):
            raise RefusedError(400, "a worker pool needs a containerSpec or a pythonPackageSpec")
        if not pool.machine_spec.machine_type:
            raise RefusedError(400, "machineType is required")
        _check_machine(pool.machine_spec)
        if pool.disk_spec.boot_disk_size_gb and not 100 <= pool.disk_spec.boot_disk_size_gb <= 64_000:
            raise RefusedError(400, "bootDiskSizeGb is from 100 to 64000")


def _check_machine(machine: Any) -> None:
    series = next((one for one in ACCELERATORS if machine.machine_type.startswith(one)), "")
    size = machine.machine_type.removeprefix(series)
    if not series or not re.fullmatch(r"\d+g?", size):
        raise RefusedError(400, f"machine type {machine.machine_type} is not supported")
    kind, count = machine.accelerator_type.name, machine.accelerator_count
    if kind == "ACCELERATOR_TYPE_UNSPECIFIED":
        if count or series[0] not in "en":
            raise RefusedError(400, "acceleratorType is required")
        return
    if kind not in ACCELERATORS[series]:
        raise RefusedError(400, f"acceleratorType {kind} is not supported for {machine.machine_type}")
    if series == "g2-standard-":
        counts = {L4S.get(size)}
    elif size.endswith("g"):
        counts = {int(size[:-1])}
    else:
        counts = {1, 2, 4} | ({8} if kind == "NVIDIA_TESLA_V100" else set())
    if count not in counts:
        raise RefusedError(400, f"acceleratorCount {count} is not supported for {machine.machine_type}")
