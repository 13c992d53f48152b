"""Faster kernels are used where their packages are installed and fit GPU, model and data type.

No test runs them: they need a GPU.
"""

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from tuning.dataset.dataset import Dataset
from tuning.settings import Settings
from tuning.tuners.hf.device import DEFAULT_KERNELS, Kernels, Processor, apply_liger, find_kernels
from tuning.tuners.hf.models.base_models import load_outline
from tuning.tuners.hf.models.tiny import make_tiny
from tuning.tuners.hf.train import training
from tuning.tuners.hf.train.recipe import Recipe
from tuning.tuners.hf.tuner import HfTuner
from tuning.tuners.protocol import TuneOptions

GPU = Processor("cuda", "bf16", "NVIDIA H100 80GB HBM3")


@pytest.fixture
def outline(dataset: Dataset, settings: Settings) -> Any:
    return load_outline(make_tiny(settings, dataset))


def install(monkeypatch: pytest.MonkeyPatch, *names: str, generation: int = 9) -> list[Any]:
    """Plant the packages, and return what Liger's function is called with."""
    calls: list[Any] = []
    for name in ("flash_attn_2", "flash_attn_3", "liger_kernel"):
        for module in ("transformers.utils", "transformers.integrations.liger"):
            monkeypatch.setattr(f"{module}.is_{name}_available", lambda found=name in names: found, raising=False)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (generation, 0))
    planted, patches = ModuleType("liger_kernel.transformers"), ModuleType("liger_kernel.transformers.monkey_patch")
    planted._apply_liger_kernel_to_instance = lambda **given: calls.append(given)  # type: ignore[attr-defined]
    patches.MODEL_TYPE_TO_APPLY_LIGER_FN = {"llama": None}  # type: ignore[attr-defined]
    for one in (ModuleType("liger_kernel"), planted, patches):
        monkeypatch.setitem(sys.modules, one.__name__, one)
    return calls


@pytest.mark.parametrize(
    ("names", "generation", "expected"),
    [
        ((), 9, ""),
        (("flash_attn_2",), 7, ""),
        (("flash_attn_2",), 8, "flash_attention_2"),
        (("flash_attn_2", "flash_attn_3"), 8, "flash_attention_2"),
        (("flash_attn_2", "flash_attn_3"), 9, "flash_attention_3"),
        (("flash_attn_3",), 10, ""),
        (("flash_attn_2", "flash_attn_3"), 10, "flash_attention_2"),
    ],
)
def test_flash_attention_is_used_where_it_is_installed_and_fits_the_gpu(
    names: tuple[str, ...], generation: int, expected: str, outline: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch, *names, generation=generation)
    assert find_kernels(GPU, outline, full=False) == Kernels(expected)


def test_flash_attention_needs_sixteen_bits_and_a_model_that_has_it(
    outline: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch, "flash_attn_2", "liger_kernel")
    assert find_kernels(GPU, outline, full=False) == Kernels("flash_attention_2", liger=True)
    assert find_kernels(GPU, outline, full=True) == Kernels(liger=True)
    assert find_kernels(GPU._replace(precision="fp16"), outline, full=False) == Kernels("flash_attention_2", liger=True)
    assert find_kernels(GPU._replace(precision="fp32"), outline, full=False) == Kernels(liger=True)
    assert find_kernels(Processor("cpu", "bf16", "a processor"), outline, full=False) == DEFAULT_KERNELS
    monkeypatch.setattr(outline.config, "model_type", "unheard_of")
    assert find_kernels(GPU, outline, full=False) == Kernels("flash_attention_2")
    monkeypatch.setattr(outline.config, "head_dim", 512)
    assert find_kernels(GPU, outline, full=False) == DEFAULT_KERNELS
    monkeypatch.setattr(outline.config, "head_dim", 64)
    monkeypatch.setattr(type(outline), "_supports_flash_attn", False)
    assert find_kernels(GPU, outline, full=False) == DEFAULT_KERNELS


def test_of_liger_everything_but_the_loss_is_used(outline: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = install(monkeypatch, "liger_kernel")
    apply_liger(outline)
    assert calls == [{"model": outline, "cross_entropy": False, "fused_linear_cross_entropy": False}]


def test_what_is_used_is_printed_and_reaches_the_model(
    dataset: Dataset,
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    install(monkeypatch, "flash_attn_3", "liger_kernel")
    monkeypatch.setattr("tuning.tuners.hf.train.run.find_processor", lambda: GPU)
    monkeypatch.setattr("tuning.tuners.hf.train.run.check_memory", lambda *_: None)
    loaded: list[Any] = []

    def stop(*given: Any) -> None:
        loaded.append(given[1:])
        raise KeyboardInterrupt

    monkeypatch.setattr("tuning.tuners.hf.models.base_models.load_model", stop)
    with pytest.raises(KeyboardInterrupt):
        HfTuner().tune(settings, dataset, TuneOptions(base_model="tiny", lora_rank=4), tmp_path / "out")
    said = "training on NVIDIA H100 80GB HBM3 in bf16 with flash_attention_3, Liger kernels\n"
    assert said in capsys.readouterr().out
    assert loaded == [(torch.bfloat16, "", "flash_attention_3")]


def test_liger_changes_the_model_that_is_trained(outline: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = install(monkeypatch, "liger_kernel")
    monkeypatch.setattr("tuning.tuners.hf.models.base_models.load_model", lambda *_: outline)
    for kernels, count in ((DEFAULT_KERNELS, 0), (Kernels(liger=True), 1)):
        assert training.training_model(tmp_path, Recipe(), GPU, None, kernels) is outline
        assert len(calls) == count
