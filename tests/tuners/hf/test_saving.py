"""A saved model is the base plus a share of the trained change."""

from pathlib import Path
from typing import Any

import pytest
import torch

from tuning.tuners.hf.models.base_models import load_model, load_tokenizer
from tuning.tuners.hf.train.saving import save_adapter, save_full

State = dict[str, torch.Tensor]


def adapted(base: Path) -> Any:
    """The base with an adapter of random weights."""
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(1)
    config = LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj", "down_proj"], init_lora_weights=False)
    return get_peft_model(load_model(base, torch.float32), config)


def moved(base: Path) -> Any:
    """The base with other values in all weights."""
    torch.manual_seed(2)
    model = load_model(base, torch.float32)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn_like(weight) / 10)
    return model


def state(folder: Path) -> State:
    return dict(load_model(folder, torch.float32).state_dict())


def changes(one: State, other: State) -> State:
    assert one.keys() == other.keys()
    return {name: other[name] - one[name] for name in one if not torch.equal(one[name], other[name])}


def assert_same(one: State, other: State) -> None:
    assert one.keys() == other.keys()
    for name, weights in one.items():
        torch.testing.assert_close(weights, other[name], atol=1e-6, rtol=1e-5, msg=name)


@pytest.mark.parametrize(
    ("save", "make"),
    [
        pytest.param(save_adapter, adapted, id="adapter"),
        pytest.param(save_full, moved, id="full"),
    ],
)
def test_half_a_step_gives_the_base_and_half_of_the_change(
    local_model: Path, tmp_path: Path, save: Any, make: Any
) -> None:
    tokenizer = load_tokenizer(local_model)
    for step_size in (1.0, 0.5):
        save(make(local_model), tokenizer, local_model, tmp_path / str(step_size), step_size)
    base, whole, half = (
        state(folder) for folder in (local_model, tmp_path / "1.0" / "merged", tmp_path / "0.5" / "merged")
    )
    change = changes(base, whole)
    assert len(change) == (2 * 3 if save is save_adapter else len(base))
    assert max(float(difference.abs().max()) for difference in change.values()) > 0.01
    assert_same({name: 0.5 * difference for name, difference in change.items()}, changes(base, half))


def test_the_saved_adapter_gives_the_same_as_the_merged_model(local_model: Path, tmp_path: Path) -> None:
    from peft import PeftModel

    save_adapter(adapted(local_model), load_tokenizer(local_model), local_model, tmp_path, 0.5)
    merged = load_model(tmp_path / "merged", torch.float32)
    on_base = PeftModel.from_pretrained(load_model(local_model, torch.float32), str(tmp_path / "adapter"))
    ids = torch.arange(5, 60).unsqueeze(0)
    with torch.no_grad():
        torch.testing.assert_close(merged(ids).logits, on_base(ids).logits, atol=1e-4, rtol=1e-4)


def test_a_whole_step_gives_the_weights_as_they_were_trained(local_model: Path, tmp_path: Path) -> None:
    model = moved(local_model)
    trained = {name: weight.clone() for name, weight in model.state_dict().items()}
    save_full(model, load_tokenizer(local_model), local_model, tmp_path, 1.0)
    assert_same(trained, state(tmp_path / "merged"))
