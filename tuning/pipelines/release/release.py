"""Choose the version that a new model must beat, before a pipeline run, and register the model after the run."""

import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from tuning.dataset.dataset import Dataset
from tuning.errors import TuningError
from tuning.evaluation.gate import in_words
from tuning.evaluation.options import SMOKE_TEST_BASE
from tuning.evaluation.records import Comparison, Verdict
from tuning.evaluation.summary import summary_lines
from tuning.evaluation.text_metrics import TEXT_METRICS
from tuning.monitoring.history import time_of
from tuning.pipelines.outcome import Output, Step
from tuning.pipelines.plan import Plan
from tuning.pipelines.release.places import Inputs
from tuning.pipelines.release.record import COMPARISON, REPORT, SUMMARY, VERDICT, RunRecord
from tuning.pipelines.release.times import with_steps
from tuning.pipelines.steps.process import read_output
from tuning.pipelines.steps.requests import (
    ChampionRequest,
    dataset_arguments,
    store_requests,
    training_key,
    tuning_arguments,
)
from tuning.registry import registry
from tuning.registry.model_folder import contents_sha256
from tuning.registry.records import Candidate, Version
from tuning.settings import Settings
from tuning.storage import write_bytes
from tuning.tuners.tracking import track_run


@dataclass(frozen=True, kw_only=True)
class PipelineRun:
    """Represent a finished run. `report` is the HTML page, and `champion` is the champion after the run."""

    id: str
    folder: Path
    report: Path
    steps: list[Step]
    verdict: Verdict
    comparison: Comparison
    version: Version
    dataset: Dataset
    registered: bool
    promoted: bool
    champion: str | None
    seconds: float = 0.0  # of all its steps, and between them; 0 until the run has ended
    outdated: str = ""  # why a model that passed the gate was not promoted: the champion changed during the run

    @property
    def in_words(self) -> str:
        """Return the verdict, and in another line its reasons."""
        return f"verdict: {self.verdict.status}\n{in_words(self.verdict)}"

    def noted_in(self, record: RunRecord) -> RunRecord:
        """Return the run's record with the result."""
        return msgspec.structs.replace(
            record,
            steps=self.steps,
            version=self.version.name,
            promoted=self.promoted,
            verdict=self.verdict.status,
            seconds=self.seconds,
        )

    @property
    def in_lines(self) -> list[str]:
        """Return the verdict, the version and the champion as lines for a terminal."""
        registered = "registered" if self.registered else "already registered"
        champion = f"the champion is {self.champion}" if self.champion else "not released"
        standing = "now champion" if self.promoted else champion
        lines = [*self.in_words.splitlines(), f"model {self.version.name}: {registered}, {standing}"]
        return [*lines, self.outdated] if self.outdated else lines

    @property
    def summary(self) -> list[str]:
        """Return the verdict with its numbers, the dataset, the model and the times as a table for a terminal."""
        files = self.dataset.manifest.files
        rows = f"{files['train.jsonl'].rows:,} train and {files['eval.jsonl'].rows:,} eval examples"
        is_champion = self.champion == self.version.name
        standing = "the champion" if is_champion else f"the champion is {self.champion or 'none'}"
        took = ", ".join(f"{step.name} {step.seconds:.1f} s" for step in self.steps if not step.cached)
        reused = sum(step.cached for step in self.steps)
        total = f"{time_of(self.seconds)} in all"
        more = [
            ("dataset", f"{self.dataset.id}: {rows}"),
            ("model", f"{self.version.name} of {self.version.base_model}, {standing}"),
            ("time", "; ".join([*([took] if took else []), *([f"{reused} reused"] if reused else []), total])),
        ]
        return summary_lines(self.verdict, self.comparison, more)


def arguments_against_champion(
    settings: Settings,
    plan: Plan,
    dataset_uri: str,
    inputs: Inputs,
    *,
    image: str = "",
    period: str = "",
) -> dict[str, str]:
    """Return the arguments of `tune_python_qa`, including the version that the new model must beat.

    `image` and `period` are those of a job on Vertex AI. Raises TuningError if a file of the dataset is missing or the
    registry is damaged.
    """
    values = {
        **tuning_arguments(settings, plan, inputs.store, image=image, period=period),
        **dataset_arguments(plan.dataset, dataset_uri),
    }
    opponent = find_opponent(settings, plan.tune.base_model, training_key(values))
    return values | opponent_arguments(settings, opponent, inputs)


def find_opponent(settings: Settings, base_model: str, key: str) -> Version | None:
    """Return the version that a new model must beat, or None if there is none.

    `base_model` is that of the new model, and `key` its training key. Raises TuningError if the registry is damaged.
    """
    champion = registry.champion(settings)
    if champion and champion.base_model == SMOKE_TEST_BASE != base_model:
        return None  # The champion is only a smoke test, so the new model need not beat it.
    if champion and champion.training_key == key:
        # This run would reproduce the champion, so compare its model with the previous champion.
        before = champion.verdict.champion
        return registry.find_version(settings, before) if before else None
    return champion


def opponent_arguments(settings: Settings, opponent: Version | None, inputs: Inputs) -> dict[str, str]:
    """Return the arguments that name the version that a new model must beat.

    Raises TuningError if the version's model cannot be brought to where the steps read it.
    """
    folder = inputs.model(opponent) if opponent else None
    request = ChampionRequest(version=opponent.name if opponent else None, folder=folder)
    return store_requests(settings, {"champion": request}, inputs.store)


def release(
    settings: Settings,
    plan: Plan,
    folder: Path,
    record: RunRecord,
    outputs: dict[str, Output],
    steps: list[Step],
    *,
    job: str = "",
) -> PipelineRun:
    """Copy the report and what it shows, register the model, and promote it if the gate allows it.

    `job` is the ID of the job on Vertex AI, if one ran the pipeline. Trackers know the run by it, because two commands
    can follow one job. Raises TuningError if the model's files changed after it was tuned.
    """
    write_bytes(folder / REPORT, with_steps(Path(outputs["page"].path).read_bytes(), steps))
    for name, output in ((SUMMARY, "summary"), (COMPARISON, "comparison"), (VERDICT, "verdict")):
        shutil.copyfile(outputs[output].path, folder / name)
    verdict = read_output(outputs["verdict"].path, Verdict)
    comparison = read_output(outputs["comparison"].path, Comparison)
    model = outputs["model"]
    metadata = model.metadata
    if contents_sha256(Path(model.path)) != metadata["contents_sha256"]:
        raise TuningError(
            f"the model in {model.path} was changed after it was tuned", "Delete that folder and run the command again"
        )
    dataset = plan.dataset
    version, is_new = registry.register(
        settings,
        Candidate(
            created_at=datetime.now(UTC).isoformat(timespec="seconds"),
            training_key=training_key(record.arguments),
            tuner=plan.tuner,
            base_model=plan.tune.base_model,
            options=msgspec.to_builtins(plan.tune),
            dataset_id=dataset.id,
            dataset_sha256=record.arguments["dataset_sha256"],
            template=dataset.manifest.template,
            format=dataset.manifest.format,
            body=dataset.manifest.body,
            contents_sha256=str(metadata["contents_sha256"]),
            metrics={figure.metric: figure.models["tuned"].mean for figure in comparison.figures},
            answer_metrics={
                figure.metric: figure.models["tuned"]
                for figure in comparison.suite.figures or comparison.figures
                if figure.metric in TEXT_METRICS
            },
            verdict=verdict,
            run_id=record.id,
        ),
        Path(model.path),
    )
    before = registry.champion(settings)
    promoted = verdict.passed and (before is None or before.name != version.name)
    outdated = ""
    if promoted:
        try:
            registry.promote(settings, version.name)
        except registry.ChampionChangedError as error:
            promoted, outdated = False, str(error)
    now = registry.champion(settings)
    track(settings, job or record.id, plan, comparison, verdict, version=version.name, promoted=promoted)
    return PipelineRun(
        id=record.id,
        folder=folder,
        report=folder / REPORT,
        steps=steps,
        verdict=verdict,
        comparison=comparison,
        version=version,
        dataset=dataset,
        registered=is_new,
        promoted=promoted,
        champion=now.name if now else None,
        outdated=outdated,
    )


def track(settings: Settings, name: str, plan: Plan, comparison: Comparison, verdict: Verdict, **more: object) -> None:
    """Send a finished run to the trackers under `name`: its recipe, the metrics of its model and its verdict.

    Metrics are of the tuned model: ``heldout_…`` on held-out examples, ``answers_…`` of its answers to the how-to
    questions, such as ``answers_executed``, if these were asked. ``gain_base_…`` and ``gain_champion_…`` are its
    changes from an opponent, paired by question, as the verdict judges them: positive if the tuned model is better, so
    with the sign turned for the loss. `more` holds further parameters.
    """
    parameters = {**msgspec.to_builtins(plan.tune), "tuner": plan.tuner, "dataset": plan.dataset.id, **more}
    metrics: dict[str, float] = {}
    for prefix, figures in (("heldout", comparison.figures), ("answers", comparison.suite.figures)):
        metrics |= {f"{prefix}_{one.metric}": one.models["tuned"].mean for one in figures}
    for opponent, better in verdict.improvements.items():
        metrics[f"gain_{opponent}_{verdict.primary_metric}"] = better.mean
    for one in verdict.judgements:
        if one.executed:
            metrics[f"gain_{one.opponent}_executed"] = one.executed.mean
    track_run(settings, name, parameters, metrics, verdict.status)
