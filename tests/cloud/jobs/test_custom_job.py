"""The tuning as a CustomJob: its request, who waits for it, what happens if its machine is taken back."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.cloud.servers.discovery import find_method
from tests.cloud.servers.loopback import Fault, Loopback
from tests.cloud.servers.vertex_server import Vertex
from tests.pipelines.artifacts import FakeArtifact, request
from tests.tuners.tuner_datasets import write_dataset
from tuning.cloud.custom_job import JobMachine, find_or_start, job_machine, job_message
from tuning.cloud.machine_types import machine_type
from tuning.cloud.machines import NO_ACCELERATOR, Machine
from tuning.errors import TuningError
from tuning.gcs.storage import find_storage, put_files
from tuning.pipelines.steps import custom_job as custom_job_step
from tuning.pipelines.steps import train_job
from tuning.pipelines.steps import tune as tune_step
from tuning.pipelines.steps.code_hash import code_sha256
from tuning.pipelines.steps.requests import TuningRequest, key_of, step_settings
from tuning.settings import PROJECT_ROOT, Settings
from tuning.storage import json_bytes, sha256_of
from tuning.tuners.hf.train.processes import LostPeerError
from tuning.tuners.protocol import TuneOptions

IMAGE = "us-central1-docker.pkg.dev/mine/python-qa/tuning@sha256:" + "0" * 64
CODE = code_sha256("tuning.pipelines.steps.tune", "hf", IMAGE)
GOLDEN = Path(__file__).parent / "golden" / "custom_job.json"
OPTIONS = TuneOptions(base_model="tiny", steps=6, batch_size=2, max_length=128)


def on_spot(settings: Settings, **given: Any) -> str:
    return job_machine(msgspec.structs.replace(settings, spot=True, **given), "hf", "tiny", IMAGE)


@dataclass
class Step:
    """The step that tunes, with its inputs in the bucket and, as Vertex AI mounts it, in a folder."""

    settings: Settings
    mount: Path

    def prepare(self) -> None:
        dataset = write_dataset(self.mount / "bucket/datasets/d1", train=24, evaluation=6)
        asked = TuningRequest(settings=step_settings(self.settings), tuner="hf", options=OPTIONS)
        self.request = request(self.mount / "bucket/requests.json", asked)
        self.dataset = FakeArtifact(dataset.folder, sha256="0")
        self.checked = FakeArtifact(self.mount / "bucket/checked")
        tune_step.validate(self.dataset, "hf", self.checked)
        files = {str(path.relative_to(self.mount)): path for path in self.mount.rglob("*") if path.is_file()}
        put_files(self.settings, files, "gs:/", last="")
        self.key = key_of("0", self.request.metadata["sha256"], CODE)

    def run(self, custom_job: str, name: str = "model") -> FakeArtifact:
        model, metrics = (FakeArtifact(self.mount / "bucket" / made) for made in (name, f"{name}.json"))
        tune_step.tune(self.dataset, self.checked, self.request, CODE, custom_job, model, metrics)
        return model


@pytest.fixture
def step(cloud: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Step:
    monkeypatch.setattr("tuning.storage._MOUNT", tmp_path / "gcs")
    monkeypatch.setenv("TUNING_HOME", str(tmp_path / "step"))
    monkeypatch.setenv("TUNING_ACCESS_TOKEN", cloud.access_token)
    monkeypatch.setenv("TUNING_POLL_SECONDS", "0.05")
    made = Step(cloud, tmp_path / "gcs")
    made.prepare()
    return made


@dataclass
class SpotMachine:
    """Runs a job's command on this machine, as Google does on another one. Google takes it back once, without a word,
    as soon as a checkpoint is in the bucket: its disk is lost, and the command starts again in another home."""

    settings: Settings
    home: Path
    taken_back: int = 0
    output: str = ""

    def __call__(self, job: dict[str, Any]) -> None:
        threading.Thread(target=self._run, args=(job,), daemon=True).start()

    def _run(self, job: dict[str, Any]) -> None:
        job["state"] = "JOB_STATE_RUNNING"
        (pool,) = job["jobSpec"]["workerPoolSpecs"]
        command = [sys.executable, *pool["containerSpec"]["command"][1:]]
        environment = {**os.environ, "TUNING_HOME": str(self.home), "OMP_NUM_THREADS": "1"}
        environment.pop("TUNING_POLL_SECONDS")
        if not self.taken_back:
            with subprocess.Popen(command, cwd=PROJECT_ROOT, env=environment, stdout=subprocess.DEVNULL) as process:
                while process.poll() is None and not self._has_checkpoint():
                    time.sleep(0.1)
                self.taken_back += process.poll() is None
                process.kill()
            shutil.rmtree(self.home)
            environment["TUNING_HOME"] = str(self.home.with_name("another-machine"))
        done = subprocess.run(command, cwd=PROJECT_ROOT, env=environment, capture_output=True, text=True, check=False)
        self.output = done.stdout + done.stderr
        job["state"] = "JOB_STATE_FAILED" if done.returncode else "JOB_STATE_SUCCEEDED"

    def _has_checkpoint(self) -> bool:
        found = find_storage(self.settings).addresses("gs://bucket/pipelines/training/")
        return any(uri.endswith("/complete") for uri in found)


@pytest.mark.slow
def test_a_training_whose_machine_was_taken_back_ends_as_an_unbroken_one(
    step: Step, vertex: Vertex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    machine = vertex.custom.run = SpotMachine(step.settings, tmp_path / "machine")
    model = step.run(on_spot(step.settings))

    assert machine.taken_back == 1
    assert "resuming from step 3 of 6" in machine.output
    monkeypatch.setenv("TUNING_HOME", str(tmp_path / "unbroken"))
    torch.set_num_threads(1)
    unbroken = step.run("", "unbroken")
    weights = "weights/merged/model.safetensors"
    assert sha256_of(Path(model.path) / weights) == sha256_of(Path(unbroken.path) / weights)
    assert model.metadata.keys() == unbroken.metadata.keys()
    storage, folder = find_storage(step.settings), f"gs://bucket/pipelines/training/{step.key}"
    assert storage.children(f"{folder}/checkpoints") == []
    assert storage.children(folder) == ["model", "result.json"]
    step.run(on_spot(step.settings), "again")  # another step with the same work takes the model
    assert len(vertex.custom.jobs) == 1
    storage.clear(f"{folder}/model/weights/merged")  # by the bucket's rule
    vertex.custom.run, vertex.custom.outcomes = None, ["FAILED"]
    with pytest.raises(TuningError, match="ended FAILED"):
        step.run(on_spot(step.settings), "third")
    assert len(vertex.custom.jobs) == 2


def test_the_request_is_the_one_that_was_reviewed_and_fits_googles_document(
    cloud: Settings, vertex_api: Loopback
) -> None:
    given = msgspec.structs.replace(
        cloud,
        disk_gb=300,
        service_account="runner@mine.iam.gserviceaccount.com",
        kms_key="projects/mine/locations/us-central1/keyRings/ring/cryptoKeys/key",
        network="projects/123/global/networks/vpc",
    )
    machine = msgspec.json.decode(
        job_machine(msgspec.structs.replace(given, spot=True), "hf", "some/model", IMAGE), type=JobMachine
    )
    find_or_start(cloud, machine, ["python3", "-m", "tuning.pipelines.steps.train_job", "{}"], "0123abcd")
    (sent,) = vertex_api.asked("POST", "/customJobs$")
    method = find_method("aiplatform.googleapis.com", "POST", sent.path)
    assert method is not None
    assert json_bytes(method.request({}, sent.body)) == GOLDEN.read_bytes()


def test_several_machines_are_a_chief_and_its_workers_and_start_again_together(
    cloud: Settings, vertex: Vertex, vertex_api: Loopback
) -> None:
    given = msgspec.structs.replace(cloud, nodes=3, accelerator="NVIDIA_H100_80GB", accelerator_count=8)
    machine = msgspec.json.decode(job_machine(given, "hf", "some/model", IMAGE), type=JobMachine)
    find_or_start(cloud, machine, ["python3", "-m", "tuning.pipelines.steps.train_job", "{}"], "0123abcd")
    (sent,) = vertex_api.asked("POST", "/customJobs$")
    method = find_method("aiplatform.googleapis.com", "POST", sent.path)
    assert method is not None
    assert json_bytes(method.request({}, sent.body)) == GOLDEN.with_name("custom_job_nodes.json").read_bytes()
    assert len(vertex.custom.jobs) == 1


def training_of(step: Step) -> str:
    training = custom_job_step.Training(
        folder=f"gs://bucket/{custom_job_step.FOLDER}/{step.key}",
        settings=step_settings(step.settings),
        tuner="hf",
        code=CODE,
        dataset=custom_job_step.Input(uri="gs://bucket/datasets/d1", metadata={"sha256": "0"}),
        checked=custom_job_step.Input(uri="gs://bucket/checked", metadata=step.checked.metadata),
        request=custom_job_step.Input(uri="gs://bucket/requests.json", metadata=step.request.metadata),
    )
    return msgspec.json.encode(training).decode()


def machine_of_two(rank: int) -> str:
    pools = {"workerpool0": ["a:2222"], "workerpool1": ["b:2222"]}
    spec = {"cluster": pools, "environment": "cloud", "task": {"type": f"workerpool{rank}", "index": 0}}
    return msgspec.json.encode(spec).decode()


def test_a_machine_that_is_not_the_chief_takes_part_and_uploads_nothing(
    step: Step, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared: list[Path] = []
    monkeypatch.setattr(
        "tuning.tuners.hf.tuner.HfTuner.take_part", lambda self, settings, dataset, options, work: shared.append(work)
    )
    monkeypatch.setenv("CLUSTER_SPEC", machine_of_two(1))
    before = list(find_storage(step.settings).addresses("gs://bucket/"))
    train_job.main(training_of(step))
    assert [work.name for work in shared] == [step.key]
    assert list(find_storage(step.settings).addresses("gs://bucket/")) == before


def test_that_another_machine_is_gone_is_no_reason_and_the_reason_of_the_chief_stays(
    step: Step, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage, address = find_storage(step.settings), f"gs://bucket/pipelines/training/{step.key}/error/reason.txt"

    def reason_after(rank: int, error: TuningError) -> str:
        def fail(*_: object) -> None:
            raise error

        monkeypatch.setattr(train_job, "_train", fail)
        monkeypatch.setenv("CLUSTER_SPEC", machine_of_two(rank))
        with pytest.raises(SystemExit):
            train_job.main(training_of(step))
        found = storage.read(address)
        return found.content.decode() if found else ""

    assert reason_after(1, LostPeerError("a process was killed")) == ""
    assert reason_after(1, TuningError("line 7 is wrong")) == "line 7 is wrong."
    assert reason_after(1, TuningError("line 8 is wrong")) == "line 7 is wrong."
    assert reason_after(0, LostPeerError("a process was killed")) == ""  # the chief starts, so that one is of before
    assert reason_after(0, TuningError("the disk is full")) == "the disk is full."
    assert reason_after(1, TuningError("line 7 is wrong")) == "the disk is full."


def test_a_disk_alone_asks_for_no_spot_machine(cloud: Settings) -> None:
    text = job_machine(msgspec.structs.replace(cloud, disk_gb=500), "hf", "smollm2", IMAGE)
    message = job_message(msgspec.json.decode(text, type=JobMachine), ["python3"], "0")
    (pool,) = message.job_spec.worker_pool_specs
    assert (pool.disk_spec.boot_disk_size_gb, pool.machine_spec.machine_type) == (500, "e2-standard-8")
    assert not message.job_spec.scheduling.strategy
    assert not pool.machine_spec.accelerator_count
    assert job_machine(cloud, "hf", "smollm2", IMAGE) == ""
    assert job_machine(msgspec.structs.replace(cloud, spot=True), "gemini", "smollm2", IMAGE) == ""
    with pytest.raises(TuningError, match="at least 100 GB of disk"):
        job_machine(msgspec.structs.replace(cloud, disk_gb=50), "hf", "smollm2", IMAGE)
    with pytest.raises(TuningError, match="needs a container image"):
        job_machine(msgspec.structs.replace(cloud, spot=True), "hf", "smollm2", "")


@pytest.mark.parametrize(
    ("cpus", "memory", "accelerator", "count", "expected"),
    [
        (4, 16, NO_ACCELERATOR, 0, "e2-standard-4"),
        (4, 30, NO_ACCELERATOR, 0, "n1-standard-8"),
        (96, 624, NO_ACCELERATOR, 0, "n1-highmem-96"),
        (8, 32, "NVIDIA_L4", 1, "g2-standard-8"),
        (8, 32, "NVIDIA_L4", 4, "g2-standard-48"),
        (8, 32, "NVIDIA_TESLA_T4", 2, "n1-highmem-8"),
        (8, 32, "NVIDIA_TESLA_A100", 16, "a2-megagpu-16g"),
        (8, 32, "NVIDIA_A100_80GB", 2, "a2-ultragpu-2g"),
        (8, 32, "NVIDIA_H100_80GB", 8, "a3-highgpu-8g"),
        (8, 32, "NVIDIA_H200_141GB", 8, "a3-ultragpu-8g"),
    ],
)
def test_the_smallest_machine_type_that_has_all_is_taken(
    cpus: int, memory: int, accelerator: str, count: int, expected: str
) -> None:
    assert machine_type(Machine(str(cpus), f"{memory}G", accelerator, str(count))) == expected


def test_a_machine_that_does_not_exist_is_refused() -> None:
    with pytest.raises(TuningError, match="no machine type of Vertex AI has 8 CPUs, 32 GB, 3 NVIDIA_L4"):
        machine_type(Machine("8", "32G", "NVIDIA_L4", "3"))


def test_a_job_that_runs_is_followed_and_a_lost_answer_starts_no_second_one(
    cloud: Settings, vertex: Vertex, vertex_api: Loopback
) -> None:
    machine = msgspec.json.decode(on_spot(cloud), type=JobMachine)
    vertex_api.faults.append(Fault("POST", "/customJobs$", "drop"))
    first, _ = find_or_start(cloud, machine, ["python3"], "a")
    again, is_new = find_or_start(cloud, machine, ["python3"], "a")
    assert (again.name, is_new) == (first.name, False)
    assert find_or_start(cloud, machine, ["python3"], "b")[1]
    vertex.custom.jobs[first.name]["state"] = "JOB_STATE_FAILED"
    assert find_or_start(cloud, machine, ["python3"], "a")[1]


def test_a_job_that_fails_is_one_line_with_the_page_of_the_job(step: Step, vertex: Vertex) -> None:
    vertex.custom.outcomes = ["RUNNING", "FAILED"]
    with pytest.raises(TuningError) as caught:
        step.run(on_spot(step.settings))
    (name,) = vertex.custom.jobs
    number = name.rpartition("/")[2]
    assert str(caught.value) == (
        f"the CustomJob {name} ended FAILED: The replica workerpool0-0 exited with a non-zero status of 1. See "
        f"https://console.cloud.google.com/agent-platform/locations/us-central1/training/{number}?project=mine"
    )


def test_a_spot_job_that_ends_after_a_new_checkpoint_is_followed_by_another(
    step: Step, vertex: Vertex, capsys: pytest.CaptureFixture[str]
) -> None:
    vertex.custom.outcomes = ["FAILED"]
    folder = f"pipelines/training/{step.key}"

    def get_on(job: dict[str, Any]) -> None:
        number = len(vertex.custom.jobs)
        if number < 3:
            put_files(step.settings, {"complete": step.mount / "bucket/requests.json"},
                      f"gs://bucket/{folder}/checkpoints/checkpoint-{number}", last="")  # fmt: skip
        job["_left"] = ["FAILED"]

    vertex.custom.run = get_on
    with pytest.raises(TuningError, match="ended FAILED"):
        step.run(on_spot(step.settings))
    assert len(vertex.custom.jobs) == 3
    assert capsys.readouterr().out.count("the next one resumes") == 2


def test_a_step_that_is_told_to_end_cancels_its_job(step: Step, vertex: Vertex) -> None:
    def end(_: dict[str, Any]) -> None:
        threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGTERM)).start()

    vertex.custom.run = end
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit):
        step.run(on_spot(step.settings))
    (job,) = vertex.custom.jobs.values()
    assert job["state"] == "JOB_STATE_CANCELLED"
    assert signal.getsignal(signal.SIGTERM) == before
