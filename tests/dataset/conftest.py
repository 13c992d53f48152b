"""Real posts as a mart, and a tokenizer."""

from pathlib import Path
from typing import Any

import py7zr
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from tests.marts import row, rows_of_dump


@pytest.fixture(scope="session")
def real_rows(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """The 5,150 accepted Python pairs of stackoverflow-python-bodies.7z, by question id."""
    folder = tmp_path_factory.mktemp("posts")
    with py7zr.SevenZipFile(real_data / "stackoverflow-python-bodies.7z") as archive:
        archive.extractall(folder)
    return list(rows_of_dump(folder / "Posts.xml"))


@pytest.fixture(scope="session")
def tokenizer_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model's folder, as far as counting needs it: with a byte-level BPE tokenizer that knows `<|end|>`."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=600, initial_alphabet=alphabet, special_tokens=["<|end|>"])
    tokenizer.train_from_iterator([str(row(number)) for number in range(120)], trainer)
    folder = tmp_path_factory.mktemp("model") / "tiny"
    folder.mkdir()
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder
