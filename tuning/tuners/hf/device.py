"""Find the processor that runs the model, and the precision to use on it."""

from typing import Any, NamedTuple

from tuning.tuners.hf.environment import set_up_libraries

# For models with at most this number of parameters, fp32 costs no noticeable time.
SMALL = 20_000_000
# Models with at most this number of parameters answer in fp32 on a CPU. In bfloat16, the other rows of a batch change
# the rounding and thereby the words: in bfloat16, 50 of 96 answers were the same with batches of 48 and of 96 rows; in
# fp32, 95 were.
EXACT = 1_000_000_000


class Processor(NamedTuple):
    """Describe the processor that runs the model."""

    device: str  # "cuda" or "cpu"
    half: bool  # whether bfloat16 is native and therefore faster than fp32
    name: str


def find_processor() -> Processor:
    """Return the first GPU if there is one, else the CPU."""
    set_up_libraries()
    import torch

    if torch.cuda.is_available():
        return Processor("cuda", torch.cuda.is_bf16_supported(including_emulation=False), torch.cuda.get_device_name(0))
    abilities = torch.cpu.get_capabilities()
    # Without one of these capabilities, bfloat16 is emulated and slower than fp32.
    native = any(abilities.get(name) for name in ("avx512_bf16", "amx_bf16"))
    return Processor("cpu", native, f"{abilities.get('cpu_name') or abilities.get('architecture')}, CPU")


def scoring_dtype(processor: Processor, parameters: int) -> Any:
    """Return the torch data type for losses: bfloat16 where it is native, but fp32 for models up to SMALL."""
    import torch

    return torch.bfloat16 if processor.half and parameters > SMALL else torch.float32


def answering_dtype(processor: Processor, parameters: int) -> Any:
    """Return the torch data type for answers: that for losses, but fp32 for models up to EXACT on a CPU."""
    import torch

    is_exact = processor.device == "cpu" and parameters <= EXACT
    return torch.float32 if is_exact else scoring_dtype(processor, parameters)
