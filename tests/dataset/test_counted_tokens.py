"""A dataset's tokens are counted with a model's tokenizer, and examples that are too long are dropped."""

from pathlib import Path

import pytest
from tokenizers import Tokenizer

from tests.marts import row, words, write_snapshot
from tuning.dataset.create import create_dataset
from tuning.dataset.dataset import Dataset
from tuning.dataset.formats.codec import parse_line
from tuning.dataset.options import resolve_options
from tuning.settings import Settings

ROWS = [row(number, question_body=f"<p>{words(number, 40 if number % 10 else 400)}</p>\n") for number in range(120)]


def test_the_manifests_tokens_are_those_that_the_tokenizer_counts(tokenizer_folder: Path, tmp_path: Path) -> None:
    snapshot = write_snapshot(tmp_path / "snapshot", ROWS)
    counted = create_dataset(Settings(home=tmp_path / "a"), snapshot, resolve_options(tokenizer=tokenizer_folder), 1)
    guessed = create_dataset(Settings(home=tmp_path / "b"), snapshot, resolve_options(), 1)
    tokenizer = Tokenizer.from_file(str(tokenizer_folder / "tokenizer.json"))
    with counted.file("train").open("rb") as lines:
        answers = [parse_line("messages", line).answer for line in lines]
    exact = sum(len(tokenizer.encode(answer).ids) for answer in answers)
    assert counted.manifest.tokens["train"]["answer"]["sum"] == exact
    assert counted.manifest.tokens["estimate"] == {"tokenizer": tokenizer_folder.name, "sample": written(counted)}
    assert f"Counted with the tokenizer {tokenizer_folder.name} in {written(counted)} examples." in card(counted)
    assert guessed.manifest.tokens["train"]["answer"]["sum"] != pytest.approx(exact, rel=0.1)
    assert counted.id != guessed.id
    assert str(tokenizer_folder.parent) not in (counted.folder / "manifest.json").read_text()


def test_of_many_examples_a_part_is_counted_and_the_sums_are_projected(
    tokenizer_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = write_snapshot(tmp_path / "snapshot", ROWS)
    every = create_dataset(Settings(home=tmp_path / "a"), snapshot, resolve_options(tokenizer=tokenizer_folder), 1)
    monkeypatch.setattr("tuning.dataset.rows.pass_one._COUNTED", 60)
    some = create_dataset(Settings(home=tmp_path / "b"), snapshot, resolve_options(tokenizer=tokenizer_folder), 1)
    assert 30 < some.manifest.tokens["estimate"]["sample"] < 90 < written(some)
    total, projected = (one.manifest.tokens["train"]["answer"]["sum"] for one in (every, some))
    assert projected != total
    assert projected == pytest.approx(total, rel=0.05)
    assert "; the sums are projected to all examples." in card(some)
    assert some.file("train").read_bytes() == every.file("train").read_bytes()


def written(dataset: Dataset) -> int:
    return sum(dataset.manifest.files[f"{split}.jsonl"].rows for split in ("train", "eval"))


def card(dataset: Dataset) -> str:
    return (dataset.folder / "card.html").read_text()


def test_an_answer_that_begins_beyond_the_training_length_is_dropped_with_its_reason(
    tokenizer_folder: Path, tmp_path: Path
) -> None:
    snapshot = write_snapshot(tmp_path / "snapshot", ROWS)
    options = resolve_options(tokenizer=tokenizer_folder, max_length=512)
    made = create_dataset(Settings(home=tmp_path / "a"), snapshot, options, 1)
    reasons = {one["reason"]: one["rows"] for one in made.manifest.funnel}
    assert reasons["answer beyond the training length"] == 12
