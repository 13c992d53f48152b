"""Describe how the weights of a base model are quantized while an adapter is trained on them (QLoRA).

https://arxiv.org/abs/2305.14314. Only the training reads quantized weights: a model that is saved, evaluated or asked
has those of its base.
"""

from importlib.util import find_spec
from typing import Any

from tuning.errors import TuningError
from tuning.tuners.protocol import Quantize

_PACKAGE = "bitsandbytes"


def check_installed(quantize: Quantize) -> None:
    """Raise TuningError if the package that quantizes is missing."""
    if quantize and find_spec(_PACKAGE) is None:
        raise TuningError(f"--quantize needs the package {_PACKAGE}", "Install it: pip install '.[gpu]'")


def quantization(quantize: Quantize, dtype: Any) -> Any:
    """Return the settings of transformers for weights of 4 or 8 bits, or None without `quantize`.

    Four bits are NormalFloat with double quantization, as in the paper. `dtype` is the torch data type of the products.
    """
    from transformers import BitsAndBytesConfig

    match quantize:
        case "4bit":
            return BitsAndBytesConfig(
                load_in_4bit=True,
                bnb_4bit_quant_type="nf4",
                bnb_4bit_use_double_quant=True,
                bnb_4bit_compute_dtype=dtype,
            )
        case "8bit":
            return BitsAndBytesConfig(load_in_8bit=True)
    return None


def let_gradients_pass(model: Any) -> None:
    """Keep bitsandbytes from repacking the weights of 4 bits when the model is evaluated on a CPU with AVX512-BF16.

    Repacked weights let no gradient pass, so the training after the first evaluation would be wrong.
    """
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False
