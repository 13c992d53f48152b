"""Run a container as a CustomJob of Vertex AI, on machines that a step of a pipeline cannot have.

KFP can set the CPUs, memory and accelerators of a step, but neither its disk, nor several machines, nor Spot machines,
which Google can take back at any time and which cost less
(https://cloud.google.com/vertex-ai/docs/training/use-spot-vms).
"""

import contextlib
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING

import msgspec

from tuning.cloud.machine_types import machine_type
from tuning.cloud.machines import NO_ACCELERATOR, machine_of
from tuning.errors import TuningError
from tuning.gcs.access import backoff, google_errors, vertex_client
from tuning.settings import Settings
from tuning.tuners.where import trains_on_vertex

if TYPE_CHECKING:
    from google.cloud.aiplatform_v1 import JobServiceClient
    from google.cloud.aiplatform_v1.types import CustomJob

KEY_LABEL = "python_qa_training"
_ENDED = frozenset({"SUCCEEDED", "FAILED", "CANCELLED", "EXPIRED", "PARTIALLY_SUCCEEDED"})
_PREFIX = "JOB_STATE_"
_LEAST_DISK = 100  # GB
_LABEL = 32  # characters of a key that are the label, which has at most 63


class JobMachine(msgspec.Struct, frozen=True, kw_only=True):
    """Hold where a CustomJob runs: machine, image and identity. It is a parameter of the pipeline, as JSON."""

    machine_type: str
    accelerator: str
    accelerator_count: int
    disk_gb: int  # 0: Vertex AI's default, 100 GB
    spot: bool
    nodes: int  # machines of this type
    image: str
    service_account: str
    kms_key: str
    network: str


@dataclass(frozen=True)
class Job:
    """Represent a CustomJob. The state is Vertex AI's, without the prefix ``JOB_STATE_``."""

    name: str  # of the resource
    state: str
    error: str
    link: str

    @property
    def ended(self) -> bool:
        """Return whether the job has succeeded, failed or been cancelled."""
        return self.state in _ENDED


def job_machine(settings: Settings, tuner: str, base_model: str, image: str) -> str:
    """Return the JobMachine on which the settings ask to tune, as JSON, or '' if a step of the pipeline can be it.

    Raises TuningError if Vertex AI has no such machine type, or if there is no container image.
    """
    asked = settings.spot or settings.disk_gb or settings.nodes > 1
    if not asked or not trains_on_vertex(settings, tuner):
        return ""
    if not image:
        raise TuningError("a job with --spot, --disk-gb or --nodes needs a container image", "Set TUNING_IMAGE")
    if 0 < settings.disk_gb < _LEAST_DISK:
        raise TuningError(f"a machine on Vertex AI has at least {_LEAST_DISK} GB of disk", "Set TUNING_DISK_GB")
    machine = machine_of(settings, tuner, base_model)
    job = JobMachine(
        machine_type=machine_type(machine),
        accelerator=machine.accelerator,
        accelerator_count=int(machine.accelerator_count),
        disk_gb=settings.disk_gb,
        spot=settings.spot,
        nodes=settings.nodes,
        image=image,
        service_account=settings.service_account,
        kms_key=settings.kms_key,
        network=settings.network,
    )
    return msgspec.json.encode(job).decode()


def job_message(machine: JobMachine, command: Sequence[str], key: str) -> "CustomJob":
    """Return the request for a job that runs `command`. The start of `key` is its label, by which it is found again.

    Of several machines, the first one is a pool of its own, the chief, as Vertex AI asks
    (https://cloud.google.com/vertex-ai/docs/training/distributed-training). If one is restarted, all are, because the
    processes of a training cannot go on without each other.
    """
    from google.cloud.aiplatform_v1.types import (
        ContainerSpec,
        CustomJob,
        CustomJobSpec,
        DiskSpec,
        EncryptionSpec,
        MachineSpec,
        Scheduling,
        WorkerPoolSpec,
    )

    accelerators = (
        {}
        if machine.accelerator == NO_ACCELERATOR
        else {"accelerator_type": machine.accelerator, "accelerator_count": machine.accelerator_count}
    )
    pools = [
        WorkerPoolSpec(
            machine_spec=MachineSpec(machine_type=machine.machine_type, **accelerators),
            replica_count=replicas,
            container_spec=ContainerSpec(image_uri=machine.image, command=list(command)),
            disk_spec=DiskSpec(boot_disk_size_gb=machine.disk_gb) if machine.disk_gb else None,
        )
        for replicas in (1, machine.nodes - 1)
        if replicas
    ]
    scheduling = Scheduling(
        strategy=Scheduling.Strategy.SPOT if machine.spot else None, restart_job_on_worker_restart=True
    )
    return CustomJob(
        display_name=f"python-qa-training-{key[:_LABEL]}",
        labels={KEY_LABEL: key[:_LABEL]},
        job_spec=CustomJobSpec(
            worker_pool_specs=pools,
            scheduling=scheduling if machine.spot or machine.nodes > 1 else None,
            service_account=machine.service_account,
            network=machine.network,
        ),
        encryption_spec=EncryptionSpec(kms_key_name=machine.kms_key) if machine.kms_key else None,
    )


def find_or_start(settings: Settings, machine: JobMachine, command: Sequence[str], key: str) -> tuple[Job, bool]:
    """Return the job with this key that has not ended, or start one. Return also whether it is new.

    The API has no request ID to reject duplicates, so each retry first looks for the job. Raises TuningError if the
    service cannot be reached or refuses the job.
    """
    with google_errors("starting the CustomJob"):
        client, message = _client(settings), job_message(machine, command, key)

        def attempt() -> tuple[Job, bool]:
            if running := _running(settings, key):
                return running[0], False
            created = client.create_custom_job(parent=_place(settings), custom_job=message)
            return _describe(settings, created), True

        return backoff()(attempt)()


def cancel_running(settings: Settings, key: str) -> list[Job]:
    """Cancel the jobs with this key that have not ended, and return them.

    Raises TuningError if the service cannot be reached or refuses that.
    """
    with google_errors("cancelling the CustomJob"):
        found = backoff()(_running)(settings, key)
        for job in found:
            _client(settings).cancel_custom_job(name=job.name, retry=backoff())
        return found


def _running(settings: Settings, key: str) -> list[Job]:
    label = key[:_LABEL]
    request = {"parent": _place(settings), "filter": f"labels.{KEY_LABEL}={label}"}
    found = _client(settings).list_custom_jobs(request=request)
    jobs = [_describe(settings, job) for job in found if job.labels.get(KEY_LABEL) == label]
    return [job for job in jobs if not job.ended]


def _place(settings: Settings) -> str:
    return f"projects/{settings.project}/locations/{settings.region}"


def wait(settings: Settings, job: Job, show: Callable[[str], None]) -> Job:
    """Follow the job until it ends and show each change of its state. Return it.

    Raises TuningError if the service cannot be reached.
    """
    shown = ""
    while True:
        with google_errors(f"reading the CustomJob {job.name}"):
            job = _describe(settings, _client(settings).get_custom_job(name=job.name, retry=backoff()))
        if job.state != shown:
            show(f"CustomJob {job.name.rpartition('/')[2]}: {job.state} ({job.link})")
            shown = job.state
        if job.ended:
            return job
        time.sleep(settings.poll_seconds)


@contextlib.contextmanager
def cancelled_with_this_process(settings: Settings, key: str) -> Iterator[None]:
    """Cancel the jobs with this key if the process is told to end (SIGTERM) or interrupted in the block."""
    before = signal.signal(signal.SIGTERM, _end)
    try:
        yield
    except (SystemExit, KeyboardInterrupt):
        cancel_running(settings, key)
        raise
    finally:
        signal.signal(signal.SIGTERM, before)


def _end(number: int, _: FrameType | None) -> None:
    raise SystemExit(128 + number)


def _describe(settings: Settings, job: "CustomJob") -> Job:
    number = job.name.rpartition("/")[2]
    return Job(
        name=job.name,
        state=job.state.name.removeprefix(_PREFIX),
        error=job.error.message,
        link=(
            f"https://console.cloud.google.com/agent-platform/locations/{settings.region}/training/{number}"
            f"?project={settings.project}"
        ),
    )


def _client(settings: Settings) -> "JobServiceClient":
    from google.cloud.aiplatform_v1 import JobServiceClient

    return JobServiceClient(**vertex_client(settings, settings.region))
