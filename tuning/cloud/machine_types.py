"""Name the machine types of Vertex AI's custom training, by what they have.

A pipeline's step asks for CPUs, memory and accelerators, and Vertex AI chooses the machine type. A CustomJob names it.
Source: https://cloud.google.com/vertex-ai/docs/training/configure-compute and
https://cloud.google.com/compute/docs/machine-resource
"""

from typing import NamedTuple

from tuning.cloud.machines import NO_ACCELERATOR, Machine
from tuning.errors import TuningError


class MachineType(NamedTuple):
    """Describe a machine type: CPUs, GB of memory, and the accelerators that are part of it or that it can have."""

    name: str
    cpus: int
    memory: float
    accelerator: str
    counts: tuple[int, ...]


_N1 = [
    (f"n1-{kind}-{cpus}", cpus, cpus * each)
    for kind, each in (("standard", 3.75), ("highmem", 6.5))
    for cpus in (4, 8, 16, 32, 64, 96)
]
_TYPES = (
    *(MachineType(f"e2-standard-{cpus}", cpus, cpus * 4, NO_ACCELERATOR, (0,)) for cpus in (4, 8, 16, 32)),
    *(MachineType(*size, NO_ACCELERATOR, (0,)) for size in _N1),
    *(MachineType(*size, "NVIDIA_TESLA_T4", (1, 2, 4)) for size in _N1),
    *(MachineType(*size, "NVIDIA_TESLA_V100", (1, 2, 4, 8)) for size in _N1),
    *(
        MachineType(f"g2-standard-{cpus}", cpus, cpus * 4, "NVIDIA_L4", (gpus,))
        for cpus, gpus in ((4, 1), (8, 1), (12, 1), (16, 1), (32, 1), (24, 2), (48, 4), (96, 8))
    ),
    *(MachineType(f"a2-highgpu-{gpus}g", gpus * 12, gpus * 85, "NVIDIA_TESLA_A100", (gpus,)) for gpus in (1, 2, 4, 8)),
    MachineType("a2-megagpu-16g", 96, 1360, "NVIDIA_TESLA_A100", (16,)),
    *(MachineType(f"a2-ultragpu-{gpus}g", gpus * 12, gpus * 170, "NVIDIA_A100_80GB", (gpus,)) for gpus in (1, 2, 4, 8)),
    *(MachineType(f"a3-highgpu-{gpus}g", gpus * 26, gpus * 234, "NVIDIA_H100_80GB", (gpus,)) for gpus in (1, 2, 4, 8)),
    MachineType("a3-ultragpu-8g", 224, 2952, "NVIDIA_H200_141GB", (8,)),
)


def machine_type(machine: Machine) -> str:
    """Return the smallest machine type that has all of `machine`. Raises TuningError if there is none."""
    cpus, memory, count = int(machine.cpu), int(machine.memory.removesuffix("G")), int(machine.accelerator_count)
    fitting = [
        one
        for one in _TYPES
        if one.accelerator == machine.accelerator and count in one.counts and one.cpus >= cpus and one.memory >= memory
    ]
    if not fitting:
        raise TuningError(
            f"no machine type of Vertex AI has {machine.in_words}",
            "Choose other --machine-cpus, --machine-memory or --accelerator-count",
        )
    return min(fitting, key=lambda one: (one.memory, one.cpus)).name
