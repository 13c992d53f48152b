"""`invoke tune --target gcp` from the warehouse to the registry: real clients, every server on loopback."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.cloud.as_typed import note_arguments, start_invoke
from tests.cloud.servers.loopback import TOKEN, Loopback
from tests.cloud.servers.storage_bridge import Record, shared_folder
from tests.cloud.servers.vertex_runner import VertexRunner
from tests.cloud.servers.vertex_server import Vertex
from tests.homes import free_port
from tuning.gcs.bucket import object_files
from tuning.gcs.object_file import client
from tuning.gcs.storage import find_storage
from tuning.pipelines.release.record import newest_report
from tuning.registry import registry
from tuning.settings import Settings
from tuning.sources.load_sample import load_sample
from tuning.warehouse import emulator


@pytest.fixture
def road(
    cloud: Settings, storage_server: Any, storage_api: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Settings]:
    """Settings of target gcp whose BigQuery holds a small sample and exports into the bucket of `storage_api`."""
    google = Settings(home=tmp_path / "bigquery", bigquery_port=free_port())
    load_sample(google, 200)
    settings = msgspec.structs.replace(cloud, bigquery_endpoint=emulator.ensure(google).endpoint)
    names = ("project", "bucket", "vertex_endpoint", "google_endpoint", "storage_endpoint", "bigquery_endpoint")
    for name in (*names, "access_token", "requests_per_minute", "poll_seconds"):
        monkeypatch.setenv(f"TUNING_{name.upper()}", str(getattr(settings, name)))
    monkeypatch.setenv("TUNING_HOME", str(tmp_path / "worker"))
    for name, value in note_arguments(tmp_path / "noted").items():
        monkeypatch.setenv(name, value)
    with shared_folder(storage_server._storage, storage_api, google.gcs_dir):
        yield settings
    emulator.stop(google)


def typed(settings: Settings, *arguments: str) -> str:
    """What ``invoke`` printed, in a process of its own."""
    process = start_invoke(settings, *arguments, "--target", "gcp")
    output, errors = process.communicate(timeout=500)
    assert process.returncode == 0, output + errors
    assert TOKEN not in output + errors
    return output


@pytest.mark.slow
def test_from_the_build_to_a_champion(
    road: Settings, vertex: Vertex, vertex_api: Loopback, storage_record: Record, tmp_path: Path
) -> None:
    runner = vertex.run = VertexRunner(road, tmp_path / "worker")
    vertex.answers = lambda prompt: {"text": f"Use it:\n\n```python\nprint({len(prompt)})\n```"}

    said = typed(road, "tune", "--tuner", "gemini", "--epochs", "1")

    assert runner.failures == []
    (version,) = registry.versions(road)
    assert (version.name, version.tuner, version.base_model) == ("v1", "gemini", road.gemini_model)
    assert newest_report(road).path.read_bytes().startswith(b"<!doctype html>")
    assert str(newest_report(road).path) in said
    asked = [(request.method, request.path.rpartition("/")[2].rpartition(":")[2]) for request, _ in vertex_api.seen]
    posted = list(dict.fromkeys(kind for method, kind in asked if method == "POST"))
    assert posted == [
        *("countTokens", "pipelineJobs", "tuningJobs", "generateContent"),
        *("metadataStores", "contexts", "addContextChildren"),
        *("import", "mergeVersionAliases"),
    ]
    assert (asked.count(("POST", "pipelineJobs")), asked.count(("POST", "tuningJobs"))) == (1, 1)
    assert {status for request, status in vertex_api.seen if request.method == "POST"} == {200}
    kinds = {(method, path.split("/")[1]) for method, path, _ in storage_record.seen}
    assert kinds == {
        ("GET", "storage"),
        ("GET", "download"),
        ("POST", "upload"),
        ("PUT", "upload"),
        ("DELETE", "storage"),
    }
    deleted = {path.split("/")[6] for method, path, _ in storage_record.seen if method == "DELETE"}
    assert deleted == {"parts"}  # the prepared rows
    assert list(find_storage(road).addresses("gs://bucket/parts/")) == []
    assert list((road.home / "datasets").rglob("*.jsonl")) == []
    (tuning,) = vertex.tuning_jobs.values()
    assert tuning["supervisedTuningSpec"]["trainingDatasetUri"].startswith("gs://bucket/datasets/")
    (model,) = vertex.models.values()
    alias = "champion" if registry.champion(road) else "challenger"
    assert alias in model["versionAliases"]
    (job,) = (name.rpartition("/")[2] for name in vertex.jobs)
    run = vertex.metadata.contexts[
        f"projects/mine/locations/us-central1/metadataStores/default/contexts/python-qa-{job}"
    ]
    assert (
        run["metadata"]["_params"].items()
        >= {"version": "v1", "base_model": road.gemini_model, "tuner": "gemini"}.items()
    )
    assert {"answers_executed", "heldout_chrf", "gain_base_chrf"} <= {*run["metadata"]["_metrics"]}
    assert typed(road, "status").startswith(f"{job} SUCCEEDED")
    assert "[v1: STOP]" in typed(road, "predict", "How do I read a file?", "--model", "v1")
    priced = typed(road, "estimate", "--tuner", "gemini").splitlines()
    assert priced[0].startswith("dbt build: reads at most 0.0 GB")
    assert "a local BigQuery server reports no bytes" in priced[1]
    exported = object_files(road, "gs://bucket/snapshots/")
    assert list(road.home.rglob("*.parquet")) == []  # read in the bucket, never copied to this machine
    spans = {span for _, path, span in storage_record.seen if path.startswith("/download") and "/snapshots/" in path}
    assert spans
    assert "" not in spans
    for file in exported:  # as the bucket's rule does after thirty days
        client(road).bucket("bucket").blob(file.uri.removeprefix("gs://bucket/")).delete()
    assert "200 rows, instructions" in typed(road, "export")
    again = object_files(road, "gs://bucket/snapshots/")
    assert [file.size for file in again] == [file.size for file in exported]
    assert {file.uri for file in again}.isdisjoint(file.uri for file in exported)
    started = (tmp_path / "noted" / "arguments").read_text()
    assert all(name in started for name in ("dbt", "kfp"))
    files = {str(path): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert len(files) > 100
    for uri in find_storage(road).addresses("gs://bucket/"):
        with find_storage(road).open(uri) as file:
            files[uri] = file.read()
    for secret in (TOKEN.encode(), b"upload_id="):
        assert [name for name, content in files.items() if secret in content] == []
