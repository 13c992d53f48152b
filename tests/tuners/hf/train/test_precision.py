"""Each processor gets the precision that it is fast in, and a training in fp16 scales its gradients.

There is no GPU in the tests, so what torch says about one is planted, and fp16 runs on a CPU with Accelerate's scaler.
"""

import math
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from safetensors.torch import load_file

from tests.tuners.tuner_datasets import write_dataset
from tuning.dataset.dataset import Dataset
from tuning.dataset.formats.records import Format
from tuning.errors import TuningError
from tuning.findings import Finding
from tuning.monitoring import doctor
from tuning.settings import Settings
from tuning.tuners.hf.answer.batching import generate
from tuning.tuners.hf.answer.scoring import example_losses
from tuning.tuners.hf.device import (
    EXACT,
    EXACT_ON_CUDA,
    Precision,
    Processor,
    evaluation_dtype,
    find_processor,
)
from tuning.tuners.hf.models.base_models import load_model
from tuning.tuners.hf.models.quantized import quantization
from tuning.tuners.hf.train import training
from tuning.tuners.hf.train.memory import Shape, check_memory
from tuning.tuners.hf.train.recipe import Recipe
from tuning.tuners.hf.tuner import HfTuner
from tuning.tuners.protocol import TuneOptions

T4 = Processor("cuda", "fp16", "Tesla T4")
MAC = Processor("mps", "bf16", "Apple M2")
CPU_IN_FP16 = Processor("cpu", "fp16", "a processor")
OPTIONS: dict[str, Any] = {"steps": 12, "batch_size": 1, "max_length": 160, "learning_rate": 5e-3}


@pytest.mark.parametrize(
    ("gpu", "has_bfloat16", "macos", "expected"),
    [
        ("cuda", True, 0, ("cuda", "bf16", "a GPU")),
        ("cuda", False, 0, ("cuda", "fp16", "a GPU")),
        ("cuda", False, 14, ("cuda", "fp16", "a GPU")),  # CUDA first
        ("", False, 14, ("mps", "bf16", "Apple M2")),
        ("", False, 13, ("mps", "fp32", "Apple M2")),
    ],
)
def test_the_first_gpu_is_found_with_its_precision(
    gpu: str, has_bfloat16: bool, macos: int, expected: tuple[str, str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def has(including_emulation: bool = True) -> bool:
        return has_bfloat16 or including_emulation

    monkeypatch.setattr(torch.cuda, "is_available", lambda: bool(gpu))
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", has)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "a GPU")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: macos > 0)
    monkeypatch.setattr(torch.backends.mps, "is_macos_or_newer", lambda major, _: macos >= major)
    monkeypatch.setattr(torch.backends.mps, "get_name", lambda: "Apple M2")
    assert find_processor() == expected


@pytest.mark.parametrize(("native", "precision"), [(True, "bf16"), (False, "fp32")])
def test_a_cpu_uses_bfloat16_only_where_it_is_native(
    native: bool, precision: Precision, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(
        torch.cpu, "get_capabilities", lambda: {"amx_bf16": native, "avx512_bf16": True, "cpu_name": "Xeon"}
    )
    assert find_processor() == ("cpu", precision, "Xeon, CPU")


def test_losses_and_answers_are_in_that_precision_but_those_of_small_models_are_exact() -> None:
    assert evaluation_dtype(T4, EXACT_ON_CUDA) == torch.float32
    assert evaluation_dtype(T4, EXACT_ON_CUDA + 1) == torch.float16
    assert evaluation_dtype(Processor("cuda", "bf16", "H100"), EXACT_ON_CUDA + 1) == torch.bfloat16
    assert evaluation_dtype(MAC, EXACT) == evaluation_dtype(Processor("cpu", "bf16", ""), EXACT) == torch.float32
    assert evaluation_dtype(MAC, EXACT + 1) == torch.bfloat16


@pytest.mark.parametrize(
    ("processor", "full", "expected"),
    [
        (T4, False, torch.float16),
        (T4, True, torch.float32),
        (MAC, False, torch.bfloat16),
        (Processor("cpu", "fp32", "a processor"), False, torch.float32),
    ],
)
def test_the_base_has_the_precision_unless_its_own_weights_are_trained(
    processor: Processor, full: bool, expected: torch.dtype, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[Any] = []
    monkeypatch.setattr("tuning.tuners.hf.models.base_models.load_model", lambda *given: loaded.append(given))
    training.training_model(tmp_path, Recipe(lora_rank=0 if full else 4), processor)
    assert loaded == [(tmp_path, expected, "", "")]
    assert quantization("4bit", processor.dtype).bnb_4bit_compute_dtype == processor.dtype


@pytest.mark.parametrize(
    ("processor", "bf16", "fp16", "checkpointing"),
    [(T4, False, True, True), (MAC, True, False, True), (Processor("cpu", "bf16", ""), False, False, False)],
)
def test_the_trainer_gets_the_precision(
    processor: Processor, bf16: bool, fp16: bool, checkpointing: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("transformers.training_args.is_torch_bf16_gpu_available", lambda: True)
    arguments = training._arguments(Recipe(), processor, 1, tmp_path, False, False, 1)
    assert (arguments.bf16, arguments.fp16, arguments.activation_checkpointing) == (bf16, fp16, checkpointing)
    assert arguments.dataloader_pin_memory == (processor.device == "cuda")
    assert arguments.use_cpu == (processor.device == "cpu")


def test_shared_weights_are_computed_in_fp16_and_their_gradients_added_in_fp32(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ACCELERATE_USE_FSDP", raising=False)
    arguments = training._arguments(Recipe(shard=True), T4, 1, tmp_path, False, False, 1)
    policy = arguments.fsdp_plugin_args["mixed_precision_policy"]
    assert (policy.param_dtype, policy.reduce_dtype) == (torch.float16, torch.float32)


@pytest.fixture
def scaling(monkeypatch: pytest.MonkeyPatch) -> list[torch.amp.GradScaler]:
    """Make Accelerate do on a CPU what it does on a GPU, with a scale that is too large, and return the scalers."""
    scalers: list[torch.amp.GradScaler] = []
    plain = Accelerator.__init__

    def planted(self: Any, *given: Any, **more: Any) -> None:
        plain(self, *given, **more)
        assert self.state.mixed_precision == "fp16"
        self.native_amp, self.scaler = True, torch.amp.GradScaler("cpu", init_scale=2.0**26)
        scalers.append(self.scaler)

    monkeypatch.setattr(Accelerator, "__init__", planted)
    monkeypatch.setattr("tuning.tuners.hf.train.run.find_processor", lambda: CPU_IN_FP16)
    return scalers


@pytest.mark.parametrize("rank", [0, 4])
def test_a_training_in_fp16_scales_its_gradients_and_says_which_steps_it_skipped(
    rank: int,
    scaling: list[torch.amp.GradScaler],
    dataset: Dataset,
    local_model: Path,
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    dtypes, products = set(), set()

    class Watched(training.ProgressLines):
        def on_step_begin(self, *given: Any, model: Any, **more: Any) -> None:
            dtypes.update((weight.dtype, weight.requires_grad) for weight in model.parameters())
            for module in model.modules():
                if isinstance(module, torch.nn.Linear) and "watched" not in vars(module):
                    module.register_forward_hook(lambda _, __, output: products.add(output.dtype))
                    module.watched = True
            super().on_step_begin(*given, **more)

    monkeypatch.setattr(training, "ProgressLines", Watched)
    tuned = HfTuner().tune(
        settings,
        dataset,
        TuneOptions(base_model=str(local_model), **OPTIONS, lora_rank=rank, full=not rank),
        tmp_path / "out",
    )
    assert dtypes == ({(torch.float16, False), (torch.float32, True)} if rank else {(torch.float32, True)})
    assert products == {torch.float16}
    (scaler,) = scaling
    skipped = tuned.facts["steps_skipped"]
    assert 0 < skipped < OPTIONS["steps"]
    assert scaler.get_scale() == 2.0**26 / 2**skipped
    assert f"{skipped} steps changed no weight, because gradients overflowed in fp16\n" in capsys.readouterr().out
    assert tuned.facts["steps"] == OPTIONS["steps"]
    assert tuned.facts["rows_used"] == OPTIONS["steps"] * OPTIONS["batch_size"]
    assert tuned.facts["development_loss"] < tuned.facts["development_loss_before"] - 0.03
    (weights,) = tmp_path.glob("out/merged/*.safetensors")
    assert all(weight.isfinite().all() for weight in load_file(weights).values())


@pytest.mark.parametrize("format_", ["messages", "trl-preference"])
def test_a_training_in_fp16_that_was_killed_goes_on_with_its_scale_and_ends_as_an_unbroken_one(
    format_: Format,
    scaling: list[torch.amp.GradScaler],
    local_model: Path,
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = write_dataset(tmp_path / "dataset", format_)
    options = TuneOptions(base_model=str(local_model), **OPTIONS, lora_rank=4)

    class Killed(training.ProgressLines):
        def on_step_begin(self, *given: Any, **more: Any) -> None:
            super().on_step_begin(*given, **more)
            if given[1].global_step == 9:
                raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(training, "ProgressLines", Killed)
        with pytest.raises(KeyboardInterrupt):
            HfTuner().tune(settings, made, options, tmp_path / "killed")
    resumed = HfTuner().tune(settings, made, options, tmp_path / "killed")
    unbroken = HfTuner().tune(settings, made, options, tmp_path / "unbroken")
    assert resumed.facts["resumed_from_step"] == 8
    skipped = unbroken.facts["steps_skipped"]
    assert 0 < skipped < OPTIONS["steps"]
    assert resumed.facts["steps_skipped"] == skipped
    _, *scales = (scaler.get_scale() for scaler in scaling)
    assert scales == [2.0**26 / 2**skipped] * 2
    weights = [load_file(tmp_path / name / "merged" / "model.safetensors") for name in ("killed", "unbroken")]
    assert all(torch.equal(weight, weights[1][name]) for name, weight in weights[0].items())
    before = load_file(local_model / "model.safetensors")
    assert any(not torch.equal(weight, before[name]) for name, weight in weights[0].items())
    assert all(weight.isfinite().all() for weight in weights[0].values())


@pytest.fixture
def overflowing(local_model: Path, tmp_path: Path) -> Path:
    """A model whose numbers fit in bfloat16 but not in fp16."""
    folder = tmp_path / "overflowing"
    shutil.copytree(local_model, folder)
    model = load_model(folder, torch.float32)
    with torch.no_grad():
        model.model.layers[0].mlp.down_proj.weight.mul_(1e8)
    model.save_pretrained(folder)
    return folder


def test_a_model_that_overflows_in_fp16_is_one_line_in_training_scoring_and_answering(
    overflowing: Path,
    scaling: list[torch.amp.GradScaler],
    dataset: Dataset,
    settings: Settings,
    tmp_path: Path,
) -> None:
    said = r"numbers of this model overflow in fp16, the precision of this GPU\. Use a GPU with bfloat16"
    model = load_model(overflowing, torch.float16)
    ids = list(range(5, 20))
    with pytest.raises(TuningError, match=said):
        example_losses(model, [(ids, 5)])
    with pytest.raises(TuningError, match=said):
        list(generate(model, [ids], 4, {0}))
    assert torch.isfinite(torch.tensor(example_losses(load_model(overflowing, torch.float32), [(ids, 5)])[0][0]))
    options = OPTIONS | {"base_model": str(overflowing)}
    for name, given in (("adapter", {"lora_rank": 4}), ("full", {"full": True})):
        with pytest.raises(TuningError, match=said):
            HfTuner().tune(settings, dataset, TuneOptions(**options, **given), tmp_path / name)
    assert len(scaling) == 2


def test_the_time_on_the_gpu_of_apple_is_unknown_and_doctor_names_its_precision(
    dataset: Dataset, local_model: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tuning.tuners.hf.device.find_processor", lambda: MAC)
    assert list(doctor._gpu()) == [Finding("right", "the GPU: models run on Apple M2 in bf16")]
    monkeypatch.setattr("tuning.tuners.hf.estimate.find_processor", lambda: MAC)
    estimate = HfTuner().estimate(settings, dataset, TuneOptions(base_model=str(local_model)))
    assert math.isnan(estimate.seconds)
    assert estimate.notes[1].startswith("memory: more than 0.")


def test_the_gpu_of_apple_trains_in_one_process_within_the_free_memory_of_the_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    large = Shape(10**9, linear=8 * 10**8, adapted=10**5, layers=16, width=2048, inner=8192, vocabulary=10**5)
    free = {"available": 3e9}
    monkeypatch.setattr("psutil.virtual_memory", lambda: type("memory", (), free))
    assert not check_memory(large, Recipe(), MAC, 1)
    with pytest.raises(TuningError, match=r"needs more than 4\.\d GB of memory, and this machine has free 3\.0 GB"):
        check_memory(large, Recipe(), MAC._replace(precision="fp32"), 1)
    for recipe, processes, said in (
        (Recipe(), 2, r"2 processes were started, and Apple M2 trains in one\. Start one"),
        (Recipe(quantize="8bit"), 1, "--quantize needs a GPU of CUDA or a CPU, not Apple M2"),
        (Recipe(shard=True), 1, "--shard shares the weights among several GPUs of CUDA, and there is none"),
    ):
        with pytest.raises(TuningError, match=said):
            check_memory(large, recipe, MAC, processes)
