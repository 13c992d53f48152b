"""Tokens are counted with a tokenizer, and guessed from bytes without one."""

from pathlib import Path

import pytest
from hypothesis import given
from tokenizers import Tokenizer

from tests.properties.any_text import any_text
from tuning.dataset.tokens import BYTES_PER_TOKEN, count_tokens, have_tokens
from tuning.errors import TuningError

TEXTS = [
    f"How do I read file number {n}?\n\n```python\nwith open('data_{n}.csv') as f:\n    rows = list(f)[:{n * 7}]\n```\n"
    for n in range(120)
]


def test_with_a_tokenizer_the_number_is_exact(tokenizer_folder: Path) -> None:
    tokenizer = Tokenizer.from_file(str(tokenizer_folder / "tokenizer.json"))
    assert count_tokens(TEXTS, tokenizer_folder) == [len(tokenizer.encode(text).ids) for text in TEXTS]
    assert count_tokens([], tokenizer_folder) == []


def test_a_special_token_in_a_post_is_plain_text(tokenizer_folder: Path) -> None:
    assert count_tokens(["<|end|>"], tokenizer_folder)[0] > 1


def test_without_a_tokenizer_the_number_follows_from_the_bytes() -> None:
    assert count_tokens(["x" * 300, "é"], None) == [round(300 / BYTES_PER_TOKEN), 1]


@given(any_text)
def test_no_text_has_more_tokens_than_bytes(tokenizer_folder: Path, text: str) -> None:
    assert count_tokens([text], tokenizer_folder)[0] <= len(text.encode())


def test_texts_have_as_many_tokens_as_are_counted(tokenizer_folder: Path) -> None:
    both = sum(count_tokens(TEXTS[:2], tokenizer_folder))
    assert have_tokens(TEXTS[:2], both, tokenizer_folder)
    assert not have_tokens(TEXTS[:2], both + 1, tokenizer_folder)
    assert have_tokens(["x" * 30], 10, None)
    assert not have_tokens(["x" * 30], 11, None)


def test_texts_with_fewer_bytes_than_the_tokens_are_not_counted(tmp_path: Path) -> None:
    assert not have_tokens(["x" * 300], 301, tmp_path / "absent")
    with pytest.raises(TuningError, match="contains no tokenizer"):
        have_tokens(["x" * 300], 300, tmp_path / "absent")


def test_a_folder_without_a_tokenizer_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(TuningError, match="contains no tokenizer"):
        count_tokens(TEXTS, tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(TuningError, match="is not a valid tokenizer"):
        count_tokens(TEXTS, tmp_path)
