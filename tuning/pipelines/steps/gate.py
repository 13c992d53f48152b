"""Run the pipeline steps after evaluation: compare the models, apply the release gate, and write the report."""

from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from tuning.dataset.dataset import open_dataset
from tuning.evaluation import gate as release_gate
from tuning.evaluation.compare import compare as compare_evaluations
from tuning.evaluation.records import Comparison, Evaluation, Verdict
from tuning.evaluation.report import ReportInputs, as_html, as_markdown
from tuning.pipelines.steps.process import Artifact, log_metrics, read_output
from tuning.pipelines.steps.requests import ChampionRequest, GateRequest, TuningRequest, read_request
from tuning.pipelines.steps.validation import CHECKED, Checked
from tuning.records import write_record
from tuning.registry.model_folder import WEIGHTS, count_seen, open_model
from tuning.storage import mounted, sha256_of, write_bytes
from tuning.tuners.hf.train.curves import JSON as CURVES
from tuning.tuners.hf.train.curves import Curves
from tuning.tuners.select import find_tuner


def compare(
    base: Artifact, tuned: Artifact, champion: Artifact, gate: Artifact, comparison: Artifact, metrics: Artifact
) -> None:
    """Compare the evaluations of the base, tuned and champion models."""
    spec = read_request(gate.path, GateRequest)
    files = {"base": base, "tuned": tuned, "champion": champion}
    evaluations = {role: read_output(artifact.path, Evaluation) for role, artifact in files.items()}
    inputs = {f"evaluation_{role}": sha256_of(Path(artifact.path)) for role, artifact in files.items()}
    inputs["dataset"] = evaluations["tuned"].dataset_sha256
    found = compare_evaluations(evaluations, find_tuner(spec.tuner).primary_metric, spec.options, inputs)
    write_record(Path(comparison.path), found)
    log_metrics(
        metrics,
        {f"{role}_{figure.metric}": value.mean for figure in found.figures for role, value in figure.models.items()},
    )


def gate(comparison: Artifact, request: Artifact, champion: Artifact, verdict: Artifact, metrics: Artifact) -> None:
    """Apply the release gate and write its verdict.

    The runner registers and promotes the model according to the verdict. Registration and promotion cannot be steps
    under a ``dsl.If``, because a step that is taken from the cache has no side effects.
    """
    spec = read_request(request.path, GateRequest)
    released = read_request(champion.path, ChampionRequest)
    found = read_output(comparison.path, Comparison)
    rows = found.pairs.get("champion", [])
    shared = 0
    if released.folder and rows:
        questions = np.array([row.question_id for row in rows], dtype=np.int64)
        shared = count_seen(mounted(released.folder), questions, np.array([row.group for row in rows], dtype=np.int64))
    decided = release_gate.judge(
        found,
        spec.options,
        champion=released.version,
        shared_with_champion=shared,
        smoke_test=spec.smoke_test,
        inputs=found.inputs | {"gate": sha256_of(Path(request.path)), "champion": sha256_of(Path(champion.path))},
    )
    print(release_gate.in_words(decided))
    write_record(Path(verdict.path), decided)
    log_metrics(metrics, {"passed": float(decided.passed)})


@dataclass(frozen=True, kw_only=True)
class ReportSources:
    """Hold the artifacts that the report is made from. `request` is that of the tuning step."""

    dataset: Artifact
    checked: Artifact
    model: Artifact
    base: Artifact
    tuned: Artifact
    comparison: Artifact
    verdict: Artifact
    request: Artifact


def report(sources: ReportSources, page: Artifact, summary: Artifact) -> None:
    """Write the report as an HTML page and as Markdown. Raises TuningError if the model or dataset cannot be read."""
    spec = read_request(sources.request.path, TuningRequest)
    checked, model = Path(sources.checked.path), Path(sources.model.path)
    steps = {
        "validate": sources.checked,
        "tune": sources.model,
        "evaluate base": sources.base,
        "evaluate tuned": sources.tuned,
    }
    inputs = ReportInputs(
        manifest=open_dataset(Path(sources.dataset.path)).manifest,
        notes=[f"{problem.what}. {problem.hint}" for problem in read_output(checked / CHECKED, Checked).problems],
        model=open_model(model),
        curves=_curves(model),
        options=msgspec.to_builtins(spec.options),
        tuner=spec.tuner,
        seconds={name: float(artifact.metadata["seconds"]) for name, artifact in steps.items()},
        comparison=read_output(sources.comparison.path, Comparison),
        verdict=read_output(sources.verdict.path, Verdict),
    )
    write_bytes(Path(page.path), as_html(inputs).encode())
    write_bytes(Path(summary.path), as_markdown(inputs).encode())


def _curves(model: Path) -> Curves | None:
    """Return the learning curves, if the tuner wrote any."""
    path = model / WEIGHTS / CURVES
    return read_output(path, Curves) if path.exists() else None
