"""The pipeline with the real local tuner, in a minute: the base `tiny`, two steps."""

import json

import pytest

from tests.pipelines.small_dataset import write_dataset
from tuning.evaluation.options import EvaluationOptions, GateOptions
from tuning.pipelines.local.run import run_local
from tuning.pipelines.plan import Plan
from tuning.registry.evaluate_version import evaluate_version, in_lines, write_sides
from tuning.registry.model_folder import open_model
from tuning.registry.predict import Prediction, ask, load
from tuning.tuners.protocol import TuneOptions


@pytest.mark.slow
def test_tiny_goes_all_the_way_to_an_answer(settings):
    dataset = write_dataset(settings.datasets_dir / "d1", train=60, evaluation=40)
    result = run_local(
        settings,
        Plan(
            dataset=dataset,
            tuner="hf",
            tune=TuneOptions(base_model="tiny", steps=2, batch_size=4),
            evaluation=EvaluationOptions(examples=32, answers=2, max_new_tokens=8, max_length=64, suite=""),
            gate=GateOptions(resamples=200),
        ),
        show=lambda _: None,
    )
    assert (result.version.base_model, result.version.verdict.smoke_test) == ("tiny", True)
    page = result.report.read_text()
    for words in ("Smoke test", "development loss", "<polyline", "training examples; 0 were left out"):
        assert words in page

    from transformers import AutoModelForCausalLM

    model = open_model(settings.models_dir / "v1" / "model")
    assert AutoModelForCausalLM.from_pretrained(model.uri).num_parameters() == model.facts["parameters"]

    *_, last = ask(load(settings, "v1"), "How do I use a list?", max_new_tokens=4)
    assert isinstance(last, Prediction)
    assert last.finish_reason in ("STOP", "MAX_TOKENS")

    lines = in_lines(evaluate_version(settings, "v1", "d1", 10, 1))
    assert lines[0] == "v1 (tuned tiny) is evaluated on dataset d1"
    assert lines[-1].startswith(
        "no how-to questions were asked, because the base model tiny has random weights and cannot answer any; "
        "only 10 independent evaluation examples"
    )
    assert "loss or text overlap alone does not show" in lines[-1]
    assert lines[-1].endswith("This base model is for smoke tests: its scores do not measure quality.")

    lines = in_lines(evaluate_version(settings, "v1", "d1", 10, 2, judge_name="tiny"))
    assert lines[-1].startswith("judge tiny: ")

    questions = settings.home / "questions.jsonl"
    questions.write_text('{"title": "How do I print 5?", "body": "", "check": "assert printed(5)"}\n')
    judged = evaluate_version(settings, "v1", "d1", 10, 0, benchmark=str(questions))
    assert "  solved by no model: How do I print 5?" in in_lines(judged)
    assert write_sides(judged, settings.home / "answers.jsonl").startswith("wrote 1 questions with both answers")
    (side,) = map(json.loads, (settings.home / "answers.jsonl").read_text().splitlines())
    assert side["answers"].keys() == {"base", "tuned"}
