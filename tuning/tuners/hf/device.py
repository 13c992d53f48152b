"""What the model runs on, and in which precision."""

from typing import Any, NamedTuple

from tuning.tuners.hf.environment import set_up_libraries

# Parameters up to which fp32 costs nothing that anyone would notice.
SMALL = 20_000_000


class Processor(NamedTuple):
    device: str  # "cuda" or "cpu"
    half: bool  # whether bfloat16 is computed natively, which is what makes it faster than fp32
    name: str


def find_processor() -> Processor:
    set_up_libraries()
    import torch

    if torch.cuda.is_available():
        return Processor("cuda", torch.cuda.is_bf16_supported(including_emulation=False), torch.cuda.get_device_name(0))
    abilities = torch.cpu.get_capabilities()
    # Without one of these, bfloat16 is emulated and slower than fp32.
    native = any(abilities.get(name) for name in ("avx512_bf16", "amx_bf16"))
    return Processor("cpu", native, f"{abilities.get('cpu_name') or abilities.get('architecture')}, CPU")


def inference_dtype(processor: Processor, parameters: int) -> Any:
    """torch's type for reading a model: fp32 for very small ones, where the precision costs nothing."""
    import torch

    return torch.bfloat16 if processor.half and parameters > SMALL else torch.float32
