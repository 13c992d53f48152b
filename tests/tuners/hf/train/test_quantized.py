"""An adapter is trained on weights of 4 or 8 bits, and saved for the base model as it is."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests.tuners.tuner_datasets import question
from tuning.command_line.options import TuningOptions
from tuning.dataset.dataset import Dataset
from tuning.errors import TuningError
from tuning.settings import Settings
from tuning.tuners.hf.device import Processor
from tuning.tuners.hf.models.base_models import load_model, load_outline
from tuning.tuners.hf.models.tiny import make_tiny
from tuning.tuners.hf.train import training
from tuning.tuners.hf.train.memory import measure, weights_bytes
from tuning.tuners.hf.train.recipe import Recipe, make_recipe
from tuning.tuners.hf.tuner import HfTuner
from tuning.tuners.options import tuning_settings
from tuning.tuners.protocol import Quantize, TuneOptions

OPTIONS: dict[str, Any] = {"base_model": "tiny", "steps": 6, "batch_size": 4, "lora_rank": 4, "learning_rate": 5e-3}
NAMES = {"4bit": "Params4bit", "8bit": "Int8Params"}


@pytest.fixture(autouse=True)
def in_fp32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tuning.tuners.hf.train.run.find_processor", lambda: Processor("cpu", "fp32", "a processor"))


def weights_of(model: Any) -> dict[str, torch.Tensor]:
    return {name.removeprefix("base_model.model."): weight for name, weight in model.named_parameters()}


@pytest.mark.parametrize("quantize", ["4bit", pytest.param("8bit", marks=pytest.mark.hard)])
def test_only_the_training_is_on_quantized_weights(
    quantize: Quantize, dataset: Dataset, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models, plain = [], training.train

    def seen(*given: Any) -> Any:
        trained = plain(*given)
        models.append(trained.model)
        return trained

    dtypes = set()

    class Watched(training.ProgressLines):
        def on_step_begin(self, *given: Any, model: Any, **more: Any) -> None:
            dtypes.update(weight.dtype for weight in model.parameters() if weight.requires_grad)
            super().on_step_begin(*given, **more)

    monkeypatch.setattr(training, "ProgressLines", Watched)
    monkeypatch.setattr(training, "train", seen)
    tuned = HfTuner().tune(settings, dataset, TuneOptions(**OPTIONS, quantize=quantize), tmp_path / "out")
    base = make_tiny(settings, dataset)
    quantized = weights_of(load_model(base, torch.float32, quantize))
    inside = {name.replace(".base_layer", ""): one for name, one in weights_of(models[0]).items() if "lora" not in name}
    linear = {name for name, weight in inside.items() if type(weight).__name__ == NAMES[quantize]}
    assert linear == {name for name in inside if "_proj" in name}
    assert all(torch.equal(inside[name], quantized[name]) for name in linear)
    assert dtypes == {torch.float32}
    assert tuned.facts["development_loss"] < tuned.facts["development_loss_before"] - 0.3
    assert tuned.facts["trained"] == f"a LoRA adapter of rank 4 on {quantize[0]}-bit weights"
    assert tuned.facts["kernels"] == "default attention"  # no other is for a CPU
    assert tuned.facts["parameters"] == measure(load_outline(base)).parameters + tuned.facts["parameters_trained"]
    assert f"| base quantized in training | {quantize} |" in (tmp_path / "out" / "README.md").read_text()

    before, merged = (load_file(folder / "model.safetensors") for folder in (base, Path(tuned.uri)))
    adapter = load_file(tmp_path / "out" / "adapter" / "adapter_model.safetensors")
    name = "model.layers.0.mlp.up_proj"
    down, up = (adapter[f"base_model.model.{name}.lora_{part}.weight"] for part in "AB")
    change = merged[f"{name}.weight"] - before[f"{name}.weight"]
    torch.testing.assert_close(change, 2 * up @ down, atol=1e-6, rtol=1e-3)  # 2: alpha is twice the rank
    assert change.abs().max() > 1e-3
    assert len(HfTuner().predictor(settings, tuned).generate([question(1)], 8)) == 1


@pytest.mark.parametrize("quantize", ["4bit", "8bit"])
def test_the_gradient_passes_through_the_quantized_weights_after_an_evaluation_too(
    quantize: Quantize, dataset: Dataset, settings: Settings
) -> None:
    from peft import get_peft_model

    gradients = []
    for dequantized in (False, True):
        model = load_model(make_tiny(settings, dataset), torch.float32, quantize)
        if dequantized:
            model.dequantize()
        torch.manual_seed(0)
        model = get_peft_model(model, training._adapter(model, Recipe(lora_rank=4)))
        ids = torch.arange(5, 60).unsqueeze(0)
        with torch.no_grad():
            model.eval()(ids)
        model.train()(ids, labels=ids).loss.backward()
        gradients.append(torch.cat([weight.grad.flatten() for weight in model.parameters() if weight.requires_grad]))
    one, other = gradients
    assert (one - other).norm() < 0.05 * other.norm()  # the products of 8 bits round the inputs too


def test_an_adapter_that_is_trained_further_is_not_rounded(
    dataset: Dataset, settings: Settings, tmp_path: Path
) -> None:
    HfTuner().tune(settings, dataset, TuneOptions(**OPTIONS), tmp_path / "first")
    adapter = tmp_path / "first" / "adapter"
    still = OPTIONS | {"steps": 1, "learning_rate": 1e-12, "lora_rank": 0}
    again = TuneOptions(**still, quantize="4bit", continues="v1", adapter=str(adapter))
    HfTuner().tune(settings, dataset, again, tmp_path / "second")
    before, after = (
        load_file(folder / "adapter_model.safetensors") for folder in (adapter, tmp_path / "second" / "adapter")
    )
    assert all((before[name] - after[name]).abs().max() < 1e-9 for name in before)


def test_the_estimated_bytes_are_those_of_the_weights(dataset: Dataset, settings: Settings) -> None:
    base = make_tiny(settings, dataset)
    shape = measure(load_outline(base))
    for quantize in ("4bit", "8bit"):
        model = load_model(base, torch.float32, quantize)
        measured = sum(weight.nbytes for weight in model.parameters())
        for weight in model.parameters():
            if quantize == "4bit" and hasattr(weight, "quant_state"):
                state = weight.quant_state
                measured += state.absmax.nbytes + state.state2.absmax.nbytes
        recipe = Recipe(lora_rank=1, quantize=quantize)
        adapter = shape.adapted * 16
        assert weights_bytes(shape, recipe, half=False) - adapter == pytest.approx(measured, rel=0.002)


def test_what_cannot_be_quantized_is_one_line_before_anything_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    for options in (TuneOptions(base_model="tiny", quantize="4bit"), TuneOptions(full=True, quantize="8bit")):
        with pytest.raises(TuningError, match=r"--quantize needs an adapter, but all weights are trained"):
            make_recipe(options, preference=False)
    for given, said in (
        (TuningOptions(tuner="gemini", quantize="4bit"), "--quantize is for the tuner hf only"),
        (TuningOptions(tuner="gemini", shard=True), "--shard is for the tuner hf only"),
        (TuningOptions(base_model="some/model", quantize="4bit", shard=True), "Leave out --shard or --quantize"),
    ):
        with pytest.raises(TuningError, match=said):
            tuning_settings(Settings(), given)
    with pytest.raises(TuningError, match=r"\(DPO\) runs on one GPU\. Leave out --shard"):
        make_recipe(TuneOptions(shard=True), preference=True)
    given = TuningOptions(base_model="some/model", quantize="4bit")
    assert tuning_settings(Settings(), given)[1].quantize == "4bit"
    monkeypatch.setattr("tuning.tuners.hf.models.quantized.find_spec", lambda _: None)
    with pytest.raises(TuningError, match=r"needs the package bitsandbytes\. Install it: pip install '\.\[gpu\]'$"):
        tuning_settings(Settings(), given)
    assert tuning_settings(Settings(target="gcp"), given)[1].quantize == "4bit"  # the image has it
