"""Find the processor that runs the model, the precision to use on it, and faster kernels that are installed."""

from importlib import import_module
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


# The capabilities of the GPUs that FlashAttention 2 (Ampere and newer) and 3 (Hopper) run on, and the widest head
# (https://github.com/Dao-AILab/flash-attention).
_AMPERE, _HOPPER, _WIDEST_HEAD = 8, 9, 256


class Kernels(NamedTuple):
    """Say which implementations of its layers a training uses."""

    attention: str = ""  # a name of transformers; empty: its default, torch's own attention where the model has it
    liger: bool = False  # norms, rotary positions and MLPs of Liger

    def __str__(self) -> str:
        """Return the names of the implementations."""
        return f"{self.attention or 'default attention'}{', Liger kernels' * self.liger}"


DEFAULT_KERNELS = Kernels()


def find_kernels(processor: Processor, outline: Any, full: bool) -> Kernels:
    """Return the fastest implementations for the model `outline` whose packages are installed and fit the GPU.

    FlashAttention computes in 16 bits only, and with `full` the weights are fp32. Nobody has measured it on a GPU.
    """
    if processor.device != "cuda":
        return DEFAULT_KERNELS
    import torch
    from transformers.utils import is_flash_attn_2_available, is_flash_attn_3_available, is_liger_kernel_available

    text = outline.config.get_text_config()
    head = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    attention = ""
    if processor.half and not full and outline._supports_flash_attn and head <= _WIDEST_HEAD:
        generation, _ = torch.cuda.get_device_capability()
        if generation == _HOPPER and is_flash_attn_3_available():
            attention = "flash_attention_3"
        elif generation >= _AMPERE and is_flash_attn_2_available():
            attention = "flash_attention_2"
    liger = False
    if is_liger_kernel_available():
        known = import_module("liger_kernel.transformers.monkey_patch").MODEL_TYPE_TO_APPLY_LIGER_FN
        liger = outline.config.model_type in known
    return Kernels(attention, liger)


def apply_liger(model: Any) -> None:
    """Replace norms, rotary positions and MLPs of `model` by those of Liger.

    Its cross entropy is left out: the loss here needs logits, and only those of answer tokens.
    """
    from transformers.integrations.liger import apply_liger_kernel

    apply_liger_kernel(model, {"cross_entropy": False, "fused_linear_cross_entropy": False})
