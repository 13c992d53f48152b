"""The steps that evaluate a model, each on the same examples in the same way."""

from pathlib import Path

import msgspec

from tuning.dataset.dataset import Dataset
from tuning.evaluation.evaluate import evaluate
from tuning.evaluation.records import Evaluation
from tuning.pipelines.steps.process import Artifact, log_metrics
from tuning.pipelines.steps.requests import ChampionRequest, EvaluationRequest, read_request
from tuning.pipelines.steps.validation import checked_dataset
from tuning.registry.model_folder import mounted, open_model
from tuning.settings import load_settings
from tuning.storage import write_json
from tuning.tuners.protocol import Model, TuneOptions
from tuning.tuners.select import find_tuner


def evaluate_base(
    dataset: Artifact, checked: Artifact, request: Artifact, evaluation: Artifact, metrics: Artifact
) -> None:
    """Evaluate the model that was there before tuning."""
    asked = read_request(request.path, EvaluationRequest)
    options = TuneOptions(base_model=asked.base_model, seed=asked.seed)
    opened = checked_dataset(dataset, checked)
    model = find_tuner(asked.tuner).base(load_settings(asked.settings), opened, options)
    _evaluate("base", model, dataset, opened, asked, evaluation, metrics)


def evaluate_tuned(
    dataset: Artifact, checked: Artifact, request: Artifact, model: Artifact, evaluation: Artifact, metrics: Artifact
) -> None:
    """Evaluate the tuned model on the same examples."""
    asked = read_request(request.path, EvaluationRequest)
    opened = checked_dataset(dataset, checked)
    _evaluate("tuned", open_model(Path(model.path)), dataset, opened, asked, evaluation, metrics)


def evaluate_champion(
    dataset: Artifact, checked: Artifact, request: Artifact, champion: Artifact, evaluation: Artifact, metrics: Artifact
) -> None:
    """Evaluate the released model on the same examples; where there is none yet, write an empty evaluation."""
    asked = read_request(request.path, EvaluationRequest)
    opened = checked_dataset(dataset, checked)
    released = read_request(champion.path, ChampionRequest)
    if released.folder is None:
        nobody = Evaluation(
            role="champion", model=None, dataset_id=opened.id, dataset_sha256=dataset.metadata["sha256"], scored=[]
        )
        write_json(Path(evaluation.path), msgspec.to_builtins(nobody))
        log_metrics(metrics, {})
        return
    _evaluate("champion", open_model(mounted(released.folder)), dataset, opened, asked, evaluation, metrics)


def _evaluate(
    role: str,
    model: Model,
    dataset: Artifact,
    opened: Dataset,
    asked: EvaluationRequest,
    evaluation: Artifact,
    metrics: Artifact,
) -> None:
    target = find_tuner(model.tuner)
    found = evaluate(
        target.predictor(load_settings(asked.settings), model),
        opened,
        asked.options,
        role=role,
        model=model,
        primary_metric=target.primary_metric,
        dataset_sha256=dataset.metadata["sha256"],
    )
    write_json(Path(evaluation.path), msgspec.to_builtins(found))
    names = sorted({name for row in found.scored for name in row.scores})
    values = {name: [row.scores[name] for row in found.scored if name in row.scores] for name in names}
    log_metrics(metrics, {name: sum(scores) / len(scores) for name, scores in values.items()})
