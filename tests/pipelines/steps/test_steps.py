"""The steps as plain functions: validation, both branches of champion and gate, and errors in one line."""

import errno
import shutil
from pathlib import Path

import msgspec
import pytest

from tests.pipelines.artifacts import FakeArtifact, request
from tests.pipelines.character_tuner import CharacterTuner
from tests.pipelines.scripted_tuner import asking, write_benchmark
from tests.pipelines.small_dataset import write_dataset
from tuning.dataset.formats.codec import parse_line
from tuning.errors import TuningError
from tuning.evaluation.options import EvaluationOptions, GateOptions
from tuning.evaluation.records import Evaluation, Verdict
from tuning.pipelines.steps import evaluate as evaluate_step
from tuning.pipelines.steps import gate as gate_step
from tuning.pipelines.steps import process
from tuning.pipelines.steps import tune as tune_step
from tuning.pipelines.steps.code_hash import code_sha256
from tuning.pipelines.steps.requests import (
    ChampionRequest,
    EvaluationRequest,
    GateRequest,
    TuningRequest,
    step_settings,
)
from tuning.pipelines.steps.validation import Checked, checked_dataset
from tuning.registry.model_folder import open_model
from tuning.tuners.protocol import Problem, TuneOptions

TUNER = "tests.pipelines.character_tuner:CharacterTuner"
SCRIPTED = "tests.pipelines.scripted_tuner:ScriptedTuner"
NOT_ASKED = EvaluationOptions(answers=2, suite="")
CODE = code_sha256(__name__, "hf")


class Run:
    """The steps of one run, in a folder of their own."""

    def __init__(
        self, folder: Path, settings, dataset, tuner: str = TUNER, evaluation: EvaluationOptions = NOT_ASKED
    ) -> None:
        self.folder, self.settings, self.tuner, self.evaluation = folder, settings, tuner, evaluation
        folder.mkdir()
        self.dataset = FakeArtifact(dataset.folder, sha256="0")
        self.checked = FakeArtifact(folder / "checked")

    def output(self, name: str) -> FakeArtifact:
        return FakeArtifact(self.folder / name)

    def validate(self) -> Checked:
        tune_step.validate(self.dataset, self.tuner, self.checked)
        return msgspec.json.decode((Path(self.checked.path) / "checked.json").read_bytes(), type=Checked)

    def tune(self, options: TuneOptions = TuneOptions(base_model="characters")) -> FakeArtifact:  # noqa: B008
        asked = TuningRequest(settings=step_settings(self.settings), tuner=self.tuner, options=options)
        model = self.output("model")
        tune_step.tune_here(
            self.dataset, self.checked, request(self.folder / "t.json", asked), "code", model, self.output("metrics")
        )
        return model

    def evaluate(self, step, *model: FakeArtifact) -> FakeArtifact:
        asked = EvaluationRequest(
            settings=step_settings(self.settings),
            tuner=self.tuner,
            base_model="characters",
            seed=42,
            options=self.evaluation,
        )
        found = self.output(step.__name__)
        step(
            self.dataset,
            self.checked,
            request(self.folder / "e.json", asked),
            *model,
            found,
            self.output(f"{step.__name__}-metrics"),
        )
        return found

    def gate(self, champion: ChampionRequest, model: FakeArtifact) -> Verdict:
        released = request(self.folder / "champion.json", champion)
        base = self.evaluate(evaluate_step.evaluate_base)
        tuned = self.evaluate(evaluate_step.evaluate_tuned, model)
        other = self.evaluate(evaluate_step.evaluate_champion, released)
        asked = request(
            self.folder / "g.json", GateRequest(tuner=self.tuner, options=GateOptions(resamples=200), smoke_test=False)
        )
        comparison, verdict = self.output("comparison"), self.output("verdict")
        gate_step.compare(base, tuned, other, asked, comparison, self.output("m1"))
        gate_step.gate(comparison, asked, released, verdict, self.output("m2"))
        return msgspec.json.decode(Path(verdict.path).read_bytes(), type=Verdict)


@pytest.fixture
def run(tmp_path, settings, dataset) -> Run:
    return Run(tmp_path / "run", settings, dataset)


def test_validation_counts_rows_and_leaves_a_good_dataset_alone(run):
    assert run.validate() == Checked(problems=[], train_rows=80, eval_rows=60, sampled_rows=0)
    assert run.checked.metadata["dataset_sha256"] == "0"


def test_a_lower_limit_derives_a_sampled_evaluation_set_by_a_stable_rule(run, settings, dataset, monkeypatch, tmp_path):
    monkeypatch.setattr(CharacterTuner, "evaluation_limit", lambda self, format_, rows: rows // 4)
    assert run.validate().sampled_rows == 20
    judged = checked_dataset(run.dataset, run.checked)
    lines = judged.file("eval").read_bytes().splitlines(keepends=True)
    whole = (dataset.folder / "eval.jsonl").read_bytes().splitlines(keepends=True)
    assert len(lines) == 20
    assert [line for line in whole if line in lines] == lines, "in the order of the whole set"
    assert judged.file("eval").name == "eval.sampled.jsonl"
    assert parse_line("messages", lines[0]).answer.startswith("Use the")
    again = Run(tmp_path / "again", settings, dataset)
    again.validate()
    assert checked_dataset(again.dataset, again.checked).file("eval").read_bytes() == b"".join(lines)


def test_what_a_tuner_finds_fatal_stops_the_run_and_advice_is_kept(run, monkeypatch):
    advice = Problem("few rows", "Take more", fatal=False)
    monkeypatch.setattr(CharacterTuner, "check", lambda self, dataset: [advice])
    assert run.validate().problems == [advice]
    monkeypatch.setattr(CharacterTuner, "check", lambda self, dataset: [advice, Problem("too long", "Cut", True)])
    with pytest.raises(TuningError, match=r"^too long\. Cut$"):
        Run(run.folder / "b", run.settings, checked_dataset(run.dataset, run.checked)).validate()
    assert not (run.folder / "b" / "checked" / "checked.json").exists()


def test_lines_without_attribution_are_refused(run, dataset):
    with dataset.file("eval").open("ab") as file:
        file.write(dataset.file("eval").read_bytes().splitlines(keepends=True)[0])
    with pytest.raises(TuningError, match=r"eval\.jsonl has 61 lines, but attribution\.jsonl has 60"):
        run.validate()


def test_a_tuned_model_is_whole_and_the_work_is_gone(run):
    run.validate()
    model = Path(run.tune().path)
    assert open_model(model).uri == str(model / "weights")
    assert (model / "weights" / "counts.json").exists()
    assert list((run.settings.home / "work").iterdir()) == []


def test_a_tuning_that_fails_leaves_no_model_and_keeps_its_work(run, monkeypatch):
    def break_off(self, settings, dataset, options, output):
        (output / "checkpoint").write_text("half")
        raise TuningError("the disk became full")

    run.validate()
    monkeypatch.setattr(CharacterTuner, "tune", break_off)
    with pytest.raises(TuningError):
        run.tune()
    assert not (run.folder / "model").exists()
    checkpoints = list((run.settings.home / "work").glob("*/checkpoint"))
    assert [path.read_text() for path in checkpoints] == ["half"]


def test_an_unfinished_tuning_of_other_options_is_not_gone_on_with(run, monkeypatch):
    seen = []

    def break_off(self, settings, dataset, options, output):
        seen.append(output)
        raise TuningError("stopped")

    run.validate()
    monkeypatch.setattr(CharacterTuner, "tune", break_off)
    for steps in (0, 0, 5):
        with pytest.raises(TuningError):
            run.tune(TuneOptions(base_model="characters", steps=steps))
    assert seen[0] == seen[1] != seen[2]


def test_without_a_champion_the_champions_evaluation_is_empty_and_the_gate_asks_the_base_only(run):
    run.validate()
    verdict = run.gate(ChampionRequest(), run.tune())
    empty = msgspec.json.decode((run.folder / "evaluate_champion").read_bytes(), type=Evaluation)
    assert (empty.model, empty.scored) == (None, [])
    assert (verdict.status, set(verdict.improvements), verdict.champion) == ("undecided", {"base"}, None)


def test_the_gate_says_why_the_suite_was_not_asked(run):
    run.validate()
    verdict = run.gate(ChampionRequest(), run.tune())
    assert verdict.reasons[0] == "no suite of how-to questions was asked"
    assert verdict.reasons[1] == "loss or text overlap alone does not show whether answers got better"


def test_a_champion_of_which_nothing_can_be_compared_is_not_evaluated(run, capsys):
    run.validate()
    model = run.tune()
    other = run.folder / "other"
    shutil.copytree(model.path, other)
    record = Path(other) / "model.json"
    record.write_bytes(record.read_bytes().replace(b'"characters"', b'"words"'))
    verdict = run.gate(ChampionRequest(version="v1", folder=str(other)), model)
    why = "a loss per token cannot compare a tuned characters with the champion, a tuned words: their tokens differ"
    said = f"note: the champion is not evaluated: {why}, and no suite of how-to questions was asked"
    assert said in capsys.readouterr().out.splitlines()
    empty = msgspec.json.decode((run.folder / "evaluate_champion").read_bytes(), type=Evaluation)
    assert (empty.base, empty.scored) == ("words", [])
    assert (verdict.status, set(verdict.improvements), verdict.champion) == ("undecided", {"base"}, "v1")
    assert why in verdict.reasons


@pytest.mark.slow
@pytest.mark.parametrize(
    ("champion_solves", "tuned_solves", "status", "reason"),
    [
        (20, 40, "better", "solves 40 of 40"),
        (40, 20, "worse", "does what was asked changes from the champion by -50 points"),
    ],
)
def test_with_a_champion_the_gate_asks_both(tmp_path, settings, dataset, champion_solves, tuned_solves, status, reason):
    evaluation = asking(answers=2, benchmark=str(write_benchmark(tmp_path / "questions.jsonl", 40)))
    first = Run(tmp_path / "first", settings, dataset, SCRIPTED, evaluation)
    first.validate()
    model = first.tune(TuneOptions(base_model="characters", steps=champion_solves))
    other = Run(tmp_path / "other", settings, write_dataset(tmp_path / "d2", first_question=9000), SCRIPTED, evaluation)
    other.validate()
    tuned = other.tune(TuneOptions(base_model="characters", steps=tuned_solves))
    verdict = other.gate(ChampionRequest(version="v1", folder=model.path), tuned)
    assert (verdict.status, set(verdict.improvements), verdict.champion) == (status, {"base", "champion"}, "v1")
    assert [(one.opponent, one.status) for one in verdict.judgements] == [("base", "better"), ("champion", status)]
    assert reason in verdict.reasons[0]
    metrics = msgspec.json.decode(Path(other.output("evaluate_tuned-metrics").path).read_bytes())
    assert metrics["suite_executed"] == 100 * tuned_solves / 40


@pytest.mark.slow
@pytest.mark.parametrize(
    ("first_question", "reason"),
    [
        (9000, "neither the executed share nor the result on held-out examples improves beyond chance"),
        # All evaluation questions of the other dataset, 1020 to 1079, are training questions of the champion.
        (960, "36 evaluation examples are of questions that the champion was trained on"),
    ],
)
def test_an_equal_model_is_undecided_unless_the_loss_improves_on_questions_that_the_champion_has_not_seen(
    tmp_path, settings, dataset, first_question, reason
):
    evaluation = asking(answers=2, benchmark=str(write_benchmark(tmp_path / "questions.jsonl", 30)))
    first = Run(tmp_path / "first", settings, dataset, SCRIPTED, evaluation)
    first.validate()
    model = first.tune()
    data = write_dataset(tmp_path / "d2", train=60, evaluation=60, first_question=first_question)
    other = Run(tmp_path / "other", settings, data, SCRIPTED, evaluation)
    other.validate()
    verdict = other.gate(ChampionRequest(version="v1", folder=model.path), other.tune())
    assert [(one.opponent, one.status) for one in verdict.judgements] == [("base", "better"), ("champion", "undecided")]
    assert (verdict.status, verdict.reasons[0]) == ("undecided", reason)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "the disk became full"),
        (MemoryError(), "not enough memory"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 9 bytes"), "not enough memory"),
        (TuningError("as it is"), "as it is"),
    ],
)
def test_a_machines_refusal_ends_a_step_with_one_marked_line(error, words, capsys, monkeypatch, tmp_path):
    def step(output):
        raise error

    monkeypatch.setattr(process, "end_with_ancestors", lambda depth: None)
    with pytest.raises(SystemExit) as ended:
        process.run(step, "hf", CODE, outputs=[FakeArtifact(tmp_path / "x")])
    assert ended.value.code == 1
    line = capsys.readouterr().out
    assert line.startswith(process.ERROR_MARK)
    assert words in line
    assert line.count("\n") == 1


def test_a_bug_keeps_its_traceback(monkeypatch, tmp_path):
    def step(output):
        raise KeyError("x")

    monkeypatch.setattr(process, "end_with_ancestors", lambda depth: None)
    with pytest.raises(KeyError):
        process.run(step, "hf", CODE, outputs=[FakeArtifact(tmp_path / "x")])


def test_a_step_notes_its_time_and_what_its_outputs_hold(monkeypatch, tmp_path):
    output = FakeArtifact(tmp_path / "x")
    monkeypatch.setattr(process, "end_with_ancestors", lambda depth: None)
    process.run(lambda artifact: Path(artifact.path).write_text("x"), "hf", CODE, outputs=[output])
    assert output.metadata["seconds"] >= 0
    assert len(output.metadata["listing_sha256"]) == 64


def test_a_step_with_other_code_does_not_run(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(process, "end_with_ancestors", lambda depth: None)
    with pytest.raises(SystemExit):
        process.run(lambda artifact: artifact.written, "hf", f"0{CODE}", outputs=[FakeArtifact(tmp_path / "x")])
    said = capsys.readouterr().out
    assert said.startswith(f"{process.ERROR_MARK}the code of this step is not the code that started the run. Run the")


def test_a_file_that_the_bucket_has_lost_is_made_again_by_a_command_that_works():
    with pytest.raises(
        TuningError, match=r"is missing\. Run `invoke submit --again --target gcp` with the same options"
    ):
        process.read_output("/gcs/bucket/pipelines/x/verdict", Verdict)
