"""`invoke doctor` finds what is wrong with a machine, and names the command that fixes it."""

import shutil
import socket
import sys
from collections import namedtuple
from pathlib import Path

import msgspec
import pytest

from tests.homes import free_port
from tests.test_command_line import invoke
from tuning.answers import sandbox
from tuning.answers.sandbox.limits import LIMITS
from tuning.findings import Finding
from tuning.monitoring import doctor
from tuning.settings import Settings
from tuning.tuners.hf import device
from tuning.warehouse.local import limits


@pytest.fixture
def machine(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A machine on which all is right, whatever this one is like."""
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**12, 0, 10**11))
    monkeypatch.setattr(limits, "machine_memory", lambda: 16e9)
    monkeypatch.setattr(device, "find_processor", lambda: device.Processor("cpu", "fp32", "a processor, CPU"))
    monkeypatch.setattr(sandbox, "protection", lambda: "namespaces")
    monkeypatch.setenv("HF_TOKEN", "hf_planted")
    return msgspec.structs.replace(settings, bigquery_port=free_port())


def found(settings: Settings, state: str) -> list[Finding]:
    return [finding for finding in doctor.examine(settings) if finding.state == state]


def test_nothing_is_wrong_on_a_good_machine(machine: Settings) -> None:
    findings = list(doctor.examine(machine))
    assert {finding.state for finding in findings} <= {"right", "note"}  # the packages can differ from the lock
    assert not any("hf_planted" in finding.what for finding in findings)
    assert not any(finding.hint for finding in findings if finding.state == "right")


def test_a_python_that_is_too_new_is_wrong(machine: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "PYTHONS", ((3, 9),))
    (wrong,) = found(machine, "wrong")
    assert wrong.what == f"Python {sys.version.split()[0]} at {sys.executable}, but 3.11 or 3.12 is needed"
    assert wrong.hint.startswith("python3.11 -m venv")


def test_missing_and_old_packages_are_wrong_and_others_than_the_lock_are_a_note(
    machine: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    versions = {"peft": "", "trl": "0.1"}
    real = doctor._version
    monkeypatch.setattr(doctor, "_version", lambda name: versions.get(name, real(name)))
    (tmp_path / "requirements.lock").write_text("msgspec==0.1\ntrl==0.1\ninvoke==" + real("invoke") + "\nno-such==1\n")
    monkeypatch.setattr(doctor, "LOCK", tmp_path / "requirements.lock")
    (wrong,) = found(machine, "wrong")
    assert wrong.what == (
        "2 packages are missing or do not fit: peft is missing (<1,>=0.21 is needed), trl 0.1 (<2,>=1.16 is needed)"
    )
    assert f"-m pip install -r {tmp_path}/requirements.lock -e " in wrong.hint
    (note,) = found(machine, "note")
    assert note.what == (
        f"2 packages differ from requirements.lock: msgspec {real('msgspec')} (0.1), no-such is missing (1)"
    )


def test_the_cpu_build_of_a_package_is_that_of_the_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_version", lambda name: "2.13.0+cpu")
    assert list(doctor._unlike("torch==2.13.0\n")) == []
    assert list(doctor._unlike("torch==2.12.0\n")) == ["torch 2.13.0+cpu (2.12.0)"]


def test_a_full_disk_and_too_little_memory_are_wrong(machine: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**12, 0, 10**9))
    monkeypatch.setattr(limits, "machine_memory", lambda: 4e9)
    disk, memory = found(machine, "wrong")
    assert disk.what == f"1.0 GB of disk are free for {machine.home}, but a run needs 2 GB"
    assert "TUNING_HOME=FOLDER" in disk.hint
    assert memory.what == "4.0 GB of memory, but tuning smollm2 needs 8 GB"
    assert "--base-model tiny" in memory.hint


def test_a_gpu_that_pytorch_cannot_use_no_token_and_no_sandbox_are_notes(
    machine: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(doctor, "_NVIDIA", tmp_path)
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    monkeypatch.setattr(sandbox, "protection", lambda: LIMITS)
    monkeypatch.setattr(sandbox, "why_not", lambda name: f"no {name} here")
    monkeypatch.setattr(doctor, "_unlike", lambda lock: iter(()))
    gpu, hub, box = found(machine, "note")
    assert "there is an NVIDIA GPU, but PyTorch" in gpu.what
    assert hub.hint == "hf auth login"
    assert "namespaces: no namespaces here; landlock+seccomp: no landlock+seccomp here" in box.what


@pytest.mark.cloud
def test_target_gcp_needs_credentials(machine: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "missing.json"))
    (wrong,) = found(msgspec.structs.replace(machine, target="gcp"), "wrong")
    assert wrong.what.startswith("the credentials named by GOOGLE_APPLICATION_CREDENTIALS do not work")
    assert "gcloud auth application-default login" in wrong.hint


def test_a_port_that_another_program_uses_ends_the_command_with_status_1() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        result = invoke("doctor", TUNING_BIGQUERY_PORT=str(port))
    assert result.returncode == 1
    lines = result.stdout.splitlines()
    at = lines.index(f"wrong  port {port} for the local BigQuery is in use by another program")
    assert lines[at + 1].strip() == "Stop that program, or set TUNING_BIGQUERY_PORT to a free port"
    assert "checks found a problem" in lines[-1]
    assert len(result.stderr.strip().splitlines()) == 1
