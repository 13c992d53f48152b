"""A home that an earlier version of the project made opens with today's commands."""

from pathlib import Path

import msgspec
import pytest

from tuning.dataset.create import create_dataset
from tuning.dataset.dataset import find_dataset
from tuning.dataset.options import DatasetOptions
from tuning.dataset.snapshot.export import find_snapshot
from tuning.errors import TuningError
from tuning.monitoring.watch import in_lines, watch
from tuning.pipelines.job_lines import find_job, status_lines
from tuning.pipelines.local.run import run_local
from tuning.pipelines.plan import Plan
from tuning.pipelines.release.record import newest_report
from tuning.registry import registry
from tuning.registry.listing import history_lines, model_lines
from tuning.registry.predict import print_answer
from tuning.settings import PROJECT_ROOT, Settings
from tuning.sources.load_sample import load_sample
from tuning.tuners.protocol import TuneOptions
from tuning.warehouse.client import connect
from tuning.warehouse.fingerprint import source

DATASET, RUN = "6e92baf9494158d6", "20261129-104907-7149f2"


def test_its_models_runs_and_datasets_are_listed(settings: Settings, old_home: Path) -> None:
    assert model_lines(settings)[1].startswith("* v1 ")
    assert [line.split()[1] for line in history_lines(settings)] == ["registered", "promoted"]
    assert newest_report(settings).path == old_home / "runs" / RUN / "report.html"
    assert status_lines(find_job(settings, ""))[0] == f"{RUN} succeeded (tune-python-qa on {DATASET})"
    assert RUN in in_lines(watch(settings, "", "", 10))[-1]
    dataset = find_dataset(settings)
    assert (dataset.id, len(list(dataset.pairs("train"))), len(list(dataset.pairs("eval")))) == (DATASET, 37, 13)
    assert (dataset.folder / "card.html").is_file()


def test_its_champion_answers(settings: Settings, old_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    print_answer(settings, "champion", "How do I sort a list?", 3)
    printed = capsys.readouterr()
    assert printed.out.strip().endswith("[v1: MAX_TOKENS, the answer is empty]")  # its base has random weights
    assert "have changed" not in printed.err


def test_its_champion_can_be_rolled_back_and_promoted(settings: Settings, old_home: Path) -> None:
    assert registry.rollback(settings) == ("v1", None, True)
    registry.promote(settings, "v1", force=True, reason="again")
    assert registry.champion(settings).name == "v1"


def test_its_snapshot_gives_a_dataset_again(settings: Settings, old_home: Path) -> None:
    options = DatasetOptions(limit=50)
    dataset = create_dataset(settings, find_snapshot(settings, options), options, 1)
    assert dataset.manifest.files["attribution.jsonl"].rows == 50
    assert (dataset.folder / "manifest.json").read_text().count('"format_version": 1') == 1


def test_its_raw_tables_must_be_loaded_again_and_then_work(with_warehouse: Settings, old_home: Path) -> None:
    settings = with_warehouse
    client = connect(settings)
    with pytest.raises(TuningError, match=r"earlier version.*`invoke ingest DUMP` or `invoke sample`"):
        source(settings, client)
    load_sample(settings, 20)
    assert source(settings, client)["questions"] == 20


@pytest.mark.slow
def test_a_new_model_is_tuned_beside_its_champion(
    settings: Settings, old_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(PROJECT_ROOT))
    settings = msgspec.structs.replace(settings, evaluation_examples=5, evaluation_answers=1)
    plan = Plan(dataset=find_dataset(settings), tuner="hf", tune=TuneOptions(base_model="tiny", steps=1))
    run = run_local(settings, plan, show=lambda _: None)
    assert (run.version.name, run.champion, run.verdict.champion) == ("v2", "v1", "v1")
