"""Run the pipeline steps that evaluate a model. All of them use the same examples and the same method."""

from pathlib import Path

from tuning.dataset.dataset import Dataset
from tuning.evaluation.compare import other_tokens
from tuning.evaluation.evaluate import choose_suite, evaluate
from tuning.evaluation.examples import read_examples
from tuning.evaluation.records import Evaluation
from tuning.pipelines.steps.process import Artifact, log_metrics
from tuning.pipelines.steps.requests import ChampionRequest, EvaluationRequest, read_request
from tuning.pipelines.steps.validation import checked_dataset
from tuning.records import write_record
from tuning.registry.model_folder import open_model
from tuning.settings import load_settings
from tuning.storage import mounted
from tuning.tuners.protocol import Model, TuneOptions
from tuning.tuners.select import find_tuner


def evaluate_base(
    dataset: Artifact, checked: Artifact, request: Artifact, evaluation: Artifact, metrics: Artifact
) -> None:
    """Evaluate the base model, without tuning. Raises TuningError if the model or the dataset cannot be used."""
    spec = read_request(request.path, EvaluationRequest)
    options = TuneOptions(base_model=spec.base_model, seed=spec.seed)
    opened = checked_dataset(dataset, checked)
    model = find_tuner(spec.tuner).base(load_settings(spec.settings), opened, options)
    _evaluate("base", model, dataset, opened, spec, evaluation, metrics)


def evaluate_tuned(
    dataset: Artifact, checked: Artifact, request: Artifact, model: Artifact, evaluation: Artifact, metrics: Artifact
) -> None:
    """Evaluate the tuned model. Raises TuningError if the model or the dataset cannot be used."""
    spec = read_request(request.path, EvaluationRequest)
    opened = checked_dataset(dataset, checked)
    _evaluate("tuned", open_model(Path(model.path)), dataset, opened, spec, evaluation, metrics)


def evaluate_champion(
    dataset: Artifact, checked: Artifact, request: Artifact, champion: Artifact, evaluation: Artifact, metrics: Artifact
) -> None:
    """Evaluate the champion, or write an empty evaluation if there is none or if nothing of it can be compared.

    Raises TuningError if the model or the dataset cannot be used.
    """
    spec = read_request(request.path, EvaluationRequest)
    opened = checked_dataset(dataset, checked)
    released = read_request(champion.path, ChampionRequest)
    if released.folder is None:
        _write_empty(None, dataset, opened, evaluation, metrics)
        return
    model = open_model(mounted(released.folder))
    if reason := _why_incomparable(model, opened, spec):
        print(f"note: the champion is not evaluated: {reason}", flush=True)
        _write_empty(model, dataset, opened, evaluation, metrics)
        return
    _evaluate("champion", model, dataset, opened, spec, evaluation, metrics)


def _why_incomparable(model: Model, dataset: Dataset, spec: EvaluationRequest) -> str:
    """Return why no score of the champion could be compared with those of the new model, or ""."""
    if find_tuner(spec.tuner).primary_metric != "loss" or model.base_model == spec.base_model:
        return ""
    suite, reason = choose_suite(read_examples(dataset, spec.options.examples), spec.options, spec.base_model)
    return "" if suite else f"{other_tokens(spec.base_model, 'champion', model.base_model)}, and {reason}"


def _write_empty(
    model: Model | None, dataset: Artifact, opened: Dataset, evaluation: Artifact, metrics: Artifact
) -> None:
    empty = Evaluation(
        role="champion", model=model, dataset_id=opened.id, dataset_sha256=dataset.metadata["sha256"], scored=[]
    )
    write_record(Path(evaluation.path), empty)
    log_metrics(metrics, {})


def _evaluate(
    role: str,
    model: Model,
    dataset: Artifact,
    opened: Dataset,
    spec: EvaluationRequest,
    evaluation: Artifact,
    metrics: Artifact,
) -> None:
    target = find_tuner(model.tuner)
    found = evaluate(
        target.predictor(load_settings(spec.settings), model),
        opened,
        spec.options,
        role=role,
        model=model,
        primary_metric=target.primary_metric,
        dataset_sha256=dataset.metadata["sha256"],
    )
    write_record(Path(evaluation.path), found)
    means = _means([row.scores for row in found.scored])
    log_metrics(metrics, means | {f"suite_{name}": mean for name, mean in _means(_suite_scores(found)).items()})


def _suite_scores(found: Evaluation) -> list[dict[str, float]]:
    return [question.scores for question in found.asked.questions]


def _means(rows: list[dict[str, float]]) -> dict[str, float]:
    names = sorted({name for row in rows for name in row})
    values = {name: [row[name] for row in rows if name in row] for name in names}
    return {name: sum(scores) / len(scores) for name, scores in values.items()}
