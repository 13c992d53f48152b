"""Test the DataFrames of datasets and of runs: their rows, types and errors."""

from pathlib import Path

import msgspec
import pandas as pd
import pytest

from tests.marts import preference_row, row, write_snapshot
from tests.verdicts import verdict
from tuning.dataset.create import create_dataset
from tuning.dataset.options import resolve_options
from tuning.errors import TuningError
from tuning.evaluation.records import Interval, Judgement
from tuning.monitoring.frames import open_dataset, open_metrics
from tuning.registry import registry
from tuning.registry.records import Candidate
from tuning.settings import Settings
from tuning.storage import write_json


def test_a_dataset_opens_with_its_texts_and_attribution(tmp_path: Path, settings: Settings) -> None:
    snapshot = write_snapshot(tmp_path / "snapshot", [row(number) for number in range(60)])
    dataset = create_dataset(settings, snapshot, resolve_options(), 1)
    frame = open_dataset(settings=settings)
    assert len(frame) == 60
    assert frame["question_id"].dtype == frame["question_score"].dtype == "int64"
    assert str(frame["answer_created_at"].dtype) == "datetime64[us, UTC]"
    assert frame["answer"].dtype == frame["question_url"].dtype == "str"
    assert "rejected" not in frame
    last = frame.iloc[-1]
    assert (last["split"], last["line"]) == ("eval", (frame["split"] == "eval").sum() - 1)
    question = int(last["question_id"])
    assert f"x = {question}" in last["answer"]
    assert f"number {question}" in last["prompt"]
    assert last["answer_created_at"] - last["question_created_at"] == pd.Timedelta(hours=1)
    assert last["tags"] == ["python"]
    some = open_dataset(dataset.id, split="eval", columns=["answer", "question_id"], limit=2, settings=settings)
    assert list(some.columns) == ["answer", "question_id"]
    evaluation = frame[frame["split"] == "eval"]
    assert some["question_id"].tolist() == evaluation["question_id"].tolist()[:2]
    assert some["answer"].tolist() == evaluation["answer"].tolist()[:2]


def test_a_dataset_of_preferences_has_the_rejected_answer(tmp_path: Path, settings: Settings) -> None:
    rows = [preference_row(number) for number in range(40)]
    snapshot = write_snapshot(tmp_path / "snapshot", rows, kind="preferences")
    create_dataset(settings, snapshot, resolve_options(format="trl-preference"), 1)
    frame = open_dataset(settings=settings, limit=3)
    assert frame["rejected"].str.startswith("Or ").all()
    assert frame["rejected_answer_id"].dtype == "int64"


@pytest.mark.parametrize(
    ("given", "message"),
    [({"columns": ["body"]}, "there is no column 'body'"), ({"limit": 0}, "limit cannot be 0")],
)
def test_a_wrong_request_is_one_clear_error(tmp_path: Path, settings: Settings, given: dict, message: str) -> None:
    snapshot = write_snapshot(tmp_path / "snapshot", [row(number) for number in range(60)])
    create_dataset(settings, snapshot, resolve_options(), 1)
    with pytest.raises(TuningError, match=message):
        open_dataset(settings=settings, **given)


def test_a_home_without_datasets_or_runs(settings: Settings) -> None:
    with pytest.raises(TuningError, match="there is no dataset"):
        open_dataset(settings=settings)
    frame = open_metrics(settings=settings)
    assert len(frame) == 0
    assert str(frame["started_at"].dtype) == "datetime64[us, UTC]"


def test_runs_have_the_metrics_of_their_version(tmp_path: Path, settings: Settings) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights").write_bytes(b"weights")
    interval = Interval(mean=0.25, low=0.1, high=0.4, examples=36)
    judged = Judgement(
        opponent="base",
        status="better",
        reasons=[],
        executed=Interval(mean=-10, low=-20, high=0, examples=50),
        solved={"tuned": 15, "base": 20},
    )
    version = Candidate(
        created_at="2026-01-01T00:00:00+00:00",
        training_key="k",
        tuner="hf",
        base_model="small",
        options={},
        dataset_id="d1",
        dataset_sha256="0",
        template="",
        format="messages",
        body="markdown",
        contents_sha256="0",
        metrics={"loss": 1.5},
        verdict=msgspec.structs.replace(
            verdict("loss", "loss improves", "better", None), improvements={"base": interval}, judgements=[judged]
        ),
        run_id="20260102-000000-aaa",
    )
    name = registry.register(settings, version, tmp_path / "model")[0].name
    for day, fields in (("20260101", {"status": "failed"}), ("20260102", {"version": name, "promoted": True})):
        record = {"id": f"{day}-000000-aaa", "status": "succeeded", "started_at": "2026-01-01T10:00:00+00:00", **fields}
        write_json(settings.runs_dir / str(record["id"]) / "run.json", record)
    frame = open_metrics(settings=settings)
    assert frame["status"].tolist() == ["failed", "succeeded"]
    assert frame["promoted"].dtype == "bool"
    assert frame["started_at"].iloc[0] == pd.Timestamp("2026-01-01 10:00", tz="UTC")
    assert frame["heldout_loss"].isna().tolist() == [True, False]
    newest = frame.iloc[1]
    assert (newest["heldout_loss"], newest["heldout_improvement_base_low"]) == (1.5, 0.1)
    assert (newest["suite_executed_tuned"], newest["suite_executed_base"]) == (30, 40)
    assert (newest["suite_executed_change_base"], newest["suite_executed_change_base_high"]) == (-10, 0)
    assert open_metrics(settings=settings, columns=["run_id"], limit=1)["run_id"].tolist() == ["20260102-000000-aaa"]
