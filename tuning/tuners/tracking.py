"""Send training curves and the results of runs to experiment trackers: MLflow, Weights & Biases, Trackio.

The setting `tracking` names them. They are no dependency: whoever names one installs it. Each is configured by its own
environment variables, such as ``MLFLOW_TRACKING_URI``. Without them, its files are in ``var/tracking/``.
"""

import importlib
import importlib.util
import os
import sys
from collections.abc import Mapping
from typing import Any

from tuning.errors import TuningError
from tuning.settings import Settings, variable

PROJECT = "python-qa"  # the experiment of MLflow, and the project of the others


def trackers(settings: Settings) -> list[str]:
    """Return the names of the trackers, each once, as `transformers` calls them."""
    return list(dict.fromkeys(name for name in settings.tracking.split(",") if name))


def check_trackers(settings: Settings) -> None:
    """Raise TuningError with the command that helps if a tracker is not installed."""
    for name in trackers(settings):
        if importlib.util.find_spec(name) is None:
            raise TuningError(
                f"{variable('tracking')} names {name}, which is not installed",
                f"Run `pip install {name}`, or leave it out of {variable('tracking')}",
            )


def set_up_trackers(settings: Settings) -> list[str]:
    """Tell the trackers the project and a folder in the home, where the user has not said otherwise. Return the names.

    Raises TuningError as `check_trackers` does.
    """
    check_trackers(settings)
    names = trackers(settings)
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
            set_up_trackers(settings)
            send = _to_mlflow if name == "mlflow" else _to_project
            send(importlib.import_module(name), run_id, {**parameters, "verdict": verdict}, metrics)
        except Exception as error:  # each tracker has its own errors
            print(f"warning: the run {run_id} is not in {name} ({error})", file=sys.stderr, flush=True)


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
