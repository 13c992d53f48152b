"""`invoke predict --endpoint` asks what is deployed, in the words of the training, and says which version answered."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from tests.cloud.as_typed import variables
from tests.cloud.servers.loopback import Fault, Loopback
from tests.cloud.servers.storage_bridge import Record
from tests.cloud.servers.vertex_server import Vertex
from tests.invoked import invoke_here
from tests.registry.candidates import register
from tests.tuners.hf.templates import tokenizer_of
from tuning.command_line.options import DeployOptions
from tuning.errors import TuningError
from tuning.registry import registry
from tuning.registry.deployment import deploy, undeploy
from tuning.registry.predict import Prediction, ask, load_endpoint
from tuning.settings import Settings
from tuning.tuners.protocol import Model

QUESTION = "How do I read a file?\nLine by line."


def version(settings: Settings, folder: Path, style: str, **fields: object) -> str:
    """Register a version with a tokenizer that has this chat template, or none."""
    merged = folder / "merged"
    merged.mkdir(parents=True)
    (merged / "model.safetensors").write_bytes(folder.name.encode())
    tokenizer = copy.deepcopy(tokenizer_of(style or "chatml"))
    tokenizer.chat_template = tokenizer.chat_template if style else None
    tokenizer.save_pretrained(merged)
    return register(settings, Model(tuner="hf", base_model="small", uri=str(merged)), folder, **fields)


def put(settings: Settings, name: str, share: int = 100) -> None:
    deploy(settings, DeployOptions(model=name, traffic=share), lambda line: None)


def answer(settings: Settings) -> Prediction:
    *_, last = ask(load_endpoint(settings), QUESTION, 64)
    assert isinstance(last, Prediction)
    return last


def asked(vertex_api: Loopback) -> Any:
    return vertex_api.asked("POST", "/chat/completions$")[-1].body


def test_the_deployed_version_is_asked_in_the_words_of_its_training(
    cloud: Settings, tmp_path: Path, vertex_api: Loopback, storage_record: Record
) -> None:
    put(cloud, version(cloud, tmp_path / "a", "chatml"))
    storage_record.seen.clear()
    told = answer(cloud)
    assert (told.model, told.finish_reason, told.notes) == ("v1", "STOP", [])
    assert asked(vertex_api) == {
        "model": "",
        "messages": [
            {"role": "system", "content": "Answer the question."},
            {"role": "user", "content": "How do I read a file?\n\nLine by line."},
        ],
        "temperature": 0,
        "max_tokens": 64,
        "chat_template_kwargs": {"enable_thinking": False, "thinking": False},
    }
    assert told.answer == "Answer to: How do I read a file?\n\nLine by line."
    assert not [path for _, path, _ in storage_record.seen if "safetensors" in path]  # no weights are downloaded


def test_a_template_without_system_messages_gets_the_instruction_with_the_question(
    cloud: Settings, tmp_path: Path, vertex_api: Loopback
) -> None:
    put(cloud, version(cloud, tmp_path / "a", "gemma 2"))
    answer(cloud)
    (message,) = asked(vertex_api)["messages"]
    assert message == {"role": "user", "content": "Answer the question.\n\nHow do I read a file?\n\nLine by line."}


def test_a_model_without_a_chat_template_is_refused(cloud: Settings, tmp_path: Path, vertex_api: Loopback) -> None:
    put(cloud, version(cloud, tmp_path / "a", ""))
    with pytest.raises(
        TuningError, match="has no chat template, so a server cannot word its prompts as the training did"
    ):
        answer(cloud)
    assert not vertex_api.asked("POST", "/chat/completions$")


def test_of_several_versions_the_one_that_answered_is_named(cloud: Settings, tmp_path: Path, vertex: Vertex) -> None:
    put(cloud, version(cloud, tmp_path / "a", "chatml"))
    put(cloud, version(cloud, tmp_path / "b", "chatml", template="Be brief."), 10)
    note = "the prompt is worded for v1, and v2 was trained on another wording"
    for serves, names_itself, name in (("", True, "v1"), ("2", True, "v2"), ("2", False, "v1 or v2")):
        vertex.endpoints.serves, vertex.endpoints.names_itself = serves, names_itself
        told = answer(cloud)
        assert (told.model, told.notes) == (name, [note])
    put(cloud, "v2")
    assert answer(cloud).model == "v2"  # the only one, although the answer does not name it


def test_nothing_deployed_is_one_line_and_a_champion_of_gemini_has_its_own_endpoint(
    cloud: Settings, settings: Settings, tmp_path: Path
) -> None:
    with pytest.raises(
        TuningError, match=r"no version is deployed\. `invoke deploy --target gcp` deploys the champion"
    ):
        load_endpoint(cloud)
    with pytest.raises(TuningError, match="the target is local"):
        load_endpoint(settings)
    put(cloud, version(cloud, tmp_path / "a", "chatml"))
    undeploy(cloud, "", lambda line: None)
    with pytest.raises(TuningError, match="no version is deployed"):
        load_endpoint(cloud)
    work = tmp_path / "gemini"
    work.mkdir()
    own = "projects/mine/locations/us/endpoints/77"
    name = register(cloud, Model(tuner="gemini", base_model="gemini-3.5-flash", uri=own), work, format="gemini")
    registry.promote(cloud, name, force=True, reason="a trial")
    assert answer(cloud).model == name


def test_a_fault_is_tried_again_and_a_refusal_is_one_line(
    cloud: Settings, tmp_path: Path, vertex_api: Loopback
) -> None:
    put(cloud, version(cloud, tmp_path / "a", "chatml"))
    vertex_api.faults = [Fault("POST", "/chat/completions", 503)]
    assert answer(cloud).model == "v1"
    vertex_api.faults = [Fault("POST", "/chat/completions", 403)]
    with pytest.raises(TuningError, match=r"asking projects/mine/.*: HTTP 403\. Run `invoke cloud.check"):
        answer(cloud)


def test_a_question_beyond_the_context_gets_an_empty_answer(cloud: Settings, tmp_path: Path) -> None:
    put(cloud, version(cloud, tmp_path / "a", "chatml"))
    *_, told = ask(load_endpoint(cloud), "How? " * 5_000, 64)
    assert isinstance(told, Prediction)
    assert (told.answer, told.finish_reason, told.model) == ("", "MAX_TOKENS", "v1")
    assert "maximum context length is 4096 tokens" in told.notes[0]


def test_predict_as_typed(cloud: Settings, tmp_path: Path) -> None:
    put(cloud, version(cloud, tmp_path / "a", "chatml"))

    def typed(*arguments: str) -> tuple[int, str]:
        result = invoke_here("predict", *arguments, "--endpoint", "--target", "gcp", **variables(cloud))
        return result.returncode, result.stdout + result.stderr

    assert typed("How do I read a file?") == (0, "Answer to: How do I read a file?\n[v1: STOP]\n")
    questions, answers = tmp_path / "questions.jsonl", tmp_path / "answers.jsonl"
    questions.write_text('{"title": "one"}\n{"title": "two"}\n')
    typed("--file", str(questions), "--output", str(answers))
    written = [json.loads(line) for line in answers.read_text().splitlines()]
    assert [(one["answer"], one["model"]) for one in written] == [("Answer to: one", "v1"), ("Answer to: two", "v1")]
    assert "so --model has no use" in typed("How?", "--model", "v1")[1]
