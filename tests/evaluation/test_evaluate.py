"""Evaluating one model: what it is asked, and what is recorded when answers are run and when they are not."""

import json
import math
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from tests.pipelines.scripted_tuner import asking
from tests.pipelines.small_dataset import write_dataset
from tuning.answers import sandbox
from tuning.answers.suite import find_suite, is_about_python
from tuning.dataset.dataset import Dataset
from tuning.dataset.formats.records import Example, Message
from tuning.evaluation.evaluate import evaluate
from tuning.evaluation.options import EvaluationOptions, evaluation_options
from tuning.evaluation.records import Asked, Evaluation
from tuning.settings import Settings
from tuning.tuners.protocol import Answer, Model

RIGHT = "Like this:\n\n```python\nprint(items[::-1])\n```"
ANSWERS = {
    "right": RIGHT,
    "wrong": "```python\nprint(items)\n```",
    "broken": "```python\nprint(items)\nitems.reversed()\n```",
    "text": "Reverse them.",
    "cut": "```python\nprint(items[::-1]",
}


class Predictor:
    """Answers a question by its title, keeps the prompts, and gives a loss of 2 for each example."""

    def __init__(self) -> None:
        self.prompts: list[Sequence[Message]] = []

    def generate(self, prompts: Sequence[Sequence[Message]], max_new_tokens: int) -> list[Answer]:
        self.prompts += prompts
        titles = [prompt[-1].content.partition("\n")[0] for prompt in prompts]
        return [
            Answer(ANSWERS.get(title, RIGHT), "MAX_TOKENS" if title == "cut" else "STOP", ("a note",))
            for title in titles
        ]

    def losses(self, examples: Sequence[Example], max_length: int) -> list[tuple[float, int]]:
        return [(2.0, 10) for _ in examples]


def evaluated(
    dataset: Dataset, options: EvaluationOptions, predictor: Predictor | None = None, metric: str = "loss"
) -> Evaluation:
    model = Model(tuner="hf", base_model="small", uri="weights")
    return evaluate(
        predictor or Predictor(), dataset, options, role="tuned", model=model, primary_metric=metric, dataset_sha256="0"
    )


@pytest.fixture
def python(tmp_path: Path) -> Dataset:
    return write_dataset(tmp_path / "python", train=2, evaluation=20)


@pytest.fixture
def cooking(tmp_path: Path) -> Dataset:
    return write_dataset(tmp_path / "cooking", train=2, evaluation=20, tag="bread")


@pytest.fixture
def questions(tmp_path: Path) -> str:
    """One question per answer in ANSWERS. Each asks to reverse a list."""
    rows = [
        {"topic": f"topic {title}", "title": title, "body": "With `items`.", "setup": "items = [1, 2]"}
        | {"check": "assert found([2, 1])", "reference": RIGHT}
        for title in ANSWERS
    ]
    (tmp_path / "questions.json").write_text(json.dumps(rows))
    return str(tmp_path / "questions.json")


def test_answers_are_run_and_what_their_code_does_is_recorded(python: Dataset, questions: str) -> None:
    asked = evaluated(python, asking(benchmark=questions)).asked
    assert asked.suite.startswith("questions.json, 5 questions, ")
    assert (asked.protection, asked.reason) == (sandbox.protection(), "")
    rows = {row.topic.removeprefix("topic "): row for row in asked.questions}
    assert {name: (row.scores["executed"], row.scores["runs"]) for name, row in rows.items()} == {
        "right": (100, 100),
        "wrong": (0, 100),
        "broken": (0, 0),
        "text": (0, 0),
        "cut": (0, 0),
    }
    assert {name: row.scores["code"] for name, row in rows.items()} == {
        "right": 100, "wrong": 100, "broken": 100, "text": 0, "cut": 100,
    }  # fmt: skip
    assert (rows["right"].printed, rows["right"].error) == ("[2, 1]\n", "")
    assert rows["wrong"].printed == "[1, 2]\n"
    assert rows["broken"].error.startswith("AttributeError: 'list' object has no attribute 'reversed'")
    assert rows["text"].error == rows["cut"].error == "the answer has no Python code that parses"
    assert (rows["cut"].finish_reason, rows["cut"].scores["truncated"]) == ("MAX_TOKENS", 100)
    assert rows["broken"].scores["apis"] == 0
    one = rows["right"]
    assert (one.question, one.reference, one.answer, one.notes) == (
        "right\n\nWith `items`.",
        RIGHT,
        RIGHT,
        ["a note"],
    )


def test_a_python_dataset_is_asked_the_suite_after_its_own_examples(python: Dataset) -> None:
    predictor = Predictor()
    found = evaluated(python, EvaluationOptions(examples=10, answers=3, run_answers="no"), predictor)
    suite = find_suite("judging")
    assert [len(found.scored), len(predictor.prompts), len(found.asked.questions)] == [10, 3 + 96, 96]
    assert [bool(row.answer) for row in found.scored] == [True] * 3 + [False] * 7
    assert [question.topic for question in found.asked.questions] == [question.topic for question in suite.questions]
    first = suite.questions[0]
    assert predictor.prompts[3] == (
        Message("system", "Answer the question."),
        Message("user", f"{first.title}\n\n{first.body}".rstrip()),
    )


def test_without_running_answers_the_rest_is_recorded_with_the_reason(python: Dataset) -> None:
    asked = evaluated(python, EvaluationOptions(run_answers="no")).asked
    assert (asked.suite, asked.protection) == (find_suite("judging").title, "")
    assert asked.reason == "the code in the answers was not run (--run-answers no)"
    assert len(asked.questions) == 96
    assert not [row for row in asked.questions if {"executed", "runs"} & row.scores.keys() or row.printed or row.error]
    assert {(row.scores["code"], row.scores["empty"]) for row in asked.questions} == {(100, 0)}


def test_where_code_cannot_be_shut_in_it_runs_only_on_request(
    python: Dataset, questions: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox, "protection", lambda: "limits")
    asked = evaluated(python, EvaluationOptions(benchmark=questions)).asked
    assert asked.reason.startswith("the code in the answers was not run, because this system cannot block its access")
    assert asked.reason.endswith("(use --run-answers unprotected to run it without protection)")
    assert not [row for row in asked.questions if "executed" in row.scores]
    asked = evaluated(python, EvaluationOptions(benchmark=questions, run_answers="unprotected")).asked
    assert (asked.protection, asked.reason) == ("limits", "")
    assert [row.scores["executed"] for row in asked.questions] == [100, 0, 0, 0, 0]


def test_a_dataset_that_is_not_about_python_is_asked_no_suite_but_a_file_of_questions(
    cooking: Dataset, questions: str
) -> None:
    predictor = Predictor()
    found = evaluated(cooking, EvaluationOptions(answers=3), predictor)
    assert found.asked == Asked(reason="no suite of how-to questions applies, because the dataset is not about Python")
    assert len(predictor.prompts) == 3
    asked = evaluated(cooking, asking(benchmark=questions)).asked
    assert (len(asked.questions), asked.reason) == (5, "")


def test_without_a_suite_nothing_is_asked(python: Dataset) -> None:
    assert evaluated(python, EvaluationOptions(suite="")).asked == Asked(
        reason="no suite of how-to questions was asked"
    )


def test_it_says_how_many_questions_are_asked_and_what_the_loss_is_of(
    python: Dataset, questions: str, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluated(python, EvaluationOptions(examples=15, answers=3, benchmark=questions, run_answers="no"))
    said = "asking the tuned model 3 held-out and 5 how-to questions; the loss is of 15 held-out examples\n"
    assert capsys.readouterr().out == said


def test_questions_have_the_form_of_the_datasets_bodies(python: Dataset, questions: str) -> None:
    manifest = msgspec.structs.replace(python.manifest, options={"body": "html"})
    predictor = Predictor()
    html = Dataset(python.folder, manifest)
    evaluated(html, EvaluationOptions(answers=0, benchmark=questions, run_answers="no"), predictor)
    assert predictor.prompts[0][-1].content == "right\n\n<p>With <code>items</code>.</p>"


def test_without_losses_all_examples_get_an_answer(python: Dataset) -> None:
    found = evaluated(python, EvaluationOptions(answers=1, suite=""), metric="chrf")
    assert [bool(row.answer) for row in found.scored] == [True] * 20
    assert all(row.notes == ["a note"] for row in found.scored)
    assert not [row for row in found.scored if math.isnan(row.scores["chrf"])]


@pytest.mark.parametrize(
    ("tags", "is_about"),
    [
        ([["python"], ["java"]], True),
        ([["python-3.x", "list"], ["pandas"], ["java"]], True),
        ([["python"], ["java"], ["c++"]], False),
        ([["bread"]], False),
        ([], False),
    ],
)
def test_a_dataset_is_about_python_if_half_of_its_questions_are(tags: list[list[str]], is_about: bool) -> None:
    assert is_about_python(tags) is is_about


def test_the_settings_say_how_much_is_evaluated_and_only_a_smoke_test_is_asked_no_suite() -> None:
    settings = Settings(evaluation_examples=7, evaluation_answers=2, run_answers="no")
    options = evaluation_options(settings, "smollm2")
    assert (options.examples, options.answers, options.run_answers) == (7, 2, "no")
    assert (options.suite, options.benchmark, options.max_new_tokens) == ("judging", "", 512)
    assert evaluation_options(settings, "tiny").suite == ""
