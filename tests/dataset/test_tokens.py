"""Tokens are estimated from a calibrated sample, and counted where a limit is near."""

import pickle
from pathlib import Path

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from tuning.dataset.tokens import BYTES_PER_TOKEN, TokenEstimator, calibrate
from tuning.errors import TuningError

TEXTS = [
    f"How do I read file number {n}?\n\n```python\nwith open('data_{n}.csv') as f:\n    rows = list(f)[:{n * 7}]\n```\n"
    + "It fails with an error that I do not understand. " * (n % 9)
    for n in range(120)
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A byte-level BPE tokenizer, trained on the texts."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(TEXTS, trainers.BpeTrainer(vocab_size=400, initial_alphabet=alphabet))
    folder = tmp_path_factory.mktemp("model") / "tiny"
    folder.mkdir()
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def test_the_error_that_is_stated_holds_for_other_texts(folder: Path) -> None:
    estimator = calibrate(TEXTS[:60], folder)
    assert estimator.sample == 60
    assert estimator.error is not None
    assert estimator.error < 0.15
    others = TEXTS[60:]
    within = sum(abs(estimator.estimate(text) / estimator.count(text) - 1) <= 2 * estimator.error for text in others)
    assert within >= 0.95 * len(others)


def test_the_same_sample_gives_the_same_estimator(folder: Path) -> None:
    assert calibrate(TEXTS, folder) == calibrate(list(TEXTS), folder)


def test_near_the_limit_the_number_is_exact(folder: Path) -> None:
    estimator = calibrate(TEXTS, folder)
    for text in TEXTS:
        count = estimator.count(text)
        assert estimator.total([text, text], 2 * count, extra=3) == 2 * count + 3


def test_far_from_the_limit_nothing_is_counted(folder: Path) -> None:
    estimator = TokenEstimator(tokenizer=folder.parent / "absent", margin=0.1)
    assert estimator.total(["x" * 300], 10_000) == 100


def test_without_a_tokenizer_the_rule_of_thumb_has_no_error() -> None:
    estimator = calibrate(TEXTS, None)
    assert estimator.error is None
    assert estimator.estimate("x" * 300) == round(300 / BYTES_PER_TOKEN)
    assert estimator.total(["x" * 300], 100) == 100
    assert estimator.recorded()["error_95"] is None


def test_too_small_a_sample_counts_everything(folder: Path) -> None:
    estimator = calibrate(TEXTS[:3], folder)
    assert estimator.total([TEXTS[50]], 1_000_000) == estimator.count(TEXTS[50])


def test_it_travels_to_another_process_and_names_no_path_in_the_manifest(folder: Path) -> None:
    estimator = calibrate(TEXTS, folder)
    assert pickle.loads(pickle.dumps(estimator)) == estimator  # noqa: S301 - our own bytes
    assert estimator.recorded()["tokenizer"] == "tiny"
    assert str(folder.parent) not in str(estimator.recorded())


def test_a_folder_without_a_tokenizer_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(TuningError, match="contains no tokenizer"):
        calibrate(TEXTS, tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(TuningError, match="is not a valid tokenizer"):
        calibrate(TEXTS, tmp_path)
