"""Google on loopback: Vertex AI, the smaller APIs and Cloud Storage, and the settings that point at them."""

import logging
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from gcp_storage_emulator.server import create_server

import tuning.gcs.access
from tests.cloud.servers.google_server import Google
from tests.cloud.servers.google_server import serve as serve_google
from tests.cloud.servers.loopback import TOKEN, Loopback
from tests.cloud.servers.storage_bridge import Record, asked_uploads, generation_preconditions, recorded
from tests.cloud.servers.vertex_server import Vertex
from tests.cloud.servers.vertex_server import serve as serve_vertex
from tuning.pipelines.vertex import notebook_template
from tuning.settings import Settings


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries and polls follow each other at once, and no test meets the developer's own Google account."""
    monkeypatch.setattr(tuning.gcs.access, "FIRST_DELAY", 0.001)
    monkeypatch.setattr(tuning.gcs.access, "LONGEST_DELAY", 0.002)
    monkeypatch.setattr(tuning.gcs.access, "GIVE_UP_AFTER", 5.0)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nonexistent/credentials.json")


@pytest.fixture
def vertex() -> Vertex:
    return Vertex()


@pytest.fixture
def vertex_api(vertex: Vertex) -> Iterator[Loopback]:
    with serve_vertex(vertex) as server:
        yield server


@pytest.fixture
def google(seed_template: bytes) -> Google:
    return Google({notebook_template.URI: seed_template})


@pytest.fixture
def google_api(google: Google) -> Iterator[Loopback]:
    with serve_google(google) as server:
        yield server


@pytest.fixture(scope="session")
def storage_server() -> Iterator[Any]:
    logging.getLogger("gcp_storage_emulator").setLevel(logging.CRITICAL)
    server = create_server("127.0.0.1", 0, in_memory=True)
    server.record = Record()
    with generation_preconditions(), asked_uploads(), recorded(server.record):
        server.start()
        while server._api._httpd is None:  # set by its thread just before it serves
            pass
        yield server
        server.stop()


@pytest.fixture
def storage_api(storage_server: Any) -> str:
    """The address of Cloud Storage, with one empty bucket named `bucket`."""
    storage_server.wipe()
    emulator = storage_server._storage
    from gcp_storage_emulator.handlers.buckets import create_bucket

    create_bucket("bucket", emulator)
    storage_server.record.seen.clear()
    return f"http://127.0.0.1:{storage_server._api._httpd.server_port}"


@pytest.fixture
def storage_record(storage_server: Any, storage_api: str) -> Record:
    """What Cloud Storage is asked for in this test."""
    record: Record = storage_server.record
    return record


@pytest.fixture
def created(vertex_api: Loopback, google_api: Loopback, storage_record: Record) -> Callable[[], list[str]]:
    """The requests so far that make or change something; counting tokens and looking cost nothing and are not among
    them."""

    def find() -> list[str]:
        asked = [request for server in (vertex_api, google_api) for request, _ in server.seen]
        paths = [one.path for one in asked if one.method != "GET" and not one.path.endswith(":countTokens")]
        return paths + [path for _, path, _ in storage_record.writes]

    return find


@pytest.fixture
def cloud(settings: Settings, vertex_api: Loopback, google_api: Loopback, storage_api: str) -> Settings:
    """Target gcp, every endpoint on loopback."""
    return msgspec.structs.replace(
        settings,
        target="gcp",
        project="mine",
        bucket="bucket",
        vertex_endpoint=vertex_api.url,
        google_endpoint=google_api.url,
        storage_endpoint=storage_api,
        access_token=TOKEN,
        requests_per_minute=10**6,
        poll_seconds=0.01,
    )


@pytest.fixture(scope="session")
def seed_template() -> bytes:
    """A template with the interface of Google's tune-large-model v2.0.0, compiled here by KFP."""
    from kfp import compiler, dsl

    @dsl.component(base_image="python:3.11", install_kfp_package=False)
    def tune(dataset_uri: str, model: str) -> str:
        return f"{model} tuned on {dataset_uri}"

    @dsl.pipeline(name="tune-large-model")
    def tune_large_model(
        project: str,
        model_display_name: str,
        location: str = "us-central1",
        large_model_reference: str = "text-bison@001",
        dataset_uri: str = "",
        train_steps: int = 300,
        evaluation_data_uri: str = "",
        evaluation_interval: int = 20,
        learning_rate_multiplier: float = 1.0,
        tensorboard_resource_id: str = "",
        enable_early_stopping: bool = True,
        accelerator_type: str = "GPU",
        encryption_spec_key_name: str = "",
    ) -> None:
        tune(dataset_uri=dataset_uri, model=large_model_reference)

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "template.yaml"
        compiler.Compiler().compile(tune_large_model, str(path))
        return path.read_bytes()
