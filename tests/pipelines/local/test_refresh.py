"""`refresh_python_qa` on this machine: KFP, dbt and the local BigQuery are real, and each step is a process."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tests.cloud.servers.loopback import Loopback, Request
from tests.homes import free_port
from tuning.command_line.options import SplitOptions, TuningOptions
from tuning.dataset.dataset import find_dataset
from tuning.errors import TuningError
from tuning.pipelines.plan import TuningPlan
from tuning.pipelines.refresh.request import RefreshOptions, RefreshRequest, refresh_arguments
from tuning.pipelines.refresh.run import run_refresh
from tuning.pipelines.release.record import RunRecord, newest_report, read_run
from tuning.pipelines.steps.requests import read_request
from tuning.pipelines.tuning import CHAMPION_STEP, STEPS
from tuning.registry import registry
from tuning.settings import Settings
from tuning.sources.load_sample import load_sample
from tuning.tuners.protocol import TuneOptions
from tuning.warehouse import emulator

TUNING = TuningOptions(
    tuner="tests.pipelines.character_tuner:CharacterTuner", base_model="characters", run_answers="no"
)
PATH = "/services/planted-webhook-path"


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def home(tmp_path: Path, told: list[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    def take(request: Request) -> bytes:
        told.append(request.body["text"])
        return b"ok"

    with Loopback([("POST", PATH, take)], token=None) as hook:
        address = tmp_path / "address"
        address.write_text(f"{hook.url}{PATH}")
        monkeypatch.setenv("TUNING_WEBHOOK_FILE", str(address))
        settings = Settings(
            home=tmp_path / "home",
            bigquery_port=free_port(),
            webhook=address.read_text(),
            evaluation_examples=10,
            evaluation_answers=0,
        )
        yield settings
        emulator.stop(settings)


def questions(settings: Settings) -> set[int]:
    """The questions in the newest dataset."""
    found = find_dataset(settings)
    return {row.question_id for split in ("train", "eval") for row in found.attributions(split)}


def newest_run(settings: Settings) -> RunRecord:
    return read_run(max(settings.runs_dir.iterdir(), key=lambda folder: folder.name))


def test_steps_read_the_files_of_options_from_any_folder_and_a_missing_one_is_refused_before_anything_is_stored(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def arguments(name: str) -> dict[str, str]:
        made, folder = SplitOptions(decontaminate=name), str(tmp_path / "requests")
        return refresh_arguments(settings, plan, RefreshOptions(made=made), folder)

    plan = TuningPlan(tuner="hf", tune=TuneOptions())
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TuningError, match=r"there is no file bench\.txt"):
        arguments("bench.txt")
    assert not (tmp_path / "requests").exists()
    (tmp_path / "bench.txt").write_text("a question")
    request = read_request(arguments("bench.txt")["refresh_uri"], RefreshRequest)
    assert request.made.decontaminate == str(tmp_path / "bench.txt")


@pytest.mark.slow
def test_new_posts_reach_the_next_model_and_what_is_unchanged_ends_at_once(home: Settings, told: list[str]) -> None:
    # The first Monday: a step fails. The message says so, and nothing is registered.
    load_sample(home, 60)
    with pytest.raises(TuningError, match=r"^there is no base model 'nonsense'\. Take characters or tiny\.$"):
        run_refresh(home, RefreshOptions(), msgspec.structs.replace(TUNING, base_model="nonsense"), show=lambda _: None)
    failed = newest_run(home)
    assert (failed.status, "nonsense" in failed.error) == ("failed", True)
    assert registry.versions(home) == []
    earlier = questions(home)

    # The second Monday: new posts have arrived.
    load_sample(home, 75)
    lines = run_refresh(home, RefreshOptions(), TUNING, show=lambda _: None)
    assert lines[0] == "verdict: undecided"
    assert lines[-1] == "model v1: registered, not released"
    (version,) = registry.versions(home)
    assert earlier < questions(home)
    assert version.dataset_id == find_dataset(home).id
    record = newest_run(home)
    assert (record.status, record.version, record.dataset_id) == ("succeeded", "v1", version.dataset_id)
    assert version.run_id == record.id
    ran = {step.name for step in record.steps}
    without = {*STEPS} - {CHAMPION_STEP}  # there is no champion
    assert ran == {"build-mart", "export-snapshot", "prepare-dataset", *without, "release", "notify"}
    assert "prepare-dataset" in newest_report(home).path.read_text()

    # Nothing new: it ends after the first step.
    unchanged = run_refresh(home, RefreshOptions(), TUNING, show=lambda _: None)
    assert unchanged[0] == f"nothing has changed: source, options and code are those of the run {record.id}"
    assert [step.name for step in newest_run(home).steps] == ["build-mart", "notify"]

    said = [message.splitlines() for message in told]
    assert [lines[0].rpartition(": ")[2] for lines in said] == ["failed", "succeeded", "succeeded"]
    assert said[0][1] == f"the champion is unchanged; `invoke status {failed.id}` shows the step that failed"
    assert said[1][-1] == "model v1: registered, not released"
    assert said[2][1].startswith("nothing has changed")
    assert [path for path in home.home.rglob("*") if path.is_file() and PATH.encode() in path.read_bytes()] == []
