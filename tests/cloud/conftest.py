"""Google on loopback: Vertex AI, the smaller APIs and Cloud Storage, and the settings that point at them."""

import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from gcp_storage_emulator.server import create_server
from google_server import Google
from google_server import serve as serve_google
from loopback import TOKEN, Loopback
from storage_bridge import generation_preconditions
from vertex_server import Vertex
from vertex_server import serve as serve_vertex

import tuning.access
from tuning.dataset.dataset import Attribution, Dataset, FileFacts, Manifest, Split, open_dataset
from tuning.pipelines import template_seed
from tuning.settings import Settings
from tuning.storage import sha256_of, write_json


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries and polls follow each other at once, and no test meets the developer's own Google account."""
    monkeypatch.setattr(tuning.access, "FIRST_DELAY", 0.001)
    monkeypatch.setattr(tuning.access, "LONGEST_DELAY", 0.002)
    monkeypatch.setattr(tuning.access, "GIVE_UP_AFTER", 5.0)
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
    return Google({template_seed.URI: seed_template})


@pytest.fixture
def google_api(google: Google) -> Iterator[Loopback]:
    with serve_google(google) as server:
        yield server


@pytest.fixture(scope="session")
def storage_server() -> Iterator[Any]:
    logging.getLogger("gcp_storage_emulator").setLevel(logging.CRITICAL)
    server = create_server("127.0.0.1", 0, in_memory=True)
    with generation_preconditions():
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
    return f"http://127.0.0.1:{storage_server._api._httpd.server_port}"


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


def make_dataset(settings: Settings, format: str = "notebook", train: int = 40, evaluation: int = 12) -> Dataset:  # noqa: A002
    """A finished dataset of small rows in one of the formats that the cloud takes."""
    folder = settings.datasets_dir / f"{format}-0123abcd"
    folder.mkdir(parents=True)
    files = {}
    for name, rows in (("train.jsonl", train), ("eval.jsonl", evaluation)):
        lines = [
            line(format, f"How do I reverse list {number} of {name}?", f"Use reversed({number}).")
            for number in range(rows)
        ]
        (folder / name).write_bytes(b"".join(msgspec.json.encode(one) + b"\n" for one in lines))
        files[name] = FileFacts(rows, (folder / name).stat().st_size, sha256_of(folder / name))
    (folder / "attribution.jsonl").write_bytes(
        b"".join(
            msgspec.json.encode(attribution(split, number)) + b"\n"
            for split, rows in (("train", train), ("eval", evaluation))
            for number in range(rows)
        )
    )
    manifest = Manifest(
        id=folder.name,
        format=format,
        template="Answer.",
        options={},
        build={},
        versions={},
        funnel=[],
        files=files,
        tokens={},
        leaks={},
    )
    write_json(folder / "manifest.json", msgspec.to_builtins(manifest))
    return open_dataset(folder)


def attribution(split: Split, number: int) -> Attribution:
    question = 2 * number + (split == "eval")
    texts = {
        name: f"https://example.org/{name}/{question}"
        for name in Attribution.__struct_fields__
        if name.endswith(("_url", "_author", "_license", "_at"))
    }
    return Attribution(
        example_id=f"{question}-1",
        split=split,
        line=number,
        question_id=question,
        answer_id=1,
        group=question,
        tags=["python"],
        question_score=1,
        answer_score=1,
        changes=[],
        **texts,
    )


def line(format: str, question: str, answer: str) -> dict[str, object]:  # noqa: A002
    user = {"role": "user", "parts": [{"text": question}]}
    match format:
        case "notebook":
            return {"input_text_instruct": f"Answer. {question}", "output_text": answer}
        case "gemini":
            model = {"role": "model", "parts": [{"text": answer}]}
            return {"systemInstruction": {"parts": [{"text": "Answer."}]}, "contents": [user, model]}
        case "gemini-preference":
            completions = [
                {"score": score, "completion": {"role": "model", "parts": [{"text": text}]}}
                for score, text in ((1, answer), (0, "No idea."))
            ]
            return {
                "system_instruction": {"parts": [{"text": "Answer."}]},
                "contents": [user],
                "completions": completions,
            }
        case "messages":
            roles = (("system", "Answer."), ("user", question), ("assistant", answer))
            return {"messages": [{"role": role, "content": text} for role, text in roles]}
        case _:
            raise ValueError(format)
