"""Rows that have a quality_reason are left out and counted by reason, except with the preset of the notebook."""

import random
import re
from pathlib import Path
from typing import Any

import pytest

from tests.dataset.folders import dropped, fingerprint, question_ids
from tests.marts import preference_row, row, write_snapshot
from tuning.dataset.create import create_dataset, describe_dataset
from tuning.dataset.dataset import Dataset
from tuning.dataset.options import resolve_options
from tuning.dataset.snapshot.snapshot import Kind
from tuning.errors import TuningError
from tuning.settings import Settings

SHORT, OLD = "short answer", "Python 2 code"


def made(tmp_path: Path, name: str, rows: list[dict[str, Any]], kind: Kind = "instructions", **given: Any) -> Dataset:
    snapshot = write_snapshot(tmp_path / name / "snapshot", rows, files=2, kind=kind)
    return create_dataset(Settings(home=tmp_path / name), snapshot, resolve_options(**given), workers=1)


def judged_rows(count: int) -> list[dict[str, Any]]:
    """Rows of which every fifth has the reason SHORT and every seventh the reason OLD."""
    reasons = {number: SHORT if number % 5 == 0 else OLD for number in range(count) if not number % 5 or not number % 7}
    return [row(number, quality_reason=reasons.get(number)) for number in range(count)]


def written_ids(dataset: Dataset) -> list[int]:
    return sorted(question_ids(dataset, "train") + question_ids(dataset, "eval"))


def test_rejected_rows_are_left_out_and_counted_by_reason(tmp_path: Path) -> None:
    rows = judged_rows(210)
    dataset = made(tmp_path, "home", rows)
    assert written_ids(dataset) == [number for number in range(210) if number % 5 and number % 7]
    assert dropped(dataset) == {SHORT: 42, OLD: 24}
    assert dataset.manifest.funnel[:3] == [
        {"step": "read", "reason": "rows of the mart", "rows": 210},
        {"step": "quality", "reason": OLD, "rows": 24},
        {"step": "quality", "reason": SHORT, "rows": 42},
    ]
    assert "       24  quality: Python 2 code" in describe_dataset(dataset)
    assert "| quality | short answer | 42 |" in (dataset.folder / "README.md").read_text()


def test_the_card_shows_the_rejected_rows_with_the_smallest_ids_without_secrets(tmp_path: Path) -> None:
    rows = judged_rows(1_500)
    rows[5]["answer_body"] = "<p>Ask <b>me</b> at some.body@mailbox-of-mine.net</p>"
    rows[10]["answer_body"] = "<p>Ask \x01 at some.body@mailbox-of-mine.net</p>"
    alone = made(tmp_path, "alone", rows)
    shuffled = random.Random(3).sample(rows, len(rows))  # noqa: S311 - test data
    assert fingerprint(made(tmp_path, "shuffled", shuffled).folder) == fingerprint(alone.folder)
    page = (alone.folder / "card.html").read_text()
    assert re.findall(r"questions/(\d+)", page)[:6] == ["7", "14", "21", "0", "5", "10"]
    assert "Ask **me** at &lt;EMAIL&gt;" in page
    assert "mailbox-of-mine" not in page


def test_the_limit_counts_only_rows_that_no_filter_rejects(tmp_path: Path) -> None:
    dataset = made(tmp_path, "home", judged_rows(210), limit=100)
    assert len(written_ids(dataset)) == 100
    assert dropped(dataset) == {SHORT: 42, OLD: 24, "beyond --limit": 44}
    assert sum(int(str(one["rows"])) for one in dataset.manifest.funnel[1:]) == 210


def test_the_preset_of_the_notebook_takes_every_row_and_writes_the_same_bytes(tmp_path: Path) -> None:
    judged = made(tmp_path, "judged", judged_rows(60), preset="seed")
    plain = made(tmp_path, "plain", [row(number) for number in range(60)], preset="seed")
    assert written_ids(judged) == list(range(60))
    for name in ("train.jsonl", "eval.jsonl", "attribution.jsonl"):
        assert (judged.folder / name).read_bytes() == (plain.folder / name).read_bytes()


def test_preference_pairs_are_left_out_too(tmp_path: Path) -> None:
    rows = [preference_row(number, quality_reason=OLD if number < 10 else None) for number in range(60)]
    dataset = made(tmp_path, "home", rows, "preferences", format="trl-preference")
    assert written_ids(dataset) == list(range(10, 60))
    assert dropped(dataset) == {OLD: 10}


def test_filters_that_reject_all_rows_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(TuningError) as refused:
        made(tmp_path, "home", [row(number, quality_reason=SHORT) for number in range(20)])
    assert str(refused.value).startswith("the filters reject all rows of the mart. Run `invoke dataset` with other")
