"""Answers of a model on Vertex AI: order, rate, why each ended, what blocked it, what it cites."""

from typing import Any

import pytest

from tests.cloud.servers.loopback import Fault, Loopback
from tests.cloud.servers.vertex_server import Vertex
from tests.cloud.storage.cloud_dataset import make_dataset
from tuning.dataset.formats.records import Message
from tuning.errors import TuningError
from tuning.evaluation.evaluate import evaluate
from tuning.evaluation.options import EvaluationOptions
from tuning.settings import Settings
from tuning.tuners.gemini import predictor as gemini_predictor
from tuning.tuners.gemini.predictor import GeminiPredictor
from tuning.tuners.gemini.tuner import GeminiTuner
from tuning.tuners.protocol import Model, Predictor, TuneOptions

ENDPOINT = "projects/mine/locations/us/endpoints/1001"


@pytest.fixture
def predictor(cloud: Settings) -> Predictor:
    return GeminiTuner().predictor(cloud, Model(tuner="gemini", base_model="gemini-3.5-flash", uri=ENDPOINT))


def ask(question: str) -> tuple[Message, ...]:
    return (Message("system", "Answer."), Message("user", question))


def test_answers_come_in_the_order_of_the_questions(predictor: Predictor, vertex_api: Loopback) -> None:
    answers = predictor.generate([ask(f"question {number}") for number in range(20)], 64)
    assert [answer.text for answer in answers] == [f"Answer to: question {number}" for number in range(20)]
    assert {answer.finish_reason for answer in answers} == {"STOP"}
    request = vertex_api.asked("POST", ":generateContent$")[0]
    assert request.path == f"/v1beta1/{ENDPOINT}:generateContent"
    assert request.body["systemInstruction"]["parts"] == [{"text": "Answer."}]
    assert request.body["generationConfig"] == {
        "temperature": 0.0,
        "maxOutputTokens": 1024,
        "thinkingConfig": {"thinking_level": "MINIMAL"},
    }
    assert {setting["threshold"] for setting in request.body["safetySettings"]} == {"BLOCK_MEDIUM_AND_ABOVE"}
    assert len(request.body["safetySettings"]) == 4


def test_a_base_model_is_asked_where_it_is_served(cloud: Settings, vertex_api: Loopback) -> None:
    model = GeminiTuner().base(cloud, make_dataset(cloud, "gemini"), TuneOptions())
    GeminiTuner().predictor(cloud, model).generate([ask("Why?")], 8)
    (request,) = vertex_api.asked("POST", ":generateContent$")
    place = "/v1beta1/projects/mine/locations/us"
    assert request.path == f"{place}/publishers/google/models/gemini-3.5-flash-lite:generateContent"


def test_a_blocked_prompt_is_an_answer_without_text_that_says_so(predictor: Predictor, vertex: Vertex) -> None:
    ratings = [{"category": "HARM_CATEGORY_DANGEROUS_CONTENT", "probability": "HIGH", "blocked": True}]
    blocked = {"promptFeedback": {"blockReason": "SAFETY", "safetyRatings": ratings}}
    vertex.answers = lambda prompt: {"raw": blocked} if prompt == "bad" else {"text": "fine"}
    bad, good = predictor.generate([ask("bad"), ask("good")], 8)
    assert (bad.text, bad.finish_reason) == ("", "BLOCKED")
    assert bad.notes == ("the prompt was blocked: SAFETY", "safety: DANGEROUS_CONTENT HIGH, blocked")
    assert (good.text, good.notes) == ("fine", ())


@pytest.mark.parametrize("reason", ["MAX_TOKENS", "SAFETY", "RECITATION"])
def test_why_an_answer_ended_is_kept(predictor: Predictor, vertex: Vertex, reason: str) -> None:
    vertex.answers = lambda prompt: {"text": "half an", "finish": reason}
    (answer,) = predictor.generate([ask("Why?")], 8)
    assert answer.finish_reason == reason


def test_citations_are_shown_with_their_licence(predictor: Predictor, vertex: Vertex) -> None:
    citations = [{"uri": "https://example.org/a", "license": "MIT"}, {"uri": "https://example.org/b"}]
    vertex.answers = lambda prompt: {"text": "quoted", "citations": citations}
    (answer,) = predictor.generate([ask("Why?")], 8)
    assert answer.notes == (
        "cites https://example.org/a (licence: MIT)",
        "cites https://example.org/b (licence: not given)",
    )


def test_evaluation_counts_what_the_service_stopped_and_what_it_found_quoted(
    cloud: Settings, predictor: Predictor, vertex: Vertex
) -> None:
    dataset = make_dataset(cloud, "gemini", evaluation=10)
    answers = [{"text": "no", "finish": "SAFETY"}, {"text": "as said", "citations": [{"uri": "https://example.org"}]}]
    vertex.answers = lambda prompt: answers[int(prompt.split()[5]) % 2]
    model = Model(tuner="gemini", base_model="gemini-3.5-flash", uri=ENDPOINT)
    found = evaluate(
        predictor,
        dataset,
        EvaluationOptions(suite=""),
        role="tuned",
        model=model,
        primary_metric="chrf",
        dataset_sha256="",
    )
    assert [row.scores["stopped"] for row in found.scored] == [100.0, 0.0] * 5
    assert [row.scores["cited"] for row in found.scored] == [0.0, 100.0] * 5
    assert all("loss" not in row.scores for row in found.scored)


@pytest.mark.parametrize("how", [429, 503, "drop"])
def test_a_busy_service_is_asked_again(predictor: Predictor, vertex_api: Loopback, how: Any) -> None:
    vertex_api.faults = [Fault("POST", ":generateContent$", how, 3)]
    answers = predictor.generate([ask(str(number)) for number in range(4)], 8)
    assert [answer.text for answer in answers] == [f"Answer to: {number}" for number in range(4)]


def test_a_refusal_is_one_clear_error(predictor: Predictor, vertex_api: Loopback) -> None:
    vertex_api.faults = [Fault("POST", ":generateContent$", 403)]
    with pytest.raises(TuningError, match=r"querying projects/mine.*planted fault"):
        predictor.generate([ask("Why?")], 8)


def test_questions_start_no_faster_than_the_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    waits: list[float] = []
    monkeypatch.setattr(gemini_predictor.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(gemini_predictor.time, "sleep", waits.append)
    pace = gemini_predictor._Pace(per_minute=120)
    for _ in range(3):
        pace.wait()
    clock[0] += 10
    pace.wait()
    assert waits == [0.0, 0.5, 1.0, 0.0]


def test_it_gives_no_losses(predictor: Predictor) -> None:
    assert predictor.losses([], 128) is None


@pytest.mark.parametrize(
    ("uri", "location"),
    [
        ("projects/mine/locations/eu/endpoints/1001", "eu"),
        ("projects/mine/locations/europe-west4/endpoints/1001", "europe-west4"),
        ("publishers/google/models/gemini-3.5-flash", "us"),
    ],
)
def test_an_endpoint_is_asked_where_it_is(cloud: Settings, uri: str, location: str) -> None:
    predictor = GeminiPredictor(cloud, Model(tuner="gemini", base_model="gemini-3.5-flash", uri=uri))
    assert predictor._client._api_client.location == location
    assert predictor._client._api_client._http_options.api_version == "v1beta1"
