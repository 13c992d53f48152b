"""Runs go to the trackers that the user names; a missing one is refused before any work."""

import importlib.util
import os
import sys
import types
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tuning.errors import TuningError
from tuning.settings import Settings, load_settings
from tuning.tuners.tracking import check_trackers, set_up_trackers, track_run, trackers

VARIABLES = ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "TRACKIO_DIR", "WANDB_DIR", "WANDB_PROJECT")


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What `set_up_trackers` sets ends with the test."""
    monkeypatch.setattr(os, "environ", os.environ.copy())
    for name in VARIABLES:
        os.environ.pop(name, None)


def named(settings: Settings, names: str) -> Settings:
    return msgspec.structs.replace(settings, tracking=names)


def test_only_known_names_separated_by_commas_are_a_value() -> None:
    assert trackers(load_settings({"tracking": "wandb,mlflow,wandb"})) == ["wandb", "mlflow"]
    assert trackers(load_settings()) == []
    for wrong in ("tensorboard", "mlflow,", "mlflow wandb", "all", "none,mlflow"):
        with pytest.raises(TuningError, match="use none, or vertex, mlflow, wandb or trackio, sep"):
            load_settings({"tracking": wrong})


def test_a_tracker_that_is_not_installed_is_refused_in_one_line(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "wandb" else types)
    check_trackers(named(settings, "mlflow"))
    with pytest.raises(TuningError) as error:
        check_trackers(named(settings, "mlflow,wandb"))
    assert str(error.value) == (
        "TUNING_TRACKING names wandb, which is not installed. "
        "Run `pip install wandb`, or leave it out of TUNING_TRACKING"
    )


def test_files_stay_in_the_home_and_what_the_user_sets_wins(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: types)
    os.environ["MLFLOW_TRACKING_URI"] = "http://127.0.0.1:5000"
    assert set_up_trackers(settings) == []
    assert "WANDB_DIR" not in os.environ
    assert set_up_trackers(named(settings, "mlflow,wandb")) == ["mlflow", "wandb"]
    assert os.environ["MLFLOW_TRACKING_URI"] == "http://127.0.0.1:5000"
    assert os.environ["WANDB_DIR"] == str(settings.home / "tracking")


def test_weights_and_biases_gets_parameters_metrics_and_verdict(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[str, Any]] = []
    stand_in = types.ModuleType("wandb")
    stand_in.__spec__ = importlib.util.spec_from_loader("wandb", None)
    stand_in.init = lambda **given: calls.append(("init", given))  # type: ignore[attr-defined]
    stand_in.log = lambda metrics: calls.append(("log", metrics))  # type: ignore[attr-defined]
    stand_in.finish = lambda: calls.append(("finish", None))  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "wandb", stand_in)
    track_run(named(settings, "wandb"), "r1", {"steps": 20}, {"heldout_loss": 1.5}, "better")
    assert calls == [
        ("init", {"project": "python-qa", "name": "r1", "config": {"steps": 20, "verdict": "better"}}),
        ("log", {"heldout_loss": 1.5}),
        ("finish", None),
    ]


def test_a_tracker_that_fails_is_a_warning_and_the_next_one_gets_the_run(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    got: list[str] = []

    def fail(**_: object) -> None:
        raise ConnectionError("no server")

    for name, init in (("wandb", fail), ("trackio", lambda **given: got.append(given["name"]))):
        module = types.ModuleType(name)
        module.__spec__ = importlib.util.spec_from_loader(name, None)
        module.init, module.log, module.finish = init, lambda _: None, lambda: None  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, name, module)
    track_run(named(settings, "wandb,trackio"), "r1", {}, {}, "better")
    assert got == ["r1"]
    assert capsys.readouterr().err == "warning: the run r1 is not in wandb (no server)\n"


def need(name: str) -> None:
    """Skip without the tracker. An import here would come before the variables that `track_run` sets."""
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} is not installed")


def test_mlflow_keeps_a_run(settings: Settings) -> None:
    need("mlflow")
    track_run(named(settings, "mlflow"), "r1", {"steps": 20}, {"heldout_loss": 1.5}, "better")
    mlflow: Any = importlib.import_module("mlflow")
    (run,) = mlflow.search_runs(experiment_names=["python-qa"], output_format="list")
    assert (run.info.run_name, run.data.metrics, run.data.params) == (
        "r1",
        {"heldout_loss": 1.5},
        {"steps": "20", "verdict": "better"},
    )
    assert (settings.home / "tracking" / "mlflow.db").is_file()


def test_trackio_keeps_a_run(settings: Settings) -> None:
    need("trackio")
    track_run(named(settings, "trackio"), "r1", {"steps": 20}, {"heldout_loss": 1.5}, "better")
    trackio: Any = importlib.import_module("trackio")
    (run,) = trackio.Api().runs("python-qa")
    assert run.name == "r1"
    assert list(Path(settings.home, "tracking", "trackio").glob("*.db"))
