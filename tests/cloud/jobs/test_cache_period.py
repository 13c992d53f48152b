"""Vertex AI's cache has no expiry, and the bucket's rule deletes files by age: nothing gets stuck on a fake clock."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.cloud.servers.caching_runner import CachingRunner, Lifecycle
from tests.cloud.servers.vertex_server import Vertex
from tests.cloud.storage.cloud_dataset import make_dataset
from tests.verdicts import verdict
from tuning.cloud.required import CACHE_DAYS, STAGING_DAYS
from tuning.command_line.options import TuningOptions
from tuning.dataset.dataset import Dataset
from tuning.errors import TuningError
from tuning.evaluation.records import Comparison
from tuning.gcs.object_file import client
from tuning.gcs.storage import find_storage
from tuning.pipelines.plan import Plan
from tuning.pipelines.submit import submit_any
from tuning.pipelines.tuning import STEPS
from tuning.pipelines.vertex import period
from tuning.pipelines.vertex.run import run_vertex
from tuning.pipelines.vertex.template_job import SubmitOptions
from tuning.records import encode_record
from tuning.registry.model_folder import contents_sha256, write_model
from tuning.settings import Settings
from tuning.tuners.protocol import Model, TuneOptions

START = date(2026, 1, 4)  # the first day of a period


class Clock:
    """The day that the code under test believes it is."""

    today = START

    def now(self, zone: object) -> datetime:
        return datetime(self.today.year, self.today.month, self.today.day, 12, tzinfo=UTC)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("tuning.pipelines.steps.requests.code_sha256", lambda module, *_: f"code of {module}")
    monkeypatch.setattr(period, "datetime", clock)
    return clock


@pytest.fixture
def runner(cloud: Settings, vertex: Vertex, tmp_path: Path) -> CachingRunner:
    folder = tmp_path / "tuned"
    folder.mkdir()
    endpoint = "projects/mine/locations/us/endpoints/1"
    write_model(folder, Model(tuner="gemini", base_model="gemini-3.5-flash", uri=endpoint), tmp_path / "work")
    comparison = Comparison(
        primary_metric="chrf", figures=[], perplexity={}, token_loss={}, pairs={}, sides=[], inputs={}
    )
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    vertex.run = CachingRunner(
        cloud,
        {
            ("tune", "model"): (files, {"contents_sha256": contents_sha256(folder)}),
            ("compare", "comparison"): ({"": encode_record(comparison)}, {}),
            ("gate", "verdict"): ({"": encode_record(verdict("chrf", "better answers"))}, {}),
        },
    )
    return vertex.run


@pytest.fixture
def dataset(cloud: Settings) -> Dataset:
    return make_dataset(cloud, "gemini")


def plan(dataset: Dataset, **options: object) -> Plan:
    return Plan(dataset=dataset, tuner="gemini", tune=TuneOptions(base_model="gemini-3.5-flash", **options))  # type: ignore[arg-type]


def bucket_loses(settings: Settings, prefix: str) -> None:
    for uri in list(find_storage(settings).addresses(f"gs://bucket/{prefix}")):
        client(settings).bucket("bucket").blob(uri.removeprefix("gs://bucket/")).delete()


def test_nothing_is_stuck_after_forty_and_eighty_days(
    cloud: Settings, clock: Clock, runner: CachingRunner, dataset: Dataset
) -> None:
    rule = Lifecycle(cloud)
    deleted = []
    for day in (0, 1, 10, 20, 30, 40, 41, 50, 60, 70, 80):
        clock.today = START + timedelta(days=day)
        if day in (0, 1, 40, 80):
            said: list[str] = []
            run = run_vertex(cloud, plan(dataset), show=said.append)
            assert (run.version.name, run.champion) == ("v1", "v1")
            assert not any("is gone" in line for line in said), said
        if day in (10, 41):  # another plan, whose first steps come from the cache
            run_vertex(cloud, plan(dataset, epochs=day), show=lambda line: None)
        deleted += rule.pass_time(clock.today)
    assert any("/pipelines/" in uri for uri in deleted)  # the rule was at work
    assert any("/requests/" in uri for uri in deleted)
    names = list(STEPS)
    assert set(runner.ran[0]) == set(names)
    assert set(names) - set(runner.ran[1]) == {"validate", "evaluate-base"}  # by then there is a champion to evaluate
    assert [len(steps) for steps in runner.ran] == [8, 6, 8, 6, 8]  # days 0, 10, 40, 41 and 80; none on day 1


def test_the_rule_keeps_files_longer_than_a_job_may_name_them(clock: Clock) -> None:
    assert STAGING_DAYS > 2 * CACHE_DAYS
    first = period.current_period()
    starts = set()
    for day in range(3 * CACHE_DAYS):
        clock.today = START + timedelta(days=day)
        begun = period.current_period()
        assert 0 <= (clock.today - date.fromisoformat(begun)).days < CACHE_DAYS
        starts.add(begun)
    assert first in starts
    assert period.period_before(sorted(starts)[1]) == first
    assert len(starts) in (3, 4)


def test_outputs_that_somebody_deleted_are_made_again(
    cloud: Settings, clock: Clock, runner: CachingRunner, dataset: Dataset
) -> None:
    run_vertex(cloud, plan(dataset), show=lambda line: None)
    bucket_loses(cloud, "pipelines/")
    said: list[str] = []
    run = run_vertex(cloud, plan(dataset), show=said.append)
    (line,) = [line for line in said if "is gone" in line]
    assert line.endswith("so the job runs again and repeats all steps")
    assert [len(steps) for steps in runner.ran] == [8, 8]
    assert run.version.name == "v1"


def test_again_makes_everything_again_and_tune_takes_it(
    cloud: Settings, vertex: Vertex, clock: Clock, runner: CachingRunner, dataset: Dataset
) -> None:
    run_vertex(cloud, plan(dataset), show=lambda line: None)
    bucket_loses(cloud, "pipelines/")
    options = TuningOptions(tuner="gemini", base_model="gemini-3.5-flash", epochs=2)
    with pytest.raises(TuningError, match="is missing"):  # the cache names what is gone
        run_vertex(cloud, plan(dataset, epochs=2), show=lambda line: None)
    submit_any(cloud, "", [], options, SubmitOptions(again=True), True, lambda line: None)
    assert len(runner.ran[-1]) == 8
    sent = len(vertex.jobs)
    run = run_vertex(cloud, plan(dataset, epochs=2), show=lambda line: None)
    assert (run.version.name, len(vertex.jobs)) == ("v2", sent)
    uncached = SubmitOptions(again=True, caching=False)
    submit_any(cloud, "", [], options, uncached, True, lambda line: None)
    assert list(vertex.jobs)[-1].endswith("-3")  # an attempt of the same job
    assert len(runner.ran[-1]) == 8


def test_a_job_that_runs_over_the_end_of_a_period_is_not_sent_twice(
    cloud: Settings, vertex: Vertex, clock: Clock, dataset: Dataset
) -> None:
    vertex.outcomes = ["PIPELINE_STATE_RUNNING"] * 9
    options = TuningOptions(tuner="gemini")
    submit_any(cloud, "", [], options, SubmitOptions(), False, lambda line: None)
    clock.today = date.fromisoformat(period.current_period()) + timedelta(days=CACHE_DAYS)
    said: list[str] = []
    submit_any(cloud, "", [], options, SubmitOptions(), False, said.append)
    assert len(vertex.jobs) == 1
    assert any("already exists (RUNNING): nothing was sent" in line for line in said)
    clock.today += timedelta(days=CACHE_DAYS)
    submit_any(cloud, "", [], options, SubmitOptions(), False, said.append)
    assert len(vertex.jobs) == 2  # two periods later, the first is no longer looked for


def test_a_job_that_a_command_has_seen_succeed_is_one_run_of_the_experiment(
    cloud: Settings, vertex: Vertex, clock: Clock, runner: CachingRunner, dataset: Dataset
) -> None:
    def runs() -> list[dict[str, Any]]:
        return [one["metadata"] for one in vertex.metadata.contexts.values() if one["schemaTitle"].endswith("Run")]

    options = TuningOptions(tuner="gemini", base_model="gemini-3.5-flash")
    submit_any(cloud, "", [], options, SubmitOptions(), True, lambda line: None)
    (run,) = runs()
    assert (run["_params"]["dataset"], "version" in run["_params"]) == (dataset.id, False)
    run_vertex(cloud, plan(dataset), show=lambda line: None)
    submit_any(cloud, "", [], options, SubmitOptions(), False, lambda line: None)
    (run,) = runs()
    assert (run["_params"]["version"], run["_params"]["verdict"]) == ("v1", "better")
    (job,) = vertex.jobs
    assert [name.rpartition("/")[2] for name in vertex.metadata.contexts][1] == f"python-qa-{job.rpartition('/')[2]}"
