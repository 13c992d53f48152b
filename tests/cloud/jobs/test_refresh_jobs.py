"""`refresh_python_qa` on the stand-ins, by a schedule on a fake clock: the source changes, steps fail, files go.

The components of the refresh really run, with Cloud Storage, Vertex AI, Secret Manager and the registry behind them.
The build, the export and the tuning are scripted: `tests/pipelines/local/test_refresh.py` runs those.
"""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from tests.cloud.servers.caching_runner import CachingRunner, Lifecycle
from tests.cloud.servers.google_server import Google
from tests.cloud.servers.loopback import TOKEN, Loopback, Request
from tests.cloud.servers.vertex_server import Vertex
from tests.pipelines.artifacts import FakeArtifact
from tests.pipelines.small_dataset import write_dataset
from tests.tuners.tuner_datasets import write_dataset as write_pairs
from tests.verdicts import verdict
from tuning.command_line.options import BuildOptions, SplitOptions, TuningOptions
from tuning.dataset.dataset import open_dataset
from tuning.errors import TuningError
from tuning.evaluation.records import Comparison
from tuning.gcs.storage import find_storage
from tuning.pipelines.refresh import components, steps
from tuning.pipelines.refresh.outcome import find_outcome
from tuning.pipelines.refresh.request import RefreshOptions
from tuning.pipelines.refresh.run import run_refresh
from tuning.pipelines.release.record import newest_report
from tuning.pipelines.submit import schedule_refresh
from tuning.pipelines.tuning import STEPS
from tuning.pipelines.vertex import period
from tuning.pipelines.vertex.schedule import list_schedules, pause, resume, runs_of
from tuning.pipelines.vertex.template_job import SubmitOptions
from tuning.records import encode_record
from tuning.registry import registry
from tuning.registry.model_folder import contents_sha256, write_model
from tuning.settings import Settings
from tuning.tuners.protocol import Model, TuneOptions

MONDAY = date(2026, 1, 5)
ADDED = {"build-mart", "export-snapshot", "prepare-dataset", "release", "notify"}
GEMINI = TuningOptions(tuner="gemini", base_model="gemini-3.5-flash")
SECRET = "python-qa-webhook"  # noqa: S105 - the name of one


@dataclass
class World:
    """What changes from week to week."""

    settings: Settings
    vertex: Vertex
    runner: CachingRunner
    told: list[str]  # messages to the webhook
    address: str  # of the webhook
    posts: int = 0  # the state of the source
    built: list[int] = field(default_factory=list)
    today: date = MONDAY

    def now(self, zone: object) -> datetime:
        return datetime(self.today.year, self.today.month, self.today.day, 3, tzinfo=UTC)

    def judge(self, status: str, champion: str | None) -> None:
        """Let the next verdict be this one, against this champion."""
        decided = verdict("chrf", "a test", status, champion)
        self.runner.outputs = {**self.runner.outputs, ("gate", "verdict"): ({"": encode_record(decided)}, {})}

    @property
    def champion(self) -> str:
        found = registry.champion(self.settings)
        return found.name if found else ""

    @property
    def versions(self) -> list[str]:
        return [version.name for version in registry.versions(self.settings)]


@pytest.fixture
def hook() -> Iterator[Loopback]:
    with Loopback([("POST", "/services/planted-webhook-path", lambda request: b"ok")], token=None) as server:
        yield server


@pytest.fixture
def world(
    cloud: Settings, vertex: Vertex, google: Google, hook: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> World:
    address = f"{hook.url}/services/planted-webhook-path"
    google.secrets[SECRET] = address
    settings = msgspec.structs.replace(cloud, webhook_secret=SECRET)
    monkeypatch.setenv("TUNING_ACCESS_TOKEN", TOKEN)
    tuned = tmp_path / "tuned"
    tuned.mkdir()
    endpoint = "projects/mine/locations/us/endpoints/1"
    write_model(tuned, Model(tuner="gemini", base_model="gemini-3.5-flash", uri=endpoint), tmp_path / "work")
    comparison = Comparison(
        primary_metric="chrf", figures=[], perplexity={}, token_loss={}, pairs={}, sides=[], inputs={}
    )
    model = {path.name: path.read_bytes() for path in tuned.iterdir()}
    added = {name.replace("_", "-"): getattr(components, name).python_func for name in map(_python, ADDED)}
    runner = CachingRunner(
        settings,
        {
            ("tune", "model"): (model, {"contents_sha256": contents_sha256(tuned)}),
            ("compare", "comparison"): ({"": encode_record(comparison)}, {}),
        },
        steps=added,
        mount=tmp_path / "mount",
    )
    vertex.run = runner
    told: list[str] = []
    hook.routes[:] = [("POST", "/services/planted-webhook-path", lambda request: told.append(_text(request)) or b"ok")]
    world = World(settings, vertex, runner, told, address)
    monkeypatch.setattr(period, "datetime", world)
    monkeypatch.setattr("tuning.storage._MOUNT", runner.mount)
    for module in ("steps.requests", "refresh.request"):
        monkeypatch.setattr(f"tuning.pipelines.{module}.code_sha256", lambda module, *_: f"code of {module}")
    monkeypatch.setattr("tuning.pipelines.steps.process.check_code", lambda *_: None)
    monkeypatch.setattr("tuning.pipelines.steps.process.end_with_ancestors", lambda depth: None)
    _script_the_data(world, monkeypatch)
    return world


def _python(name: str) -> str:
    return name.replace("-", "_")


def _text(request: Request) -> str:
    assert list(request.body) == ["text"]
    return str(request.body["text"])


def _script_the_data(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The source is a number, which the snapshot carries to the dataset."""

    def export(settings: Settings, *_: object) -> Any:
        folder = settings.home / "snapshots" / f"s{world.posts}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "posts").write_text(str(world.posts))
        return SimpleNamespace(folder=folder, rows=world.posts)

    def create_dataset(settings: Settings, posts: int, *_: object) -> Any:
        folder = settings.datasets_dir / f"d{posts}"
        if folder.exists():
            return open_dataset(folder)
        return write_dataset(folder, 20, 10, "gemini", first_question=1000 * posts)

    module = "tuning.pipelines.refresh"
    monkeypatch.setattr(f"{module}.request.connect", lambda settings: None)
    monkeypatch.setattr(f"{module}.request.source", lambda settings, client: {"posts": world.posts})
    monkeypatch.setattr(f"{module}.steps.ensure_built", lambda *_: world.built.append(world.posts))
    monkeypatch.setattr(f"{module}.steps.export", export)
    monkeypatch.setattr(f"{module}.steps.open_snapshot", lambda folder, settings: int((folder / "posts").read_text()))
    monkeypatch.setattr(f"{module}.steps.create_dataset", create_dataset)
    monkeypatch.setattr(f"{module}.steps.remarks", lambda dataset: [])


def schedule(world: World, options: RefreshOptions | None = None, **more: Any) -> str:
    """The number of the schedule of every Monday."""
    made, _ = schedule_refresh(
        world.settings, "0 3 * * 1", options or RefreshOptions(), GEMINI, SubmitOptions(**more), lambda _: None
    )
    return made.id


def start(world: World, number: str) -> dict[str, Any] | None:
    return world.vertex.start_scheduled(f"projects/mine/locations/us-central1/schedules/{number}")


def test_forty_days_of_mondays(world: World, capfd: pytest.CaptureFixture[str]) -> None:
    rule, deleted, number = Lifecycle(world.settings, days=21), [], ""
    weeks = {
        0: {"posts": 1, "verdict": ("better", None), "steps": ADDED | set(STEPS), "champion": "v1"},
        7: {"posts": 1, "steps": {"build-mart", "notify"}, "champion": "v1"},
        14: {"posts": 2, "verdict": ("better", "v1"), "steps": ADDED | set(STEPS), "champion": "v2"},
        21: {"posts": 3, "verdict": ("worse", "v2"), "steps": ADDED | set(STEPS), "champion": "v2"},
        28: {
            "posts": 4,
            "fails": "tune",
            "steps": {"build-mart", "export-snapshot", "prepare-dataset", "validate", "tune", "notify"},
            "champion": "v2",
        },
        35: {"posts": 4, "verdict": ("not worse", "v2"), "steps": ADDED | set(STEPS), "champion": "v4"},
    }
    for day in range(41):
        world.today = MONDAY + timedelta(days=day)
        if day == 0:
            number = schedule(world)
        if week := weeks.get(day):
            world.posts = week["posts"]
            world.runner.failing = {week["fails"]} if "fails" in week else set()
            if "verdict" in week:
                world.judge(*week["verdict"])
            assert start(world, number)
            assert set(world.runner.ran[-1]) == week["steps"], day
            assert world.champion == week["champion"], day
        deleted += rule.pass_time(world.today)
    assert any("/pipelines/" in uri for uri in deleted)  # the rule was at work
    other_home = msgspec.structs.replace(world.settings, home=world.settings.home.with_name("other"))
    shared = registry.champion(other_home)
    assert shared
    assert (shared.name, newest_report(other_home).path.read_bytes()) == ("v4", b"report")
    assert world.built == [1, 2, 3, 4, 4]
    assert world.versions == ["v1", "v2", "v3", "v4"]
    assert [version.dataset_id for version in registry.versions(world.settings)] == ["d1", "d2", "d3", "d4"]
    tracked = [one["metadata"]["_params"] for name, one in world.vertex.metadata.contexts.items() if "refresh" in name]
    assert [one["version"] for one in tracked] == world.versions  # a run of the experiment for each job that released
    assert [job.state for job in runs_of(world.settings, number)] == ["SUCCEEDED", "FAILED", *["SUCCEEDED"] * 4]

    said = [message.splitlines() for message in world.told]
    assert [lines[0].split(": ", 1)[1] for lines in said] == [
        *["succeeded"] * 4,
        "failed (the step tune failed)",
        "succeeded",
    ]
    assert said[0][-1] == "model v1: registered, now champion"
    assert said[1][1].startswith("nothing has changed: source, options and code are those of the run ")
    assert said[3][-1] == "model v3: registered, the champion is v2"
    assert said[4][1].startswith("the champion is unchanged; `invoke status refresh-python-qa-")
    assert said[5][-1] == "model v4: registered, now champion"

    # The webhook's address is in no file, object, job or line of output.
    files = {str(path): path.read_bytes() for path in world.settings.home.parent.rglob("*") if path.is_file()}
    for uri in find_storage(world.settings).addresses("gs://bucket/"):
        with find_storage(world.settings).open(uri) as file:
            files[uri] = file.read()
    files["jobs"] = repr(world.vertex.jobs).encode()
    files["schedules"] = repr(world.vertex.schedules).encode()
    files["output"] = "".join(capfd.readouterr()).encode()
    assert len(files) > 100
    assert [name for name, content in files.items() if b"planted-webhook-path" in content] == []


def test_a_paused_schedule_starts_nothing_until_it_is_resumed(world: World) -> None:
    number = schedule(world)
    world.posts = 1
    world.judge("better", None)
    assert pause(world.settings, number).state == pause(world.settings, number).state == "PAUSED"
    assert start(world, number) is None
    assert runs_of(world.settings, number) == []
    assert resume(world.settings, number).state == resume(world.settings, number).state == "ACTIVE"
    job = start(world, number)
    assert job
    assert [one.id for one in runs_of(world.settings, number)] == [job["name"].rpartition("/")[2]]
    for change in (pause, resume, runs_of):
        with pytest.raises(TuningError, match="there is no schedule 5"):
            change(world.settings, "5")


def test_a_schedule_reads_nothing_that_the_rule_deletes(world: World, vertex_api: Loopback) -> None:
    number = schedule(world)
    world.today += timedelta(days=40)
    assert schedule(world) == number
    (request,) = vertex_api.asked("POST", "/schedules$")
    job = request.body["createPipelineJobRequest"]["pipelineJob"]
    values = job["runtimeConfig"]["parameterValues"]
    assert {value.split("/")[3] for name, value in values.items() if name.endswith("_uri")} == {"schedules"}
    assert (values["period"], values.get("run", "")) == ("", "")
    (tasks,) = (
        component["dag"]["tasks"]
        for component in job["pipelineSpec"]["components"].values()
        if "tune" in component.get("dag", {}).get("tasks", {})
    )
    assert not any(tasks[name].get("cachingOptions", {}).get("enableCache") for name in STEPS)


def test_a_second_schedule_of_the_pipeline_is_named(world: World) -> None:
    number, said = schedule(world), []
    options = RefreshOptions(build=BuildOptions(since="2024-01-01"))
    schedule_refresh(world.settings, "0 3 * * 1", options, GEMINI, SubmitOptions(), said.append)
    assert f"schedule {number} runs the same pipeline: `invoke schedule --delete {number}` deletes it" in said


def test_a_schedule_replaces_the_others_of_the_pipeline(world: World) -> None:
    def make(since: str, *, replace: bool) -> tuple[str, bool, list[str]]:
        said: list[str] = []
        options = RefreshOptions(build=BuildOptions(since=since))
        made, is_new = schedule_refresh(
            world.settings, "0 3 * * 1", options, GEMINI, SubmitOptions(), said.append, replace=replace
        )
        return made.id, is_new, [line for line in said if line.startswith("deleted refresh-python-qa-")]

    make("2023-01-01", replace=False)
    second, is_new, deleted = make("2024-01-01", replace=True)
    assert (is_new, len(deleted)) == (True, 1)
    make("2025-01-01", replace=False)  # as if killed before it deletes the second one
    third, is_new, deleted = make("2025-01-01", replace=True)
    assert (is_new, len(deleted)) == (False, 1)
    assert [one.id for one in list_schedules(world.settings)] == [third] != [second]


def test_a_refresh_now_takes_what_the_cache_has_and_repeats_all_with_again(world: World) -> None:
    world.posts = 1
    world.judge("better", None)
    shown: list[str] = []
    lines = run_refresh(world.settings, RefreshOptions(), GEMINI, show=shown.append)
    assert lines[-1] == "model v1: registered, now champion"
    assert any(line == "tune: SUCCEEDED" for line in shown)
    unchanged = run_refresh(world.settings, RefreshOptions(), GEMINI, show=shown.append)
    assert unchanged[0].startswith("nothing has changed")
    assert set(world.runner.ran[-1]) == {"build-mart", "notify"}
    # The release failed after everything else: the next refresh pays for no tuning.
    world.posts = 2
    world.judge("better", "v1")
    world.runner.failing = {"release"}
    with pytest.raises(TuningError, match="ended FAILED in release: the step release failed"):
        run_refresh(world.settings, RefreshOptions(), GEMINI, show=shown.append)
    world.runner.failing = set()
    assert run_refresh(world.settings, RefreshOptions(), GEMINI, show=shown.append)[-1].endswith("now champion")
    assert set(world.runner.ran[-1]) == ADDED
    world.judge("better", "v1")
    assert run_refresh(world.settings, RefreshOptions(), GEMINI, again=True, show=shown.append)[0] == "verdict: better"
    assert set(world.runner.ran[-1]) == ADDED | set(STEPS)


def test_a_champion_that_changed_during_the_run_is_met_by_the_next_run(world: World) -> None:
    world.posts = 1
    world.judge("better", None)
    number = schedule(world)
    start(world, number)
    world.posts = 2
    world.judge("better", "v9")  # another than v1, which is the champion now
    job = start(world, number)
    assert job
    outcome = find_outcome(world.settings, job["name"].rpartition("/")[2])
    assert outcome
    assert outcome.lines[-1].startswith("v2 was compared with v9, but the champion now is v1")
    world.judge("better", "v1")
    start(world, number)
    assert "release" in world.runner.ran[-1]
    assert world.champion == "v2"


def test_a_webhook_that_refuses_fails_the_exit_step_alone(world: World, hook: Loopback, capfd: Any) -> None:
    hook.routes[:] = []
    world.posts = 1
    world.judge("better", None)
    number = schedule(world)
    job = start(world, number)
    assert job
    assert job["state"] == "PIPELINE_STATE_FAILED"
    assert world.champion == "v1"
    said = capfd.readouterr().out
    assert "the webhook did not take the message (HTTP 404); the run itself is not affected" in said
    assert "planted-webhook-path" not in said


def test_files_of_options_travel_whole_and_outlive_those_of_the_machine(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, rules = tmp_path / "bench", tmp_path / "rules.toml"
    (folder / "inside").mkdir(parents=True)
    (folder / "inside" / "a.txt").write_text("an item of six words is here")
    rules.write_text('[[rule]]\nname = "TICKET"\npattern = "ACME-[0-9]+"\n')
    made = SplitOptions(decontaminate=str(folder), redact_rules=str(rules))
    read: list[list[str]] = []
    real = steps.create_dataset

    def create(settings: Settings, posts: int, options: Any) -> Any:
        assert options.recorded()["decontaminate"]["name"] == "bench"
        read.append([(options.decontaminate / "inside" / "a.txt").read_text(), options.redact_rules.read_text()])
        return real(settings, posts, options)

    monkeypatch.setattr(steps, "create_dataset", create)
    number = schedule(world, RefreshOptions(made=made))
    assert schedule(world, RefreshOptions(made=made)) == number
    expected = [(folder / "inside" / "a.txt").read_text(), rules.read_text()]
    rules.write_text('[[rule]]\nname = "TICKET"\npattern = "other"\n')
    assert schedule(world, RefreshOptions(made=made)) != number
    shutil.rmtree(folder)
    rules.unlink()
    world.posts = 1
    world.judge("better", None)
    start(world, number)
    start(world, number)
    assert (read, world.champion) == ([expected], "v1")  # nothing had changed for the second one


@pytest.mark.parametrize(
    ("changed", "options", "more", "message"),
    [
        ({}, RefreshOptions(), {"dataset": "d1"}, "each run of a schedule makes its own dataset"),
        ({"webhook": "https://x.example/y", "webhook_secret": ""}, RefreshOptions(), {}, "does not reach the steps"),
        ({}, RefreshOptions(made=SplitOptions(decontaminate="b.txt")), {}, "there is no file b.txt"),
        ({}, RefreshOptions(build=BuildOptions(since="soon")), {}, "--since 'soon' is not a date"),
        ({"image": "tuning:latest"}, RefreshOptions(), {}, "is not named by its digest"),
        ({"tracking": "vertex,json"}, RefreshOptions(), {}, "cannot record its runs in json. Name only vertex"),
    ],
)
def test_what_no_step_could_use_is_refused_before_anything_is_sent(
    world: World, created: Any, changed: dict[str, str], options: RefreshOptions, more: Any, message: str
) -> None:
    world.settings = msgspec.structs.replace(world.settings, **changed)
    with pytest.raises(TuningError, match=message):
        schedule(world, options, **more)
    assert created() == []


def test_pairs_for_several_machines_are_refused_when_the_dataset_is_there(
    cloud: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = write_pairs(tmp_path / "d1", "trl-preference", train=8, evaluation=2)
    for name, value in (
        ("read_request", SimpleNamespace(tuner="hf", tune=TuneOptions())),
        ("resolve", (msgspec.structs.replace(cloud, nodes=2), None, None)),
        ("open_snapshot", None),
        ("create_dataset", pairs),
        ("remarks", []),
    ):
        monkeypatch.setattr(steps, name, lambda *_, value=value: value)
    given = FakeArtifact(tmp_path / "given")
    with pytest.raises(TuningError, match=r"\(DPO\) runs on one machine\. Leave out --nodes"):
        steps.prepare_dataset(given, given, given, "code")
