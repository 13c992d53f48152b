"""Send training curves and the results of runs to experiment trackers.

The setting `tracking` names them. Vertex AI Experiments is the default on target gcp. MLflow, Weights & Biases and
Trackio are no dependencies: whoever names one installs it. Each of these is configured by its own environment
variables, such as ``MLFLOW_TRACKING_URI``. Without them, its files are in ``var/tracking/``.
"""

import importlib
import importlib.util
import os
import sys
from collections.abc import Mapping
from typing import Any

from tuning.errors import TuningError
from tuning.settings import Settings, variable
from tuning.target import find_target
from tuning.tuners.experiments import record_run

VERTEX, NONE = "vertex", "none"
PROJECT = "python-qa"  # the experiment of MLflow, and the project of the others


def trackers(settings: Settings) -> list[str]:
    """Return the names of the trackers, each once, as the setting names them."""
    default = VERTEX if find_target(settings).uses_google else NONE
    return [name for name in dict.fromkeys((settings.tracking or default).split(",")) if name != NONE]


def _packages(settings: Settings) -> list[str]:
    """Return the trackers that are packages of their own, as `transformers` calls them."""
    return [name for name in trackers(settings) if name != VERTEX]


def check_trackers(settings: Settings) -> None:
    """Raise TuningError with what helps if a tracker is not installed, or not on the target."""
    if VERTEX in trackers(settings) and not find_target(settings).on_vertex:
        raise TuningError(
            f"{variable('tracking')} names {VERTEX}, and the target is local",
            f"Add --target gcp, or leave it out of {variable('tracking')}",
        )
    for name in _packages(settings):
        if importlib.util.find_spec(name) is None:
            raise TuningError(
                f"{variable('tracking')} names {name}, which is not installed",
                f"Run `pip install {name}`, or leave it out of {variable('tracking')}",
            )


def set_up_trackers(settings: Settings) -> list[str]:
    """Tell the trackers the project and a folder in the home, where the user has not said otherwise.

    Return the names of those that take curves, which Vertex AI Experiments does not without TensorBoard. Raises
    TuningError as `check_trackers` does.
    """
    check_trackers(settings)
    names = _packages(settings)
    if names:
        folder = settings.home / "tracking"
        folder.mkdir(parents=True, exist_ok=True)
        defaults = {
            "MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'mlflow.db'}",
            "MLFLOW_EXPERIMENT_NAME": PROJECT,
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "TRACKIO_DIR": str(folder / "trackio"),
            "WANDB_DIR": str(folder),
            "WANDB_PROJECT": PROJECT,
        }
        for name, value in defaults.items():
            os.environ.setdefault(name, value)
    return names


def track_run(
    settings: Settings, run_id: str, parameters: Mapping[str, object], metrics: Mapping[str, float], verdict: str
) -> None:
    """Send a run's parameters, metrics and verdict to each tracker. A tracker that fails is a warning on stderr.

    The run has ended, and its model is registered, so a server that cannot be reached must not end it with an error.
    """
    for name in trackers(settings):
        try:
            _send(settings, name, run_id, {**parameters, "verdict": verdict}, metrics)
        except Exception as error:  # each tracker has its own errors
            print(f"warning: the run {run_id} is not in {name} ({error})", file=sys.stderr, flush=True)


def _send(
    settings: Settings, name: str, run_id: str, parameters: Mapping[str, object], metrics: Mapping[str, float]
) -> None:
    if name == VERTEX:
        record_run(settings, run_id, {**parameters, "bucket": settings.bucket}, metrics)
        return
    set_up_trackers(settings)
    send = _to_mlflow if name == "mlflow" else _to_project
    send(importlib.import_module(name), run_id, parameters, metrics)


def _to_mlflow(mlflow: Any, run_id: str, parameters: Mapping[str, object], metrics: Mapping[str, float]) -> None:
    mlflow.set_experiment(os.environ["MLFLOW_EXPERIMENT_NAME"])
    with mlflow.start_run(run_name=run_id):
        mlflow.log_params(dict(parameters))
        mlflow.log_metrics(dict(metrics))


def _to_project(tracker: Any, run_id: str, parameters: Mapping[str, object], metrics: Mapping[str, float]) -> None:
    """Use the API that Weights & Biases and Trackio have in common."""
    tracker.init(project=os.environ["WANDB_PROJECT"], name=run_id, config=dict(parameters))
    tracker.log(dict(metrics))
    tracker.finish()
