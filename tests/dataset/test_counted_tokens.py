"""A dataset's tokens are counted with a model's tokenizer, and examples that are too long are dropped."""

from pathlib import Path

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from tests.marts import row, words, write_snapshot
from tuning.dataset.create import create_dataset
from tuning.dataset.formats.codec import parse_line
from tuning.dataset.options import resolve_options
from tuning.settings import Settings

ROWS = [row(number, question_body=f"<p>{words(number, 40 if number % 10 else 400)}</p>\n") for number in range(120)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model's folder, as far as counting needs it."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        [str(one) for one in ROWS], trainers.BpeTrainer(vocab_size=600, initial_alphabet=alphabet)
    )
    folder = tmp_path_factory.mktemp("model")
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def test_the_manifests_tokens_are_those_that_the_tokenizer_counts(folder: Path, tmp_path: Path) -> None:
    snapshot = write_snapshot(tmp_path / "snapshot", ROWS)
    counted = create_dataset(Settings(home=tmp_path / "a"), snapshot, resolve_options(tokenizer=folder), 1)
    guessed = create_dataset(Settings(home=tmp_path / "b"), snapshot, resolve_options(), 1)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    with counted.file("train").open("rb") as lines:
        answers = [parse_line("messages", line).answer for line in lines]
    exact = sum(len(tokenizer.encode(answer).ids) for answer in answers)
    estimate, facts = counted.manifest.tokens["estimate"], counted.manifest.tokens["train"]
    assert facts["answer"]["sum"] == pytest.approx(exact, rel=2 * estimate["error_95"])
    assert estimate["error_95"] < 0.1
    assert guessed.manifest.tokens["train"]["answer"]["sum"] != pytest.approx(exact, rel=0.1)
    assert counted.id != guessed.id
    assert str(folder.parent) not in (counted.folder / "manifest.json").read_text()


def test_an_answer_that_begins_beyond_the_training_length_is_dropped_with_its_reason(
    folder: Path, tmp_path: Path
) -> None:
    snapshot = write_snapshot(tmp_path / "snapshot", ROWS)
    options = resolve_options(tokenizer=folder, max_length=512)
    made = create_dataset(Settings(home=tmp_path / "a"), snapshot, options, 1)
    reasons = {one["reason"]: one["rows"] for one in made.manifest.funnel}
    assert reasons["answer beyond the training length"] == 12
