"""A small dataset and a small local model, made once for all tests of the tuners."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tuners.threads import one_thread
from tests.tuners.tuner_datasets import write_dataset
from tuning.dataset.dataset import Dataset
from tuning.settings import Settings
from tuning.tuners.hf.models.base_models import load_tokenizer
from tuning.tuners.hf.models.tiny import make_tiny


@pytest.fixture(autouse=True)
def on_one_thread(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # for processes that a test starts
    with one_thread():
        yield


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return write_dataset(tmp_path_factory.mktemp("datasets") / "invented")


@pytest.fixture(scope="session")
def local_model(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with model and tokenizer, as a user names it with --base-model: 120,000 random weights."""
    tokenizer = load_tokenizer(make_tiny(Settings(home=tmp_path_factory.mktemp("home")), dataset))
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=160,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        tie_word_embeddings=True,
    )
    folder = tmp_path_factory.mktemp("local-model")
    torch.manual_seed(0)
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
