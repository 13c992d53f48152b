"""The pipeline on this machine, from a dataset to a registered model: every step in a process of its own."""

import importlib.util
import os
import re
import resource
import sys
import types
from pathlib import Path

import msgspec
import pytest

from tests.pipelines.character_tuner import LARGE
from tests.pipelines.scripted_tuner import asking
from tests.pipelines.small_dataset import write_dataset
from tests.verdicts import verdict
from tuning.errors import TuningError
from tuning.evaluation.options import EvaluationOptions, GateOptions
from tuning.evaluation.records import Comparison, Verdict
from tuning.evaluation.text_metrics import TEXT_METRICS
from tuning.pipelines.local import run as local
from tuning.pipelines.plan import Plan
from tuning.pipelines.release.places import inputs_in
from tuning.pipelines.release.record import RunRecord, newest_report
from tuning.pipelines.release.release import arguments_against_champion
from tuning.pipelines.steps.requests import ChampionRequest, read_request
from tuning.records import read_record
from tuning.registry import registry
from tuning.registry.model_folder import open_model
from tuning.registry.records import Candidate
from tuning.settings import Settings
from tuning.tuners.protocol import TuneOptions

TUNER = "tests.pipelines.character_tuner:CharacterTuner"
SCRIPTED = "tests.pipelines.scripted_tuner:ScriptedTuner"
OPTIONS = TuneOptions(base_model="characters")
FAST = {"evaluation": EvaluationOptions(answers=2, suite=""), "gate": GateOptions(resamples=200)}
STEPS = [
    "validate",
    "tune",
    "evaluate-base",
    "evaluate-champion",
    "evaluate-tuned",
    "compare",
    "gate",
    "report",
]


def run(settings, dataset, tune=OPTIONS, show=lambda _: None, **options) -> local.PipelineRun:
    return local.run_local(
        settings, Plan(**({"dataset": dataset, "tune": tune, "tuner": TUNER} | FAST | options)), show=show
    )


def ran(result: local.PipelineRun) -> set[str]:
    """The steps that were not taken from the cache."""
    return {step.name for step in result.steps if not step.cached}


def record(result: local.PipelineRun) -> RunRecord:
    return msgspec.json.decode((result.folder / "run.json").read_bytes(), type=RunRecord)


@pytest.mark.slow
def test_a_run_tunes_evaluates_and_registers_and_the_next_run_reuses_all_of_it(tmp_path, monkeypatch):
    settings = Settings(home=tmp_path / "my python3 home")  # a blank, and the name of the interpreter
    dataset = write_dataset(settings.datasets_dir / "d1")
    shown: list[str] = []
    tracked: dict[str, object] = {}
    tracker = types.ModuleType("wandb")
    tracker.__spec__ = importlib.util.spec_from_loader("wandb", None)
    tracker.init, tracker.log, tracker.finish = tracked.update, tracked.update, lambda: None
    monkeypatch.setitem(sys.modules, "wandb", tracker)
    monkeypatch.setattr(os, "environ", os.environ.copy())  # the tracker's variables end with the test
    first = run(msgspec.structs.replace(settings, tracking="wandb"), dataset, show=shown.append)
    answers = first.version.answer_metrics
    assert {"loop", "refusal", "characters"} <= answers.keys() <= set(TEXT_METRICS)
    assert answers["characters"].examples == 2
    assert (tracked["name"], tracked["config"]["verdict"]) == (first.id, "undecided")
    assert tracked["heldout_loss"] == first.version.metrics["loss"]
    assert tracked["heldout_characters"] == answers["characters"].mean
    assert sorted(step.name for step in first.steps) == sorted({*STEPS} - {"evaluate-champion"})  # there is none
    assert not [line for line in shown if "champion" in line]
    assert [step.name for step in first.steps][:2] == ["validate", "tune"]
    assert shown[0].startswith("  1 validate ")
    assert first.verdict.status == "undecided", first.in_words
    assert "loss changes from the base by -" in first.in_words
    assert (first.version.name, first.registered, first.promoted, first.champion) == ("v1", True, False, None)
    assert open_model(settings.models_dir / "v1" / "model").base_model == "characters"
    assert newest_report(settings).path == first.report
    assert "Answers side by side" in first.report.read_text()
    assert read_record(first.folder / "verdict.json", Verdict, "") == first.verdict
    shown_by_report = read_record(first.folder / "comparison.json", Comparison, "")
    assert "loss" in {figure.metric for figure in shown_by_report.figures}
    assert (record(first).status, record(first).version, record(first).promoted) == ("succeeded", "v1", False)
    assert record(first).steps == first.steps
    assert record(first).base_model == "characters"
    assert list(settings.runs_dir.glob("*/scratch")) == []

    history = registry.history(settings)
    second = run(settings, dataset)
    assert ran(second) == set()
    assert (second.version.name, second.registered, second.promoted, second.champion) == ("v1", False, False, None)
    assert registry.history(settings) == history


@pytest.mark.slow
def test_each_change_runs_again_what_depends_on_it_and_nothing_else(settings, dataset, monkeypatch):
    first = run(settings, dataset)
    registry.promote(settings, first.version.name, force=True, reason="no suite was asked")

    # The champion is now v1, which other options must beat: the base's evaluation is the same.
    other = run(settings, dataset, msgspec.structs.replace(OPTIONS, steps=40))
    assert ran(other) == {"tune", "evaluate-champion", "evaluate-tuned", "compare", "gate", "report"}
    assert (other.version.name, other.verdict.champion, other.verdict.status) == ("v2", "v1", "undecided")
    assert (other.promoted, other.champion) == (False, "v1")

    # The gate's options ask only the judges again.
    assert ran(run(settings, dataset, gate=GateOptions(resamples=201))) == {"compare", "gate", "report"}

    # A lost file of the model is noticed, and the model made again.
    weights = next(Path(settings.home / "pipeline").glob("tune-python-qa-*/tune/model/weights/counts.json"))
    for found in Path(settings.home / "pipeline").glob("tune-python-qa-*/tune/model/weights/counts.json"):
        found.unlink()
    shown: list[str] = []
    again = run(settings, dataset, show=shown.append)
    assert any("is damaged or missing" in line for line in shown)
    assert any(re.search(r"removed [1-9][\d,]* bytes of unused files from earlier runs", line) for line in shown)
    assert {"tune", "evaluate-tuned", "compare", "gate", "report"} <= ran(again)
    assert "evaluate-base" not in ran(again)
    assert again.version.name == "v1"
    assert not weights.exists()

    # One row of the data: validation and everything after it. (The rows' own model is then another one.)
    lines = dataset.file("eval").read_bytes().splitlines(keepends=True)
    dataset.file("eval").write_bytes(b"".join([*lines[:-1], lines[-1].replace(b"Use the", b"Take the")]))
    changed = run(settings, dataset)
    assert ran(changed) == set(STEPS)
    assert "eval.jsonl was changed after the dataset was created" in changed.report.read_text()


@pytest.mark.slow
def test_a_model_whose_answers_do_what_was_asked_becomes_champion_until_a_better_one_comes(settings, dataset):
    asked = {"evaluation": asking(answers=2), "tuner": SCRIPTED}
    first = run(settings, dataset, TuneOptions(base_model="characters", steps=40), **asked)
    assert first.verdict.status == "better", first.in_words
    assert "the tuned model solves 40 of 96 how-to questions and the base 0" in first.in_words
    assert (first.version.name, first.promoted, first.champion, first.outdated) == ("v1", True, "v1", "")

    # Half as good: what is worse than the champion is registered, and not released.
    worse = run(settings, dataset, TuneOptions(base_model="characters", steps=20), **asked)
    assert (worse.verdict.status, worse.verdict.champion) == ("worse", "v1"), worse.in_words
    assert (worse.version.name, worse.promoted, worse.champion) == ("v2", False, "v1")

    # It solves all questions. While it is tuned, another model is released, which it is not compared with.
    def release_another(line: str) -> None:
        if " report " in line:
            registry.promote(settings, "v2", force=True, reason="in the meantime")

    late = run(settings, dataset, TuneOptions(base_model="characters"), release_another, **asked)
    assert (late.verdict.status, late.verdict.champion) == ("better", "v1")
    assert (late.version.name, late.promoted, late.champion) == ("v3", False, "v2")
    assert late.outdated.startswith("v3 was compared with v1, but the champion now is v2")
    assert record(late).promoted is False

    again = run(settings, dataset, TuneOptions(base_model="characters"), **asked)
    assert (again.version.name, again.promoted, again.champion) == ("v3", True, "v3")
    page = again.report.read_text()
    assert "Questions gained and lost against the base" in page
    assert "both solve it" not in page


def release_as_champion(settings: Settings, base_model: str) -> None:
    """Register a model of `base_model` and promote it."""
    files = settings.home / "tuned" / base_model
    files.mkdir(parents=True)
    made = Candidate(
        created_at="2026-01-01T00:00:00+00:00",
        training_key=base_model,
        tuner="hf",
        base_model=base_model,
        options={},
        dataset_id="d0",
        dataset_sha256="0",
        template="",
        format="messages",
        body="markdown",
        contents_sha256="0",
        metrics={},
        verdict=verdict("loss", "better"),
        run_id="r0",
    )
    name = registry.register(settings, made, files)[0].name
    registry.promote(settings, name, force=True, reason="a test")


def test_a_smoke_test_is_no_champion_that_a_real_model_must_beat(settings, dataset):
    def opponent(base_model: str) -> ChampionRequest:
        plan = Plan(dataset=dataset, tuner=TUNER, tune=TuneOptions(base_model=base_model))
        inputs = inputs_in(settings, str(settings.home / "requests"))
        arguments = arguments_against_champion(settings, plan, str(dataset.folder), inputs)
        return read_request(arguments["champion_uri"], ChampionRequest)

    release_as_champion(settings, "tiny")
    assert opponent("smollm2") == ChampionRequest()
    assert opponent("tiny") == ChampionRequest(version="v1", folder=str(settings.models_dir / "v1" / "model"))
    release_as_champion(settings, "smollm2")
    assert opponent("tiny") == ChampionRequest(version="v2", folder=str(settings.models_dir / "v2" / "model"))


@pytest.mark.slow
def test_a_step_that_fails_says_why_in_its_own_words_and_nothing_is_registered(settings, dataset):
    with pytest.raises(TuningError, match=r"^there is no base model 'nonsense'\. Take characters or tiny\.$"):
        run(settings, dataset, TuneOptions(base_model="nonsense"))
    assert registry.versions(settings) == []
    failed = msgspec.json.decode(next(settings.runs_dir.glob("*/run.json")).read_bytes(), type=RunRecord)
    assert (failed.status, "nonsense" in failed.error) == ("failed", True)


@pytest.mark.slow
def test_a_disk_that_fills_up_while_the_model_is_saved_registers_nothing_and_the_next_run_makes_it(settings, dataset):
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LARGE // 2, unlimited[1]))  # the steps' processes inherit it
    try:
        with pytest.raises(TuningError, match=r"^a file reached the limit of file size\. Raise the limit"):
            run(settings, dataset, TuneOptions(base_model="large"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
    assert registry.versions(settings) == []
    assert list((settings.home / "pipeline").glob("*/tune/model")) == []
    again = run(settings, dataset, TuneOptions(base_model="large"))
    assert (ran(again), again.version.name) == (set(STEPS) - {"validate", "evaluate-champion"}, "v1")
    assert (settings.models_dir / "v1" / "model" / "weights" / "padding").stat().st_size == LARGE


def test_a_step_that_the_system_kills_for_its_memory_says_so_and_nothing_is_registered(settings, dataset):
    with pytest.raises(TuningError, match=r"^the step tune failed: the system killed it, possibly because memory"):
        run(settings, dataset, TuneOptions(base_model="too large"))
    assert registry.versions(settings) == []


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ({"evaluation": 3}, "the evaluation set of dataset d2 has 3 rows, but at least 5 are needed"),
        ({"format_": "gemini"}, "does not accept the format gemini of dataset d2"),
    ],
)
def test_a_dataset_that_does_not_suit_is_refused_in_one_line(settings, kind, message):
    with pytest.raises(TuningError, match=message):
        run(settings, write_dataset(settings.datasets_dir / "d2", **kind))
    assert registry.versions(settings) == []


def test_an_unknown_tuner_is_one_line(settings, dataset):
    with pytest.raises(TuningError, match="there is no tuner 'magic'"):
        run(settings, dataset, tuner="magic")


def test_a_dataset_that_lost_a_file_is_one_line(settings, dataset):
    (dataset.folder / "train.jsonl").unlink()
    with pytest.raises(TuningError, match=r"train\.jsonl is missing"):
        run(settings, dataset)


def test_hello_greets_as_the_seed_does_and_runs_each_time_since_it_checks_the_runner(settings):
    shown: list[str] = []
    assert local.run_hello(settings, "World", shown.append) == "Hello, World!. How are you?"
    assert local.run_hello(settings, "World!", shown.append) == "Hello, World!!. How are you?"
    assert local.run_hello(settings, "World!", shown.append) == "Hello, World!!. How are you?"
    assert [line.split()[0] for line in shown] == ["say-hello", "how-are-you"] * 3
    steps = [
        step.cached
        for path in settings.runs_dir.glob("*/run.json")
        for step in msgspec.json.decode(path.read_bytes(), type=RunRecord).steps
    ]
    assert steps == [False] * 6
    assert list((settings.home / "pipeline").glob("*")) == [], "a greeting leaves no files but its run's"


def test_hello_greets_any_text(settings):
    for name in ("python3", 'a "quoted" name', "Ünï cödé", "$(id) `id` \\ '"):
        assert local.run_hello(settings, name, lambda _: None) == f"Hello, {name}!. How are you?"
