"""Runs on target gcp are in Vertex AI Experiments, where Google's own class reads them."""

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from tests.cloud.servers.loopback import Fault, Loopback
from tests.cloud.servers.vertex_server import Vertex
from tests.verdicts import verdict
from tuning.errors import TuningError
from tuning.evaluation.records import Comparison, Figure, Interval, Judgement, SuiteComparison
from tuning.pipelines.plan import Plan
from tuning.pipelines.release.release import track
from tuning.settings import Settings
from tuning.tuners.experiments import EXPERIMENT, record_run
from tuning.tuners.protocol import TuneOptions
from tuning.tuners.tracking import check_trackers, set_up_trackers, track_run, trackers

PARENT = "projects/mine/locations/us-central1/metadataStores/default"


@pytest.fixture
def experiment(cloud: Settings, vertex_api: Loopback) -> Iterator[Any]:
    """What Google's own class finds: a table with a row for each run."""
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import aiplatform

    class Token(AnonymousCredentials):  # type: ignore[misc]
        def apply(self, headers: dict[str, str], token: str | None = None) -> None:
            headers["Authorization"] = f"Bearer {cloud.access_token}"

        def before_request(self, request: Any, method: str, url: str, headers: dict[str, str]) -> None:
            self.apply(headers)

    def table() -> Any:
        aiplatform.init(
            project="mine",
            location="us-central1",
            credentials=Token(),
            api_endpoint=vertex_api.url,
            api_transport="rest",
        )
        return aiplatform.Experiment(EXPERIMENT).get_data_frame()

    yield table
    aiplatform.initializer.global_pool.shutdown(wait=True)
    aiplatform.initializer.global_config.__init__()


def test_a_run_is_a_row_that_googles_class_reads(
    cloud: Settings, vertex: Vertex, vertex_api: Loopback, experiment: Any
) -> None:
    track_run(cloud, "tune-1", {"steps": 20, "learning_rate": 3e-4, "full": False}, {"heldout_loss": 1.5}, "better")
    (row,) = experiment().to_dict("records")
    assert row == {
        "experiment_name": EXPERIMENT,
        "run_name": "tune-1",
        "run_type": "system.ExperimentRun",
        "state": "COMPLETE",
        "param.steps": 20.0,
        "param.learning_rate": 3e-4,
        "param.full": False,
        "param.verdict": "better",
        "param.bucket": "bucket",
        "metric.heldout_loss": 1.5,
    }
    assert {*vertex.metadata.contexts} == {f"{PARENT}/contexts/{name}" for name in (EXPERIMENT, f"{EXPERIMENT}-tune-1")}
    assert not [request for request, _ in vertex_api.seen if "ensorboard" in request.path and request.method == "POST"]


def test_the_same_run_again_adds_its_values_and_no_second_row(cloud: Settings, experiment: Any) -> None:
    record_run(cloud, "tune-1", {"steps": 20}, {"heldout_loss": 1.5, "unknown": float("nan")})
    record_run(cloud, "tune-1", {"steps": 20, "version": "v1"}, {"heldout_loss": 1.4, "answers_executed": 30.0})
    record_run(cloud, "tune-2", {"steps": 40}, {})
    one, other = sorted(experiment().to_dict("records"), key=lambda row: row["run_name"])
    assert (one["run_name"], one["param.version"], one["metric.heldout_loss"]) == ("tune-1", "v1", 1.4)
    assert (one["metric.answers_executed"], other["param.steps"]) == (30.0, 40.0)
    assert not any("unknown" in name for name in one)


@pytest.mark.parametrize("how", ["break", "drop", 503])
@pytest.mark.parametrize("path", ["/metadataStores$", "/contexts$", ":addContextChildren$"])
def test_a_fault_leaves_one_run(
    cloud: Settings, vertex_api: Loopback, experiment: Any, path: str, how: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    vertex_api.faults = [Fault("POST", path, how)]
    for _ in range(2):  # the first can fail, as where the store cannot be made
        track_run(cloud, "tune-1", {}, {"heldout_loss": 1.5}, "better")
    assert experiment()["run_name"].tolist() == ["tune-1"]
    assert len(capsys.readouterr().err.splitlines()) <= 1


def test_a_refusal_is_one_line_and_no_error(
    cloud: Settings, vertex_api: Loopback, capsys: pytest.CaptureFixture[str]
) -> None:
    vertex_api.faults = [Fault("GET", "/metadataStores/", 403)]
    track_run(cloud, "tune-1", {}, {}, "better")
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("warning: the run tune-1 is not in vertex (recording the run tune-1 in Vertex AI Experim")
    assert "`invoke cloud.check --target gcp`" in line


def test_the_store_has_the_key_of_the_settings(cloud: Settings, vertex: Vertex) -> None:
    key = "projects/mine/locations/us-central1/keyRings/ring/cryptoKeys/key"
    record_run(msgspec.structs.replace(cloud, kms_key=key), "tune-1", {}, {})
    assert vertex.metadata.stores[PARENT]["encryptionSpec"] == {"kmsKeyName": key}


def test_the_setting_says_which_trackers_get_runs(
    cloud: Settings, settings: Settings, vertex_api: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    def named(names: str, of: Settings = cloud) -> Settings:
        return msgspec.structs.replace(of, tracking=names)

    assert [trackers(one) for one in (cloud, named("none"), named("mlflow"), settings)] == [
        *(["vertex"], []),
        *(["mlflow"], []),
    ]
    assert set_up_trackers(cloud) == []  # it takes no curves
    track_run(named("none"), "tune-1", {}, {}, "better")
    assert vertex_api.seen == []
    with pytest.raises(TuningError, match=r"TUNING_TRACKING names vertex, and the target is local\. Add --target gcp"):
        check_trackers(named("vertex", settings))


def test_a_run_has_its_recipe_its_metrics_and_the_numbers_of_its_verdict(
    cloud: Settings, experiment: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def figure(metric: str, mean: float) -> Figure:
        one = Interval(mean, mean, mean, 96)
        return Figure(metric=metric, models={"tuned": one, "base": one}, differences={})

    comparison = Comparison(
        primary_metric="loss",
        figures=[figure("loss", 1.5)],
        perplexity={},
        token_loss={},
        pairs={},
        sides=[],
        inputs={},
        suite=SuiteComparison(suite="s", figures=[figure("executed", 30.0)]),
    )
    gain = Interval(-5.0, -10.0, 0.0, 96)
    decided = msgspec.structs.replace(
        verdict("loss", "a test", "not worse"),
        improvements={"base": Interval(0.08, 0.07, 0.09, 36)},
        judgements=[Judgement(opponent="base", status="not worse", reasons=[], executed=gain)],
    )
    dataset: Any = type("Dataset", (), {"id": "d1"})
    plan = Plan(dataset=dataset, tuner="hf", tune=TuneOptions(base_model="smollm2", steps=20))
    track(cloud, "tune-1", plan, comparison, decided, version="v1")
    (row,) = experiment().to_dict("records")
    expected = {"param.base_model": "smollm2", "param.dataset": "d1", "param.tuner": "hf", "param.version": "v1"}
    expected |= {"param.verdict": "not worse", "param.steps": 20.0, "metric.heldout_loss": 1.5}
    expected |= {"metric.answers_executed": 30.0, "metric.gain_base_loss": 0.08, "metric.gain_base_executed": -5.0}
    assert expected.items() <= row.items()
