"""Tune on this machine: the compiled pipeline by kfp.local, then the registry."""

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from tuning.dataset.dataset import Dataset
from tuning.errors import TuningError
from tuning.evaluation.gate import in_words
from tuning.evaluation.options import EvaluationOptions, GateOptions
from tuning.evaluation.records import Comparison, Verdict
from tuning.pipelines.contents import contents_sha256
from tuning.pipelines.events import Step
from tuning.pipelines.hello import NAME as HELLO
from tuning.pipelines.hello import compile_hello
from tuning.pipelines.kfp_process import Output
from tuning.pipelines.local_cache import drop_broken_entries
from tuning.pipelines.local_runner import pipeline_root, run_template
from tuning.pipelines.requests import ChampionRequest, pipeline_arguments, training_key
from tuning.pipelines.run_record import REPORT, RunRecord, start_run, write_record
from tuning.pipelines.run_times import with_steps
from tuning.pipelines.tuning import NAME, compile_pipeline
from tuning.registry import registry
from tuning.registry.records import Version
from tuning.settings import Settings
from tuning.storage import locked, write_bytes
from tuning.tuners.protocol import TuneOptions


@dataclass(frozen=True, kw_only=True)
class PipelineRun:
    """How a run ended. `report` is the page; `champion` who is champion now."""

    id: str
    folder: Path
    report: Path
    steps: list[Step]
    verdict: Verdict
    version: Version
    registered: bool
    promoted: bool
    champion: str | None

    @property
    def in_words(self) -> str:
        return in_words(self.verdict)


def run_local(
    settings: Settings,
    dataset: Dataset,
    tune: TuneOptions,
    *,
    tuner: str = "hf",
    evaluation: EvaluationOptions | None = None,
    gate: GateOptions | None = None,
    before: Sequence[Step] = (),
    show: Callable[[str], None] = print,
) -> PipelineRun:
    """Run the pipeline on `dataset`, register the model, and promote it if the gate passed.

    `before` are steps that came before the pipeline's own; the record and the report list them too.

    A step whose inputs, options and code are unchanged is taken from the cache. Raises TuningError with the failing
    step's own message; nothing is registered then.
    """
    with locked(pipeline_root(settings) / ".lock", "the local pipeline", timeout=15):
        folder, record = start_run(settings, NAME, dataset.id)
        started = time.monotonic()
        try:
            arguments = _arguments(settings, dataset, tuner, tune, evaluation, gate)
            record = msgspec.structs.replace(record, arguments=arguments)
            for lost in drop_broken_entries(pipeline_root(settings) / "cache"):
                show(f"  {lost} is damaged or gone: its step runs again")
            template = compile_pipeline(settings, folder / "pipeline.yaml")
            ran = run_template(settings, template, arguments, folder, show)
            steps = [*before, *ran.steps]
            run = _release(settings, folder, record, ran.outputs, steps, dataset, tuner, tune)
        except BaseException as error:
            failed = msgspec.structs.replace(record, status="failed", seconds=_since(started), error=str(error)[:1000])
            write_record(folder, failed)
            raise
        done = msgspec.structs.replace(
            record,
            status="succeeded",
            seconds=_since(started),
            steps=run.steps,
            version=run.version.name,
            promoted=run.promoted,
            verdict=run.verdict.status,
        )
        write_record(folder, done)
    return run


def run_hello(settings: Settings, recipient: str, show: Callable[[str], None] = print) -> str:
    """The seed's greeting, by the local runner and never from its cache: that is what it checks."""
    folder, record = start_run(settings, HELLO)
    started = time.monotonic()
    template = compile_hello(folder / "pipeline.yaml", settings.image)
    ran = run_template(settings, template, {"recipient": recipient}, folder, show, caching=False)
    write_record(folder, msgspec.structs.replace(record, status="succeeded", seconds=_since(started), steps=ran.steps))
    return str(ran.outputs["Output"].value)


def _arguments(
    settings: Settings,
    dataset: Dataset,
    tuner: str,
    tune: TuneOptions,
    evaluation: EvaluationOptions | None,
    gate: GateOptions | None,
) -> dict[str, str]:
    """The pipeline's arguments, among them the version that the new model must beat."""

    def place(name: str, content: bytes) -> str:
        path = pipeline_root(settings) / "requests" / name
        write_bytes(path, content)
        return str(path)

    def arguments(opponent: Version | None) -> dict[str, str]:
        folder = str(registry.model_folder(settings, opponent)) if opponent else None
        return pipeline_arguments(
            settings,
            dataset,
            str(dataset.folder),
            tuner,
            tune,
            evaluation or EvaluationOptions(),
            gate or GateOptions(),
            ChampionRequest(version=opponent.name if opponent else None, folder=folder),
            place,
        )

    champion = registry.champion(settings)
    found = arguments(champion)
    if champion and champion.training_key == training_key(found):
        # This run would make the champion itself: it is judged against the one that it took over from.
        before = champion.verdict.champion
        champion = registry.find_version(settings, before) if before else None
        found = arguments(champion)
    return found


def _release(
    settings: Settings,
    folder: Path,
    record: RunRecord,
    outputs: dict[str, Output],
    steps: list[Step],
    dataset: Dataset,
    tuner: str,
    tune: TuneOptions,
) -> PipelineRun:
    """Copy the reports, register the model, promote it if it passed."""
    write_bytes(folder / REPORT, with_steps(Path(outputs["page"].path).read_bytes(), steps))
    shutil.copyfile(outputs["summary"].path, folder / "report.md")
    verdict = msgspec.json.decode(Path(outputs["verdict"].path).read_bytes(), type=Verdict)
    comparison = msgspec.json.decode(Path(outputs["comparison"].path).read_bytes(), type=Comparison)
    model = outputs["model"]
    known = {version.name for version in registry.versions(settings)}
    metadata = model.metadata
    if contents_sha256(Path(model.path)) != metadata["contents_sha256"]:
        raise TuningError(
            f"the model in {model.path} was changed after it was tuned", "Remove that folder and run again"
        )
    version = registry.register(
        settings,
        Version(
            name="",
            created_at=datetime.now(UTC).isoformat(timespec="seconds"),
            training_key=training_key(record.arguments),
            tuner=tuner,
            base_model=tune.base_model,
            options=msgspec.to_builtins(tune),
            dataset_id=dataset.id,
            dataset_sha256=record.arguments["dataset_sha256"],
            template=dataset.manifest.template,
            format=dataset.manifest.format,
            body="html" if dataset.manifest.options.get("body") == "html" else "markdown",
            contents_sha256=str(metadata["contents_sha256"]),
            metrics={figure.metric: figure.models["tuned"].mean for figure in comparison.figures},
            verdict=verdict,
            run_id=record.id,
        ),
        Path(model.path),
    )
    before = registry.champion(settings)
    promoted = verdict.passed and (before is None or before.name != version.name)
    if promoted:
        registry.promote(settings, version.name)
    now = registry.champion(settings)
    return PipelineRun(
        id=record.id,
        folder=folder,
        report=folder / REPORT,
        steps=steps,
        verdict=verdict,
        version=version,
        registered=version.name not in known,
        promoted=promoted,
        champion=now.name if now else None,
    )


def _since(started: float) -> float:
    return round(time.monotonic() - started, 1)
