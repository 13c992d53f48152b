"""Find the processor that runs the model, the precision to use on it, and faster kernels that are installed."""

from importlib import import_module
from typing import Any, Literal, NamedTuple

from tuning.errors import TuningError
from tuning.tuners.hf.environment import set_up_libraries

# Models with at most this number of parameters are evaluated in fp32: on CUDA, where speed counts more, and elsewhere.
# In bfloat16, the other rows of a batch change the rounding and thereby the words: in bfloat16, 50 of 96 answers were
# the same with batches of 48 and of 96 rows; in fp32, 95 were. That was measured on a CPU.
EXACT_ON_CUDA = 20_000_000
EXACT = 1_000_000_000


Precision = Literal["bf16", "fp16", "fp32"]
_DTYPES = {"bf16": "bfloat16", "fp16": "float16", "fp32": "float32"}  # torch's names


class Processor(NamedTuple):
    """Describe the processor that runs the model."""

    device: Literal["cuda", "mps", "cpu"]  # torch's names; "mps" is Apple's GPU
    precision: Precision  # the fastest that the processor has: bfloat16, else fp16 on CUDA, else fp32
    name: str

    @property
    def half(self) -> bool:
        """Return whether a number has 16 bits, and so half the bytes of one in fp32."""
        return self.precision != "fp32"

    @property
    def dtype(self) -> Any:
        """Return the torch data type of the precision."""
        import torch

        return getattr(torch, _DTYPES[self.precision])


def find_processor() -> Processor:
    """Return the first GPU if there is one, of NVIDIA (or AMD by torch's build for ROCm) or of Apple, else the CPU."""
    set_up_libraries()
    import torch

    if torch.cuda.is_available():
        # GPUs before Ampere, such as T4 and V100, only emulate bfloat16.
        native = torch.cuda.is_bf16_supported(including_emulation=False)
        return Processor("cuda", "bf16" if native else "fp16", torch.cuda.get_device_name(0))
    if torch.backends.mps.is_available():
        # This is also the condition of transformers and Accelerate.
        precision: Precision = "bf16" if torch.backends.mps.is_macos_or_newer(14, 0) else "fp32"
        return Processor("mps", precision, torch.backends.mps.get_name())
    abilities = torch.cpu.get_capabilities()
    # Only AMX makes products in bfloat16 faster than in fp32. On a Xeon with AVX512-BF16 and without AMX, smollm2 was
    # trained 0.63 times as fast in bfloat16 (139 and 223 tokens a second on two cores). Others emulate bfloat16.
    native = bool(abilities.get("amx_bf16"))
    return Processor(
        "cpu", "bf16" if native else "fp32", f"{abilities.get('cpu_name') or abilities.get('architecture')}, CPU"
    )


def evaluation_dtype(processor: Processor, parameters: int) -> Any:
    """Return the torch data type for losses and answers: fp32 for small models, else that of the precision."""
    import torch

    is_small = parameters <= (EXACT_ON_CUDA if processor.device == "cuda" else EXACT)
    return torch.float32 if is_small else processor.dtype


def overflow() -> TuningError:
    """Return the error about a model whose numbers exceed 65,504, the largest of fp16. It happens in training too."""
    return TuningError(
        "numbers of this model overflow in fp16, the precision of this GPU",
        "Use a GPU with bfloat16 (Ampere or newer), another --base-model, or the CPU (CUDA_VISIBLE_DEVICES=-1)",
    )


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
