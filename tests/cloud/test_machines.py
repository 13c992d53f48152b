"""The machine on Vertex AI on which models tune and answer, and what it costs."""

import math
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from tests.cloud.storage.cloud_dataset import make_dataset
from tuning.cloud.estimate import estimate_tuning
from tuning.cloud.machines import DEFAULT, NO_ACCELERATOR, Machine, machine_of, memory_of, price_of
from tuning.errors import TuningError
from tuning.settings import Settings
from tuning.tuners.hf.estimate import check_device
from tuning.tuners.hf.tuner import HfTuner
from tuning.tuners.protocol import TuneOptions
from tuning.values import Accelerator


def machine(settings: Settings, base_model: str = "some/model", tuner: str = "hf", **given: Any) -> Machine:
    return machine_of(msgspec.structs.replace(settings, **given), tuner, base_model)


def test_small_models_get_processors_others_an_accelerator_and_managed_tuning_what_vertex_gives(
    cloud: Settings, settings: Settings
) -> None:
    assert machine(cloud, "smollm2") == Machine("8", "32G", NO_ACCELERATOR, "0")
    assert machine(cloud) == Machine("8", "32G", "NVIDIA_L4", "1")
    assert machine(cloud, "gemini-3.5-flash", "gemini", accelerator="NVIDIA_L4") == DEFAULT
    assert machine(settings, accelerator="NVIDIA_L4") == DEFAULT  # the settings of a team may name one


def test_what_is_given_wins(cloud: Settings) -> None:
    given = {"machine_cpus": 24, "machine_memory": 96, "accelerator": "NVIDIA_A100_80GB", "accelerator_count": 2}
    assert machine(cloud, **given) == Machine("24", "96G", "NVIDIA_A100_80GB", "2")
    assert machine(cloud, **given).in_words == "24 CPUs, 96 GB, 2 NVIDIA_A100_80GB"
    assert machine(cloud, accelerator="none") == Machine("8", "32G", NO_ACCELERATOR, "0")
    assert machine(cloud, "smollm2", accelerator="NVIDIA_TESLA_T4").accelerator_count == "1"
    assert machine(cloud, accelerator_count=4).accelerator_count == "4"


@pytest.mark.parametrize("given", [{"accelerator": "none"}, {"base_model": "smollm2"}])
def test_a_number_of_accelerators_without_a_type_is_refused(cloud: Settings, given: dict[str, str]) -> None:
    with pytest.raises(TuningError, match=r"not of which type\. Add --accelerator"):
        machine(cloud, accelerator_count=2, **given)


def test_an_hour_costs_what_the_setting_says_and_what_is_unknown_is_said(cloud: Settings) -> None:
    slow, fast = Machine("8", "32G", NO_ACCELERATOR, "0"), Machine("8", "32G", "NVIDIA_L4", "1")
    priced = msgspec.structs.replace(cloud, machine_price=0.5)
    dollars, seconds, notes = price_of(priced, slow, 7200.0)
    assert (dollars, seconds, len(notes)) == (1.0, 7200.0, 1)
    assert "0.5 dollars per hour (TUNING_MACHINE_PRICE)" in notes[0]
    for settings, asked, said in ((cloud, slow, "set TUNING_MACHINE_PRICE"), (priced, fast, "was not measured")):
        dollars, _, notes = price_of(settings, asked, 7200.0)
        assert math.isnan(dollars)
        assert said in notes[-1]
        with pytest.raises(TuningError, match=f"cannot be held to a budget .*{said}"):
            price_of(msgspec.structs.replace(settings, budget=5.0), asked, 7200.0)


def test_a_model_that_cannot_fit_on_the_machine_is_refused(cloud: Settings, tmp_path: Path) -> None:
    from transformers import LlamaConfig

    # Two layers with 13 billion parameters. The other files are there, but nothing reads them.
    LlamaConfig(
        vocab_size=1000, hidden_size=32_768, intermediate_size=32_768, num_hidden_layers=2, num_attention_heads=64
    ).save_pretrained(tmp_path / "large")
    for name in ("tokenizer.json", "model.safetensors"):
        (tmp_path / "large" / name).touch()
    dataset, options = make_dataset(cloud, "messages"), TuneOptions(base_model=str(tmp_path / "large"))
    large = machine(cloud, accelerator="NVIDIA_TESLA_A100")
    (note,) = check_device(cloud, dataset, options, *memory_of(large))
    assert note.startswith("memory: more than 30.")
    assert "on each NVIDIA_TESLA_A100, which has 40.0 GB" in note
    several = memory_of(machine(cloud, accelerator="NVIDIA_A100_80GB"))
    full = TuneOptions(base_model=options.base_model, full=True)
    (note,) = check_device(cloud, dataset, full, *several, (4, 2))
    assert "GB for weights, gradients and optimizer, shared among 8 GPUs on each NVIDIA_A100_80GB" in note
    with pytest.raises(TuningError, match="training all weights"):
        check_device(cloud, dataset, full, *several, (2, 1))
    for accelerator, has in (("NVIDIA_L4", "24"), ("NVIDIA_TESLA_T4", "16")):
        with pytest.raises(
            TuningError, match=rf"needs more than 30\.\d GB of memory, and the {accelerator} has {has}\.0 GB"
        ):
            check_device(cloud, dataset, options, *memory_of(machine(cloud, accelerator=accelerator)))
    assert check_device(cloud, dataset, options, *memory_of(machine(cloud, "smollm2")))
    with pytest.raises(TuningError, match=r"needs more than .* GB of memory, and the machine has 30\.0 GB"):
        check_device(cloud, dataset, options, *memory_of(machine(cloud, "smollm2", machine_memory=30)))
    for kind in get_args(Accelerator):
        if kind not in ("default", "none"):
            assert memory_of(machine(cloud, accelerator=kind))[0] >= 16e9


def test_a_model_that_needs_a_login_is_refused_on_vertex_ai(cloud: Settings) -> None:
    dataset, options = make_dataset(cloud, "messages"), TuneOptions(base_model="google/gemma-3-1b-it")
    with pytest.raises(TuningError, match="asks for a login on the hub, which the steps on Vertex AI do not have"):
        estimate_tuning(cloud, dataset, HfTuner(), options)


def test_the_estimate_and_the_budget_of_a_job_count_its_machine(cloud: Settings) -> None:
    dataset = make_dataset(cloud, "messages")
    options = TuneOptions(base_model="smollm2")
    settings = msgspec.structs.replace(cloud, machine_price=2.0)
    cost = estimate_tuning(settings, dataset, HfTuner(), options)
    assert cost.dollars == pytest.approx(cost.seconds / 1800)
    assert cost.notes[-1].startswith("machine: 8 CPUs, 32 GB, 2 dollars per hour")
    assert math.isnan(estimate_tuning(cloud, dataset, HfTuner(), options).dollars)
    two = estimate_tuning(msgspec.structs.replace(settings, nodes=2), dataset, HfTuner(), options)
    assert (two.dollars, two.seconds) == (2 * cost.dollars, cost.seconds)
    assert two.notes[-1].startswith("2 machines: 8 CPUs, 32 GB, 2 dollars per hour each")
    with pytest.raises(TuningError, match=r"a batch of 4 cannot be divided among 3 machines"):
        estimate_tuning(msgspec.structs.replace(settings, nodes=3), dataset, HfTuner(), options)
    here = msgspec.structs.replace(settings, target="local", vertex_endpoint="")
    assert estimate_tuning(here, dataset, HfTuner(), options).dollars == 0
