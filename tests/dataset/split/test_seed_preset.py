"""Test that `--preset seed` writes the same lines as the pandas code of the seed notebook."""

import json
import random
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sklearn.model_selection import train_test_split

from tests.dataset.folders import fingerprint
from tests.marts import TEMPLATE, row, write_snapshot
from tuning.dataset.create import create_dataset
from tuning.dataset.options import resolve_options
from tuning.dataset.rows import pass_one
from tuning.dataset.split import pass_two
from tuning.dataset.workspace import store
from tuning.settings import Settings


def notebook(rows: list[dict[str, Any]]) -> tuple[str, str]:
    """Run the notebook's code on posts sorted by question id, and return the train and eval JSONL."""
    frame = pd.DataFrame(sorted(rows, key=lambda one: one["question_id"]))
    frame["input_text"] = frame["question_title"] + frame["question_body"]
    frame["output_text"] = frame["answer_body"]
    frame["input_text_instruct"] = TEMPLATE + " " + frame["input_text"]
    train, evaluation = train_test_split(frame, test_size=0.2, random_state=42)
    columns = ["input_text_instruct", "output_text"]
    return tuple(part[columns].to_json(orient="records", lines=True) for part in (train, evaluation))  # type: ignore[return-value]


def parsed(text: str) -> list[dict[str, str]]:
    return [json.loads(line) for line in text.split("\n") if line]


def test_each_line_equals_the_notebooks_on_real_posts(
    settings: Settings, tmp_path: Path, real_rows: list[dict[str, Any]]
) -> None:
    snapshot = write_snapshot(tmp_path / "snapshot", real_rows[::-1], files=3)
    dataset = create_dataset(settings, snapshot, resolve_options(preset="seed"))
    assert len(real_rows) == 5_150
    assert (dataset.manifest.files["train.jsonl"].rows, dataset.manifest.files["eval.jsonl"].rows) == (4_120, 1_030)
    train, evaluation = notebook(real_rows)
    assert parsed(dataset.file("train").read_text()) == parsed(train)
    assert parsed(dataset.file("eval").read_text()) == parsed(evaluation)


def test_limit_takes_the_first_questions_by_id(settings: Settings, tmp_path: Path) -> None:
    rows = [row(number) for number in range(300, 0, -1)]
    snapshot = write_snapshot(tmp_path / "snapshot", rows)
    dataset = create_dataset(settings, snapshot, resolve_options(preset="seed", limit=100))
    train, evaluation = notebook(rows[200:])
    assert parsed(dataset.file("train").read_text()) == parsed(train)
    assert parsed(dataset.file("eval").read_text()) == parsed(evaluation)
    assert [one.question_id for one in dataset.attributions("eval")][:1] == [84]
    assert dataset.manifest.files["eval.jsonl"].rows == 20


@pytest.mark.parametrize(("workers", "files"), [(1, 1), (2, 4), (5, 3)])
def test_threads_parts_and_the_order_of_rows_and_files_change_no_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int, files: int
) -> None:
    rows = [row(number, answer_author_name=f'"{number}' if number % 7 else None) for number in range(700)]
    options = resolve_options(preset="seed")
    whole = create_dataset(Settings(home=tmp_path / "whole"), write_snapshot(tmp_path / "snapshot", rows), options)
    monkeypatch.setattr(pass_one, "_ROWS_PER_PART_SEED", 40)
    monkeypatch.setattr(pass_two, "_ROWS", 30)
    monkeypatch.setattr(store, "_CUT", 1)
    shuffled = write_snapshot(tmp_path / "shuffled", random.Random(workers).sample(rows, len(rows)), files)  # noqa: S311
    dataset = create_dataset(Settings(home=tmp_path / "home"), shuffled, options, workers)
    assert fingerprint(dataset.folder) == fingerprint(whole.folder)


@pytest.mark.parametrize("text", ['\u2028 \u2029 \x85 \\ " / \t é 漢 🐍', "<p>a &amp; b</p>"])
def test_no_character_changes(settings: Settings, tmp_path: Path, text: str) -> None:
    rows = [row(number, question_body=text, answer_body=text) for number in range(10)]
    for one in rows:
        one |= {"input_text_instruct": f"{TEMPLATE} {one['question_title']}{text}", "output_text": text}
    dataset = create_dataset(settings, write_snapshot(tmp_path / "snapshot", rows), resolve_options(preset="seed"))
    lines = [json.loads(line) for line in dataset.file("train").read_bytes().split(b"\n") if line]
    assert [line["output_text"] for line in lines] == [text] * 8
    assert all(line["input_text_instruct"].endswith(text) for line in lines)
