"""Test that the files of each format pass the checks of the programs that read them."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.marts import preference_row, row, write_snapshot
from tuning.dataset.create import create_dataset
from tuning.dataset.dataset import Dataset
from tuning.dataset.formats.records import FORMATS, PREFERENCE_FORMATS, Format
from tuning.dataset.options import resolve_options
from tuning.settings import Settings

ROWS = 60


def made(tmp_path: Path, format_: Format) -> Dataset:
    is_preference = format_ in PREFERENCE_FORMATS
    rows = [(preference_row if is_preference else row)(number) for number in range(ROWS)]
    kind = "preferences" if is_preference else "instructions"
    snapshot = write_snapshot(tmp_path / "snapshot", rows, kind=kind)
    return create_dataset(Settings(home=tmp_path), snapshot, resolve_options(format=format_, eval_fraction=0.2), 1)


def lines(dataset: Dataset) -> list[dict[str, Any]]:
    return [json.loads(line) for split in ("train", "eval") for line in dataset.file(split).read_text().splitlines()]


@pytest.mark.parametrize("format_", FORMATS)
def test_hugging_face_loads_both_splits_from_the_folders_own_card(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format_: Format
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets")
    dataset = made(tmp_path, format_)
    loaded = datasets.load_dataset(str(dataset.folder), cache_dir=str(tmp_path / "cache"))
    assert set(loaded) == {"train", "evaluation"}
    assert [loaded["train"].num_rows, loaded["evaluation"].num_rows] == [
        dataset.manifest.files["train.jsonl"].rows,
        dataset.manifest.files["eval.jsonl"].rows,
    ]
    assert loaded["train"][0] == lines(dataset)[0]


def test_googles_types_take_every_gemini_line(tmp_path: Path) -> None:
    from google.genai import types

    for line in lines(made(tmp_path, "gemini")):
        assert set(line) == {"systemInstruction", "contents"}
        contents = [types.Content.model_validate(one) for one in (line["systemInstruction"], *line["contents"])]
        assert [content.role for content in contents] == [None, "user", "model"]
        assert all(part.text for content in contents for part in content.parts or [])


def test_vertex_protobufs_take_every_gemini_line(tmp_path: Path) -> None:
    from google.cloud.aiplatform_v1.types import GenerateContentRequest

    for line in lines(made(tmp_path, "gemini")):
        request = GenerateContentRequest.from_json(json.dumps(line))
        assert [content.role for content in request.contents] == ["user", "model"]


def test_preferences_for_gemini_end_with_a_user_turn_and_one_score_of_each(tmp_path: Path) -> None:
    from google.genai import types

    dataset = made(tmp_path, "gemini-preference")
    for line in lines(dataset):
        assert [types.Content.model_validate(one).role for one in line["contents"]] == ["user"]
        assert [completion["score"] for completion in line["completions"]] == [1, 0]
        assert all(types.Content.model_validate(one["completion"]).role == "model" for one in line["completions"])
    attribution = next(dataset.attributions("train"))
    assert attribution.rejected_author == "Ann Other"
    assert attribution.rejected_answer_id == attribution.answer_id + 1
    assert attribution.rejected_license == "CC BY-SA 4.0"


@pytest.mark.parametrize("format_", ["messages", "prompt-completion", "trl-preference"])
def test_trl_takes_every_line(tmp_path: Path, format_: Format) -> None:
    data_utils = pytest.importorskip("trl.data_utils")
    for line in lines(made(tmp_path, format_)):
        assert data_utils.is_conversational(line)
        if format_ == "trl-preference":
            assert set(line) == {"prompt", "chosen", "rejected"}
