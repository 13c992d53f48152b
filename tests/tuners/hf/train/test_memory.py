"""The estimated memory of a training is near the measured one."""

import json
import subprocess
import sys
from pathlib import Path

import msgspec
import psutil
import pytest

from tests.tuners.hf.train.peak_memory import SIZES
from tuning.dataset.dataset import Dataset
from tuning.errors import TuningError
from tuning.settings import PROJECT_ROOT, Settings
from tuning.tuners.hf.device import Processor
from tuning.tuners.hf.train.memory import Shape, check_device_memory, check_memory, weights_bytes
from tuning.tuners.hf.train.recipe import Recipe
from tuning.tuners.hf.tuner import HfTuner
from tuning.tuners.protocol import TuneOptions

ONE = ("32 M", 8)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("size", "rank"),
    [
        pytest.param(size, rank, marks=[] if (size, rank) == ONE else pytest.mark.hard)
        for size in SIZES
        for rank in (0, 8)
        if (size, rank) != ("135 M", 0)  # takes minutes
    ],
)
def test_the_estimate_is_within_15_percent_of_the_measured_peak(size: str, rank: int, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.tuners.hf.train.peak_memory", size, str(rank)]
    done = subprocess.run(command, cwd=PROJECT_ROOT, capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0, done.stderr
    measured, estimated = json.loads(done.stdout.splitlines()[-1])
    print(f"{size}, rank {rank}: measured {measured / 1e6:,.0f} MB, estimated {estimated / 1e6:,.0f} MB")
    assert estimated == pytest.approx(measured, rel=0.15)


LARGE = Shape(parameters=10**9, linear=8 * 10**8, adapted=10**5, layers=16, width=2048, inner=8192, vocabulary=10**5)
CPU = Processor("cpu", "fp32", "a processor")


def test_all_weights_take_sixteen_bytes_each_and_an_adapter_little_more_than_the_base() -> None:
    assert weights_bytes(LARGE, Recipe(lora_rank=0), half=True) == 16e9
    assert weights_bytes(LARGE, Recipe(lora_rank=10), half=False) == 4e9 + 10 * 10**5 * 16
    assert weights_bytes(LARGE, Recipe(lora_rank=10, lora_share=0.5), half=True) == 2e9 + 5 * 10**5 * 16


def test_four_bits_take_half_a_byte_and_their_scales_but_embeddings_stay_as_they_are() -> None:
    adapter = 10 * 10**5 * 16
    for quantize, bytes_ in (("4bit", 4.127 / 8), ("8bit", 1)):  # 0.127: section 3 of the paper on QLoRA
        needed = weights_bytes(LARGE, Recipe(lora_rank=10, quantize=quantize), half=True)
        assert needed == pytest.approx(0.2e9 * 2 + 0.8e9 * bytes_ + adapter, rel=1e-4)


def test_what_cannot_fit_is_refused_and_processes_on_one_machine_share_it(monkeypatch: pytest.MonkeyPatch) -> None:
    free = psutil.virtual_memory()._replace(available=5 * 10**9)
    monkeypatch.setattr("psutil.virtual_memory", lambda: free)
    check_memory(LARGE, Recipe(), CPU, 1)
    for recipe, processes in ((Recipe(lora_rank=0), 1), (Recipe(), 2)):
        with pytest.raises(TuningError, match=r"of 1\.00 billion needs more than .* this machine has free 5\.0 GB"):
            check_memory(LARGE, recipe, CPU, processes)
    quantized = Recipe(quantize="4bit")
    check_memory(LARGE, quantized, CPU, 3)
    monkeypatch.setattr("psutil.virtual_memory", lambda: free._replace(available=3 * 10**9))
    with pytest.raises(TuningError, match=r"answering with the whole model of 1\.00 billion needs more than 4\.0 GB"):
        check_memory(LARGE, quantized, CPU, 1)


def test_gpus_share_the_weights_if_the_training_fits_them_only_together(monkeypatch: pytest.MonkeyPatch) -> None:
    full, adapter = Recipe(lora_rank=0), Recipe()  # 16 GB and 2 GB

    def shared(recipe: Recipe, gpus: int, there: float = 10e9) -> bool:
        return check_device_memory(LARGE, recipe, True, there, "the GPU has", gpus)

    assert [shared(full, gpus) for gpus in (2, 8)] == [True, True]
    assert not shared(full, 1, there=17e9)
    assert not shared(adapter, 8)
    assert shared(msgspec.structs.replace(adapter, shard=True), 8)
    for gpus, there in ((1, 10e9), (2, 7e9)):
        with pytest.raises(TuningError, match=r"training all weights of 1\.00 billion needs more than (16|8)\.0 GB"):
            shared(full, gpus, there)
    with pytest.raises(TuningError, match=r"answering with the whole model .* than 4\.0 GB"):  # in fp32
        shared(full, 8, there=3e9)
    with pytest.raises(TuningError, match="training a LoRA adapter of rank 16 on 4-bit weights"):
        shared(Recipe(quantize="4bit"), 8, there=0.5e9)
    with pytest.raises(TuningError, match="--shard shares the weights among several GPUs, and one trains"):
        shared(Recipe(shard=True), 1)
    with pytest.raises(TuningError, match="--shard shares the weights among several GPUs of CUDA, and there is none"):
        check_memory(LARGE, Recipe(shard=True), CPU, 2, 2)


def test_a_tuning_that_cannot_fit_ends_before_the_weights_are_read(
    dataset: Dataset, local_model: Path, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = psutil.virtual_memory()._replace(available=10**5)
    monkeypatch.setattr("psutil.virtual_memory", lambda: free)
    with pytest.raises(TuningError, match=r"needs more than 0\.0 GB of memory"):
        HfTuner().tune(settings, dataset, TuneOptions(base_model=str(local_model)), tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_an_estimate_says_the_memory_of_a_model_that_is_here(
    dataset: Dataset, local_model: Path, settings: Settings
) -> None:
    notes = HfTuner().estimate(settings, dataset, TuneOptions(base_model=str(local_model))).notes
    assert notes[1].startswith("memory: at most about 0.")
    options = TuneOptions(base_model=str(local_model), quantize="4bit")
    notes = HfTuner().estimate(settings, dataset, options).notes
    assert notes[1].startswith("memory: more than 0.0 GB")
    assert notes[2] == "only the training uses 4-bit weights: the weights that answer need 0.0 GB"
    assert not any("memory" in note for note in HfTuner().estimate(settings, dataset, TuneOptions()).notes)
