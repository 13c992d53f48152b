"""Packed weights give the same answers, and unpacking gives back the same bits."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from tests.tuners.tuner_datasets import write_dataset
from tuning.dataset.dataset import Dataset
from tuning.dataset.formats.records import Example, Message
from tuning.settings import Settings
from tuning.tuners.hf.answer.packed import pack, packed_layers, unpack
from tuning.tuners.hf.models.base_models import find_base_model


@pytest.fixture(params=[True, False], ids=["tied", "not tied"])
def model(request: pytest.FixtureRequest) -> Any:
    torch.manual_seed(0)
    sizes = {"vocab_size": 60, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "attention_bias": True}
    return LlamaForCausalLM(LlamaConfig(**sizes, **heads, tie_word_embeddings=request.param)).eval()


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (5, 1), (5, 9)])
def test_packed_weights_give_the_same_logits(model: Any, shape: tuple[int, int]) -> None:
    ids = torch.randint(60, shape)
    with torch.inference_mode():
        for last in (0, 1, 3):
            expected = model(ids, logits_to_keep=last).logits
            pack(model)
            assert len(packed_layers(model)) == 15
            torch.testing.assert_close(model(ids, logits_to_keep=last).logits, expected, atol=1e-5, rtol=1e-5)
            unpack(model)
            assert torch.equal(model(ids, logits_to_keep=last).logits, expected)


def test_unpacking_gives_back_the_weights_and_their_ties(model: Any) -> None:
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    tied = model.config.tie_word_embeddings
    pack(model)
    unpack(model)
    after = model.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], weight) for name, weight in before.items())
    assert (model.get_output_embeddings().weight is model.get_input_embeddings().weight) == tied
    model.to(torch.bfloat16)


def test_other_types_of_numbers_are_not_packed(model: Any) -> None:
    pack(model.to(torch.bfloat16))
    assert packed_layers(model) == []


def test_losses_are_the_same_after_answers(settings: Settings, tmp_path: Path) -> None:
    from tuning.tuners.hf.answer.predictor import HfPredictor

    dataset: Dataset = write_dataset(tmp_path / "data")
    predictor = HfPredictor(find_base_model(settings, "tiny", dataset))
    examples = [Example(prompt=[Message("user", "How?")], answer="So, and so.")]
    before = predictor.losses(examples, 64)
    answers = predictor.generate([example.prompt for example in examples], 8)
    assert packed_layers(predictor._model)
    assert predictor.losses(examples, 64) == before
    assert not packed_layers(predictor._model)
    assert predictor.generate([example.prompt for example in examples], 8) == answers
