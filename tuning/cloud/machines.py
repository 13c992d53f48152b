"""Choose the machine on Vertex AI that tunes and evaluates, and give its price."""

import math
from typing import NamedTuple

from tuning.errors import TuningError
from tuning.settings import Settings
from tuning.tuners.hf.train.recipe import RECIPES
from tuning.tuners.where import trains_on_vertex

PRICES = "https://cloud.google.com/vertex-ai/pricing"
# Google's name: "unspecified accelerator type, which means no accelerator" (API of Vertex AI, MachineSpec).
NO_ACCELERATOR = "ACCELERATOR_TYPE_UNSPECIFIED"

# GB of memory (https://cloud.google.com/compute/docs/gpus).
_DEVICES = {
    "NVIDIA_TESLA_T4": 16,
    "NVIDIA_TESLA_V100": 16,
    "NVIDIA_L4": 24,
    "NVIDIA_TESLA_A100": 40,
    "NVIDIA_A100_80GB": 80,
    "NVIDIA_H100_80GB": 80,
    "NVIDIA_H200_141GB": 141,
}


class Machine(NamedTuple):
    """Describe the machine of a step as KFP writes it. Vertex AI takes the smallest machine type that has all of it."""

    cpu: str
    memory: str
    accelerator: str
    accelerator_count: str

    @property
    def in_words(self) -> str:
        """Return a description for people."""
        gpus = "" if self.accelerator == NO_ACCELERATOR else f", {self.accelerator_count} {self.accelerator}"
        return f"{self.cpu} CPUs, {self.memory.removesuffix('G')} GB{gpus}"


# That of a step which asks for none, e2-standard-4 (https://cloud.google.com/vertex-ai/docs/pipelines/machine-types).
DEFAULT = Machine("4", "16G", NO_ACCELERATOR, "0")
# The base models with a recipe of their own are small: 20 steps of smollm2 take minutes without a GPU.
_SMALL_MODEL = Machine("8", "32G", NO_ACCELERATOR, "0")
# The size of g2-standard-8 (https://cloud.google.com/compute/docs/gpus#l4-gpus). An L4 has 24 GB and bfloat16.
_OTHER_MODEL = Machine("8", "32G", "NVIDIA_L4", "1")


def machine_of(settings: Settings, tuner: str, base_model: str) -> Machine:
    """Return the machine of the tuning step and of the evaluation steps: what the settings say, else the default.

    Another tuner than hf trains elsewhere, so its steps get Vertex AI's default. Raises TuningError if the settings
    give a number of accelerators but no type.
    """
    if not trains_on_vertex(settings, tuner):
        return DEFAULT  # the local runner ignores it
    default = _SMALL_MODEL if base_model in RECIPES else _OTHER_MODEL
    kind = {"default": default.accelerator, "none": NO_ACCELERATOR}.get(settings.accelerator, settings.accelerator)
    count = settings.accelerator_count or 1
    if kind == NO_ACCELERATOR:
        if settings.accelerator_count:
            raise TuningError("--accelerator-count says how many, but not of which type", "Add --accelerator")
        count = 0
    return Machine(
        str(settings.machine_cpus or default.cpu),
        f"{settings.machine_memory}G" if settings.machine_memory else default.memory,
        kind,
        str(count),
    )


def memory_of(machine: Machine) -> tuple[float, str]:
    """Return the bytes of the device that trains, and its name. GPUs compute in 16 bits, and some CPUs do."""
    if machine.accelerator == NO_ACCELERATOR:
        return int(machine.memory.removesuffix("G")) * 1e9, "machine"
    return _DEVICES[machine.accelerator] * 1e9, machine.accelerator


def price_of(settings: Settings, machine: Machine, seconds: float) -> tuple[float, float, tuple[str, ...]]:
    """Return the dollars and seconds of a tuning on a machine, and notes about them. NaN means unknown.

    `seconds` is the time on two CPU cores, which is an upper bound for a machine without an accelerator, and each of
    several machines costs as much as one for that time. Raises
    TuningError if price or time is not known and a budget is set, because the budget could not be enforced.
    """
    if machine.accelerator != NO_ACCELERATOR:
        seconds = math.nan  # not measured
    unknown = [
        *(["no price is known for it: set TUNING_MACHINE_PRICE, in dollars per hour"] * (not settings.machine_price)),
        *([f"the time of this tuning on {machine.in_words} was not measured"] * math.isnan(seconds)),
    ]
    if settings.budget and unknown:
        raise TuningError(f"the machine cannot be held to a budget ({unknown[0]})", "Correct that, or omit --budget")
    dollars = seconds / 3600 * settings.machine_price * settings.nodes if settings.machine_price else math.nan
    each = " each" if settings.nodes > 1 else ""
    rate = (
        f", {settings.machine_price:g} dollars per hour{each} (TUNING_MACHINE_PRICE)" if settings.machine_price else ""
    )
    rate += ", as a Spot machine, whose price that must be" if rate and settings.spot else ""
    count = f"{settings.nodes} machines" if settings.nodes > 1 else "machine"
    notes = (f"{count}: {machine.in_words}{rate}, without the time of the evaluation ({PRICES})", *unknown)
    return dollars, seconds, notes
