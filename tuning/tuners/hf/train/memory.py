"""Estimate the memory of a training on a CPU from the shape of the model. On a GPU nobody has measured it."""

from typing import Any, NamedTuple

import psutil

from tuning.errors import TuningError
from tuning.tuners.hf.device import Processor
from tuning.tuners.hf.train.recipe import Recipe

# Measured in bytes on Llamas of 2.6, 32 and 135 M parameters in fp32 (`tests/tuners/hf/train/test_memory.py`), whose
# peaks this estimate meets within 15%.
_LIBRARIES = 575e6  # Python with torch, transformers, TRL and PEFT
# Numbers that a layer keeps for the backward pass, per token: of its width, and of the width inside its MLP.
_OF_WIDTH, _OF_INNER = 11, 4
_WITH_ADAPTER = 1.6  # factor: adapters of all linear layers keep their own results too
_LOGITS = 3  # logits, their logarithms and the gradient
_FP32 = 4
# Bytes of a weight of 4 bits, in blocks of 64 with a scale of 8 bits, in blocks of 256 with a scale in fp32
# (https://arxiv.org/abs/2305.14314, section 3); and of 8 bits, whose scales, one for a row of a matrix, do not count.
_QUANTIZED = {"4bit": 1 / 2 + 1 / 64 + 4 / (64 * 256), "8bit": 1.0}
_ADAM = 3 * _FP32  # the gradient and the two means of each trained weight (https://arxiv.org/abs/1412.6980)


class Shape(NamedTuple):
    """Describe what a model's memory depends on."""

    parameters: int
    linear: int  # those of the linear layers that can get an adapter
    adapted: int  # sum of inputs and outputs of these layers
    layers: int
    width: int
    inner: int  # width inside the MLP
    vocabulary: int


def measure(model: Any) -> Shape:
    """Return the shape of a model. Its weights can be on the device "meta"."""
    import torch

    text = model.config.get_text_config()
    linear = [
        (module.in_features, module.out_features)
        for module in model.modules()
        if isinstance(module, torch.nn.Linear) and module is not model.get_output_embeddings()
    ]
    inner = getattr(text, "intermediate_size", None) or 4 * text.hidden_size
    return Shape(
        parameters=sum(weight.numel() for weight in model.parameters()),
        linear=sum(inputs * outputs for inputs, outputs in linear),
        adapted=sum(map(sum, linear)),
        layers=text.num_hidden_layers,
        width=text.hidden_size,
        inner=inner,
        vocabulary=text.vocab_size,
    )


def weights_bytes(shape: Shape, recipe: Recipe, half: bool) -> float:
    """Return the memory of weights, gradients and optimizer, which no shorter batch makes smaller.

    `half`: the weights of the base have 16 bits. Trained weights are fp32.
    """
    if recipe.full:
        return shape.parameters * (_FP32 + _ADAM)
    trained = recipe.lora_rank * shape.adapted * recipe.lora_share
    quantized = shape.linear if recipe.quantize else 0
    base = model_bytes(shape.parameters - quantized, half) + quantized * _QUANTIZED.get(recipe.quantize, 0)
    return base + trained * (_FP32 + _ADAM)


def model_bytes(parameters: int, half: bool) -> float:
    """Return the memory of this number of weights that are not trained, of 16 bits if `half`, else in fp32."""
    return parameters * (2 if half else _FP32)


def training_bytes(shape: Shape, recipe: Recipe, half: bool, tokens: int, answer_tokens: int) -> float:
    """Return the peak of a training on a CPU without gradient checkpointing.

    `tokens` is the number of tokens in one forward pass, with padding, of which `answer_tokens` get logits.
    """
    per_layer = _OF_WIDTH * shape.width + _OF_INNER * shape.inner
    factor = 1.0 if recipe.full else 1 + (_WITH_ADAPTER - 1) * recipe.lora_share
    kept = tokens * shape.layers * per_layer * factor * (2 if half and not recipe.full else _FP32)
    logits = answer_tokens * shape.vocabulary * _LOGITS * _FP32
    return _LIBRARIES + weights_bytes(shape, recipe, half) + kept + logits


def check_memory(shape: Shape, recipe: Recipe, processor: Processor, processes: int, gpus: int = 1) -> bool:
    """Return whether the `gpus` that train together must share the weights.

    Raises TuningError if the training, or the model that answers after it, needs more memory than there is. On CUDA
    that is the memory of the device; else what is free on the machine, which all its `processes` share, and Apple's GPU
    has no other memory. Also raises it for what that GPU does not do: several processes, and quantized weights.
    """
    if processor.device == "cuda":
        import torch

        there = torch.cuda.get_device_properties(0).total_memory
        return check_device_memory(shape, recipe, processor.half, there, "the GPU has", gpus)
    if recipe.shard:
        raise TuningError("--shard shares the weights among several GPUs of CUDA, and there is none", "Leave it out")
    if processor.device == "mps" and processes > 1:
        raise TuningError(f"{processes} processes were started, and {processor.name} trains in one", "Start one")
    if processor.device == "mps" and recipe.quantize:
        raise TuningError(f"--quantize needs a GPU of CUDA or a CPU, not {processor.name}", "Leave it out")
    _refuse_more(shape, recipe, processor.half, psutil.virtual_memory().available, "this machine has free", processes)
    return False


def check_device_memory(shape: Shape, recipe: Recipe, half: bool, there: float, where: str, gpus: int) -> bool:
    """Return whether `gpus` with `there` bytes each must share the weights. `where` is such as "the GPU has".

    They do not share quantized weights, which FSDP2 leaves whole. Raises TuningError as `check_memory` does.
    """
    if recipe.shard and gpus == 1:
        raise TuningError("--shard shares the weights among several GPUs, and one trains", "Leave it out")
    shared = recipe.shard or (gpus > 1 and not recipe.quantize and weights_bytes(shape, recipe, half) > there)
    _refuse_more(shape, recipe, half, there, where, 1 / gpus if shared else 1)
    return shared


def _refuse_more(shape: Shape, recipe: Recipe, half: bool, there: float, where: str, share: float) -> None:
    """Raise TuningError if this share of the training, or the whole model that answers, needs more than `there` bytes.

    Of a training only weights, gradients and optimizer count. A model answers on one device, and is not quantized.
    """
    billions = f"{shape.parameters / 1e9:,.2f} billion"
    for what, needed, hint in (
        (
            f"training {recipe.trained} of {billions}",
            weights_bytes(shape, recipe, half) * share,
            "Leave out --full, lower --lora-rank, or choose a smaller --base-model",
        ),
        (
            f"answering with the whole model of {billions}",
            model_bytes(shape.parameters, half and not recipe.full),
            "Choose a smaller --base-model",
        ),
    ):
        if needed > there:
            raise TuningError(
                f"{what} needs more than {needed / 1e9:,.1f} GB of memory, and {where} {there / 1e9:,.1f} GB", hint
            )
