"""`invoke tune --target gcp` from the warehouse to the registry: real clients, every server on loopback."""

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from loopback import TOKEN, Loopback
from storage_bridge import shared_folder
from vertex_runner import VertexRunner
from vertex_server import Vertex

from tuning.cloud.estimate_command import estimate_lines
from tuning.pipelines.whole import tune_all
from tuning.registry import registry
from tuning.registry.predict import print_answer
from tuning.settings import Settings
from tuning.sources.load_sample import load_sample
from tuning.warehouse import emulator


@pytest.fixture
def road(
    cloud: Settings, storage_server: Any, storage_api: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Settings]:
    """Settings of target gcp whose BigQuery holds a small sample and exports into the bucket of `storage_api`."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    google = Settings(home=tmp_path / "bigquery", bigquery_port=port)
    load_sample(google, 200)
    settings = msgspec.structs.replace(cloud, bigquery_endpoint=emulator.ensure(google).endpoint)
    names = ("project", "bucket", "vertex_endpoint", "google_endpoint", "storage_endpoint", "bigquery_endpoint")
    for name in (*names, "access_token", "requests_per_minute", "poll_seconds"):
        monkeypatch.setenv(f"TUNING_{name.upper()}", str(getattr(settings, name)))
    monkeypatch.setenv("TUNING_HOME", str(tmp_path / "worker"))
    with shared_folder(storage_server._storage, storage_api, google.gcs_dir):
        yield settings
    emulator.stop(google)


@pytest.mark.slow
def test_from_the_build_to_a_champion(
    road: Settings, vertex: Vertex, vertex_api: Loopback, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runner = vertex.run = VertexRunner(road, tmp_path / "worker")
    vertex.answers = lambda prompt: {"text": f"Use it:\n\n```python\nprint({len(prompt)})\n```"}
    said: list[str] = []

    run = tune_all(road, {}, {}, {"tuner": "gemini", "epochs": 1.0}, None, "", said.append)

    assert runner.failures == []
    assert run.version.tuner == "gemini"
    assert run.version.name == "v1"
    assert registry.versions(road)[0].base_model == road.gemini_model
    assert run.report.read_bytes().startswith(b"<!doctype html>")
    asked = [(request.method, request.path.rpartition("/")[2].rpartition(":")[2]) for request, _ in vertex_api.seen]
    posted = list(dict.fromkeys(kind for method, kind in asked if method == "POST"))
    assert posted == ["countTokens", "pipelineJobs", "tuningJobs", "generateContent", "mergeVersionAliases"]
    assert (asked.count(("POST", "pipelineJobs")), asked.count(("POST", "tuningJobs"))) == (1, 1)
    assert {status for request, status in vertex_api.seen if request.method == "POST"} == {200}
    (tuning,) = vertex.tuning_jobs.values()
    assert tuning["supervisedTuningSpec"]["trainingDatasetUri"].startswith("gs://bucket/datasets/")
    (model,) = vertex.models.values()
    alias = "champion" if run.promoted else "challenger"
    assert alias in model["versionAliases"]
    print_answer(road, run.version.name, "How do I read a file?", 64)
    assert f"[{run.version.name}: STOP]" in capsys.readouterr().out
    priced = list(estimate_lines(road, {}, {"tuner": "gemini"}, None))
    assert priced[0].startswith("dbt build: 0.0 GB read at most")
    assert "a server on loopback reports no bytes" in priced[1]
    written = [path for path in tmp_path.rglob("*") if path.is_file() and "bigquery" not in path.parts]
    assert len(written) > 50
    assert [path for path in written if TOKEN.encode() in path.read_bytes()] == []
    assert TOKEN not in "\n".join(said)
