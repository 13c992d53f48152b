"""Thinking of models on Vertex AI: as little as each accepts, the same for base and tuned, and never an answer."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from google.genai.types import GenerateContentResponse, ThinkingConfig, ThinkingLevel

from tests.cloud.servers.loopback import Loopback
from tests.cloud.servers.vertex_server import Vertex
from tests.cloud.storage.cloud_dataset import make_dataset
from tuning.dataset.formats.records import Message
from tuning.registry.predict import ask, load
from tuning.settings import Settings
from tuning.tuners.gemini.models import thinking
from tuning.tuners.gemini.predictor import read_answer
from tuning.tuners.gemini.tuner import GeminiTuner
from tuning.tuners.protocol import Answer, Model, TuneOptions

ENDPOINT = "projects/mine/locations/us/endpoints/1001"
THOUGHT = {"text": "plan first", "thought": True}
QUESTION = [(Message("user", "Why?"),)]


def response(parts: list[dict[str, Any]] | None, finish: str | None = "MAX_TOKENS", thoughts: int | None = 93) -> Any:
    """What the service answers. Without `parts`, the content has only its role."""
    content = {"role": "model"} if parts is None else {"role": "model", "parts": parts}
    usage = {"promptTokenCount": 41, "thoughtsTokenCount": thoughts, "totalTokenCount": 134}
    candidate = {"content": content, "finishReason": finish, "index": 0}
    return {"candidates": [candidate], "usageMetadata": {key: value for key, value in usage.items() if value}}


def read(raw: Any) -> Answer:
    return read_answer(GenerateContentResponse.model_validate(raw))


@pytest.mark.parametrize(
    ("family", "budget", "level"),
    [
        ("gemini-2.5-pro", 128, None),
        ("gemini-2.5-flash", 0, None),
        ("gemini-2.5-flash-lite", 0, None),
        ("gemini-2.5-flash-lite-preview-09-2025", 0, None),
        ("gemini-3-flash-preview", None, "MINIMAL"),
        ("gemini-3.1-flash-lite", None, "MINIMAL"),
        ("gemini-3.5-flash", None, "MINIMAL"),
        ("gemini-3.5-flash-lite", None, "MINIMAL"),
        ("gemini-3.6-flash", None, "MINIMAL"),
        ("gemini-3.7-flash", None, "LOW"),
        ("gemini-3.8-flash", None, "LOW"),
        ("gemini-3-pro-preview", None, "LOW"),
        ("gemini-3.1-pro-preview", None, "LOW"),
        ("gemini-4-flash", None, "LOW"),
    ],
)
@pytest.mark.parametrize("named", ["{}", "publishers/google/models/{}", ENDPOINT])
def test_each_family_thinks_as_little_as_it_can(
    vertex: Vertex,
    vertex_api: Loopback,
    cloud: Settings,
    family: str,
    budget: int | None,
    level: str | None,
    named: str,
) -> None:
    """The service takes the setting, whether the request names the model or the endpoint of one tuned from it."""
    name = named.format(family)
    wanted = ThinkingConfig(thinking_budget=budget, thinking_level=ThinkingLevel[level] if level else None)
    assert thinking(name, family) == wanted
    vertex.tuning_jobs["projects/mine/locations/us-central1/tuningJobs/1001"] = {"baseModel": family}
    model = Model(tuner="gemini", base_model=family, uri=name)
    assert GeminiTuner().predictor(cloud, model).generate(QUESTION, 8)[0].finish_reason == "STOP"


@pytest.mark.parametrize(
    "name",
    [
        "google/gemma3@gemma-3-4b-it",
        "qwen/qwen3@qwen3-32b",
        "meta/llama3_1@llama-3.1-8b-instruct",
        "gemini-2.0-flash-001",
        "gemini-1.5-pro-002",
        "",
    ],
)
def test_a_model_that_cannot_be_told_how_to_think_is_told_nothing(name: str) -> None:
    assert thinking(name, name) is None
    assert thinking(ENDPOINT, name) is None


def test_base_tuned_and_predict_are_asked_alike(cloud: Settings, vertex_api: Loopback, tmp_path: Path) -> None:
    dataset = make_dataset(cloud, "gemini")
    settings = msgspec.structs.replace(cloud, tuner="gemini")
    tuner = GeminiTuner()
    tuned = tuner.tune(settings, dataset, TuneOptions(), tmp_path)
    for model in (tuner.base(settings, dataset, TuneOptions()), tuned):
        tuner.predictor(settings, model).generate(QUESTION, 512)
    list(ask(load(settings, "base", dataset.id), "Why?", 8))
    requests = vertex_api.asked("POST", ":generateContent$")
    assert ["endpoints" in request.path for request in requests] == [False, True, False]
    assert [request.body["generationConfig"] for request in requests] == [
        {"temperature": 0.0, "maxOutputTokens": 1024, "thinkingConfig": {"thinking_level": "MINIMAL"}}
    ] * 3


@pytest.mark.parametrize(("wanted", "sent"), [(1, 1024), (1024, 1024), (1025, 1025)])
def test_the_output_limit_leaves_room_for_thoughts(
    cloud: Settings, vertex_api: Loopback, wanted: int, sent: int
) -> None:
    model = Model(tuner="gemini", base_model="gemini-3.5-flash", uri=ENDPOINT)
    GeminiTuner().predictor(cloud, model).generate(QUESTION, wanted)
    (request,) = vertex_api.asked("POST", ":generateContent$")
    assert request.body["generationConfig"]["maxOutputTokens"] == sent


def test_an_answer_that_thinking_used_up_says_so() -> None:
    used = Answer("", "MAX_TOKENS", ("used 93 tokens for thinking",))
    assert read(response(None)) == used
    assert read(response([])) == used
    assert read(response([THOUGHT])) == used


def test_a_cut_answer_keeps_its_text_without_the_thoughts() -> None:
    cut = read(response([THOUGHT, {"text": "Use "}, {"text": "a"}], thoughts=90))
    assert cut == Answer("Use a", "MAX_TOKENS", ("used 90 tokens for thinking",))


def test_a_whole_answer_has_no_note_about_thinking() -> None:
    assert read(response([THOUGHT, {"text": "Use a loop."}], "STOP")) == Answer("Use a loop.", "STOP")


def test_an_answer_of_thoughts_alone_is_empty() -> None:
    assert read(response([THOUGHT], "STOP")) == Answer("", "STOP", ("used 93 tokens for thinking",))


@pytest.mark.parametrize(
    ("raw", "finish"),
    [
        ({}, "EMPTY"),
        ({"candidates": []}, "EMPTY"),
        ({"candidates": [], "usageMetadata": {"thoughtsTokenCount": 5}}, "EMPTY"),
        ({"candidates": [{}]}, "UNKNOWN"),
        ({"candidates": [{"finishReason": "MAX_TOKENS"}]}, "MAX_TOKENS"),
        ({"candidates": [{"content": {}, "finishReason": "STOP"}]}, "STOP"),
        (response([{}], "OTHER", None), "OTHER"),
        (response(None, thoughts=None), "MAX_TOKENS"),
    ],
)
def test_a_response_with_little_in_it_is_an_empty_answer(raw: Any, finish: str) -> None:
    answer = read(raw)
    assert (answer.text, answer.finish_reason) == ("", finish)
    assert not any("thinking" in note for note in answer.notes)
