"""The pipeline with the real local tuner, the base `tiny` and two steps, on a user's own files."""

import json
import re
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from tests.marts import words
from tests.pipelines.small_dataset import write_dataset
from tuning.command_line.options import OwnOptions, SplitOptions, TuningOptions
from tuning.command_line.report import Report
from tuning.errors import TuningError
from tuning.pipelines.end_to_end import Given, more_rows, tune_all
from tuning.pipelines.release.record import read_run
from tuning.pipelines.release.release import PipelineRun
from tuning.registry.evaluate_version import evaluate_version, in_lines, summary, write_sides
from tuning.registry.model_folder import open_model
from tuning.registry.predict import Prediction, ask, load
from tuning.settings import Settings


def write(folder: Path, name: str, numbers: range) -> str:
    rows = [{"instruction": words(number), "input": "", "output": words(number + 5000)} for number in numbers]
    (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(folder / name)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(home=tmp_path_factory.mktemp("own") / "home", evaluation_answers=1)


@pytest.fixture(scope="module")
def tuned(home: Settings) -> tuple[PipelineRun, list[str]]:
    """A run with own files, and what it showed."""
    files = home.home.parent
    own = OwnOptions(train=[f"{write(files, 'a.jsonl', range(60))}=2"], eval_=[write(files, "b.jsonl", range(60, 80))])
    shown: list[str] = []
    tuning = TuningOptions(base_model="tiny", steps=2, batch_size=4, run_answers="no")
    return tune_all(home, Given(own=own, tuning=tuning, run_file="limit: 0\n"), shown.append), shown


@pytest.mark.slow
def test_own_files_are_tuned_on_and_a_file_is_evaluated(home, tuned, tmp_path):
    run, shown = tuned
    assert any("80 rows in 2 files" in line for line in shown)
    assert any("120 train and 20 eval examples" in line for line in shown)
    assert (run.version.template, run.version.body) == ("", "text")
    facts = {line.split()[0]: line for line in run.summary[1:]}
    assert list(facts) == ["verdict", "solved", "loss", "dataset", "model", "time"]
    assert facts["dataset"].endswith(f"  {run.version.dataset_id}: 120 train and 20 eval examples")
    assert facts["model"].endswith("  v1 of tiny, the champion is none")
    total = read_run(run.folder).seconds
    assert (run.seconds, total > sum(step.seconds for step in run.steps) - 1) == (total, True)
    assert re.search(rf"  files [\d.]+ s, .*, tune [\d.]+ s, .*; {total:.1f} s in all$", facts["time"])
    assert "own data" in run.report.read_text()
    assert (run.folder / "run.yaml").read_text() == "limit: 0\n"

    judged = evaluate_version(home, "v1", [write(tmp_path, "c.jsonl", range(55, 70))], 10, 1)
    lines, data = in_lines(judged), json.loads(Report(judged.as_data(), []).as_json())
    assert (data["version"], data["examples"], data["verdict"]["status"]) == ("v1", 15, judged.verdict.status)
    assert lines[0].startswith("v1 (tuned tiny) is evaluated on 15 own examples, and was tuned on ")
    assert any(line.endswith("read: rows of the files") for line in lines)
    assert any("the model was trained on" in line for line in lines)
    assert summary(judged)[-3].split() == ["dataset", f"{judged.dataset.id}:", "15", "examples", "for", "evaluation"]
    assert [path.name for path in home.datasets_dir.iterdir() if path.name[0] != "."] == [run.version.dataset_id]


@pytest.mark.slow
def test_tiny_goes_all_the_way_to_an_answer(home, tuned, tmp_path):
    run, _ = tuned
    dataset = run.version.dataset_id
    assert (run.version.base_model, run.version.verdict.smoke_test) == ("tiny", True)
    page = run.report.read_text()
    for said in ("Smoke test", "development loss", "<polyline", "training examples; 0 were left out"):
        assert said in page

    from transformers import AutoModelForCausalLM

    model = open_model(home.models_dir / "v1" / "model")
    assert AutoModelForCausalLM.from_pretrained(model.uri).num_parameters() == model.facts["parameters"]

    *_, last = ask(load(home, "v1"), "How do I use a list?", max_new_tokens=4)
    assert isinstance(last, Prediction)
    assert last.finish_reason in ("STOP", "MAX_TOKENS")

    lines = in_lines(evaluate_version(home, "v1", dataset, 10, 1))
    assert lines[0] == f"v1 (tuned tiny) is evaluated on dataset {dataset}"
    assert lines[-1].startswith(
        "no how-to questions were asked, because the base model tiny has random weights and cannot answer any; "
        "only 10 independent evaluation examples"
    )
    assert "loss or text overlap alone does not show" in lines[-1]
    assert lines[-1].endswith("This base model is for smoke tests: its scores do not measure quality.")

    lines = in_lines(evaluate_version(home, "v1", dataset, 10, 2, judge_name="tiny"))
    assert lines[-1].startswith("judge tiny: ")

    questions = tmp_path / "questions.jsonl"
    questions.write_text('{"title": "How do I print 5?", "body": "", "check": "assert printed(5)"}\n')
    judged = evaluate_version(home, "v1", dataset, 10, 0, benchmark=str(questions))
    assert "  solved by no model: How do I print 5?" in in_lines(judged)
    assert write_sides(judged, tmp_path / "answers.jsonl").startswith("wrote 1 questions with both answers")
    (side,) = map(json.loads, (tmp_path / "answers.jsonl").read_text().splitlines())
    assert side["answers"].keys() == {"base", "tuned"}


@pytest.mark.parametrize(
    ("own", "said"),
    [
        (
            {"train": ["few.jsonl"]},
            r"has \d rows, but at least 5 are needed\. Name other rows for evaluation with --eval FILE, hold out "
            r"more of the 30 rows with --eval-fraction 0\.34, or give more rows",
        ),
        (
            {"train": ["few.jsonl"], "eval_": ["two.jsonl"]},
            r"has 2 rows, but at least 5 are needed\. Add rows to --eval",
        ),
    ],
)
def test_too_few_own_rows_for_evaluation_are_refused_before_a_run_is_recorded(
    settings, tmp_path, monkeypatch, own, said
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tuning.pipelines.end_to_end.run_local", lambda *_, **__: pytest.fail("a run began"))
    for name, numbers in (("few.jsonl", range(30, 60)), ("two.jsonl", range(70, 72))):
        rows = [{"question": words(number), "answer": words(number + 5000)} for number in numbers]
        (tmp_path / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    tuning = TuningOptions(base_model="tiny", run_answers="no")
    with pytest.raises(TuningError, match=said):
        tune_all(settings, Given(own=OwnOptions(**own), tuning=tuning), lambda _: None)
    assert not settings.runs_dir.exists()


OWN = {"own": OwnOptions(train=["a.jsonl"])}
LIMITED = {"made": SplitOptions(limit=40)}


@pytest.mark.parametrize(
    ("given", "options", "rows", "said"),
    [
        (OWN, {}, 80, "hold out more of the 80 rows with --eval-fraction 0.2, or give more rows"),
        (OWN, {}, 30, "hold out more of the 30 rows with --eval-fraction 0.34, or give more rows"),
        (
            OWN,
            {"eval_fraction": 0.02},
            120,
            "hold out more of the 120 rows with --eval-fraction 0.09, or give more rows",
        ),
        (OWN, {"eval_fraction": 0.3}, 15, "Name other rows for evaluation with --eval FILE, or give more rows"),
        ({}, {}, 30, "Give a larger --eval-fraction"),
        (LIMITED, {}, 30, "Give a larger --eval-fraction or a larger --limit"),
        ({}, {"split": "time"}, 30, "Give an earlier --split-date"),
        (LIMITED, {"split": "time"}, 30, "Give an earlier --split-date or a larger --limit"),
        ({}, {"preset": "seed"}, 20, "Leave out --preset"),
        (LIMITED, {"preset": "seed"}, 20, "Increase --limit"),
        ({"dataset_id": "d1"}, {}, 30, "Use another --dataset"),
    ],
)
def test_the_advice_for_too_few_rows_helps(tmp_path, given, options, rows, said):
    dataset = write_dataset(tmp_path / "d1")
    options = {"split": "hash", "preset": "", "eval_fraction": 0.1} | options
    dataset = replace(dataset, manifest=msgspec.structs.replace(dataset.manifest, options=options))
    assert more_rows(Given(**given), dataset, rows).endswith(said)
