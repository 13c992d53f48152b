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
_ADAM = 3 * _FP32  # the gradient and the two means of each trained weight (https://arxiv.org/abs/1412.6980)


class Shape(NamedTuple):
    """Describe what a model's memory depends on."""

    parameters: int
    adapted: int  # sum of inputs and outputs of the linear layers that can get an adapter
    layers: int
    width: int
    inner: int  # width inside the MLP
    vocabulary: int


def measure(model: Any) -> Shape:
    """Return the shape of a model. Its weights can be on the device "meta"."""
    import torch

    text = model.config.get_text_config()
    linear = [
        module.in_features + module.out_features
        for module in model.modules()
        if isinstance(module, torch.nn.Linear) and module is not model.get_output_embeddings()
    ]
    inner = getattr(text, "intermediate_size", None) or 4 * text.hidden_size
    return Shape(
        parameters=sum(weight.numel() for weight in model.parameters()),
        adapted=sum(linear),
        layers=text.num_hidden_layers,
        width=text.hidden_size,
        inner=inner,
        vocabulary=text.vocab_size,
    )


def weights_bytes(shape: Shape, recipe: Recipe, half: bool) -> float:
    """Return the memory of weights, gradients and optimizer, which no shorter batch makes smaller.

    `half`: the weights of the base are bfloat16. Trained weights are fp32.
    """
    if recipe.full:
        return shape.parameters * (_FP32 + _ADAM)
    trained = recipe.lora_rank * shape.adapted * recipe.lora_share
    return shape.parameters * (2 if half else _FP32) + trained * (_FP32 + _ADAM)


def training_bytes(shape: Shape, recipe: Recipe, half: bool, tokens: int, answer_tokens: int) -> float:
    """Return the peak of a training on a CPU without gradient checkpointing.

    `tokens` is the number of tokens in one forward pass, with padding, of which `answer_tokens` get logits.
    """
    per_layer = _OF_WIDTH * shape.width + _OF_INNER * shape.inner
    factor = 1.0 if recipe.full else 1 + (_WITH_ADAPTER - 1) * recipe.lora_share
    kept = tokens * shape.layers * per_layer * factor * (2 if half and not recipe.full else _FP32)
    logits = answer_tokens * shape.vocabulary * _LOGITS * _FP32
    return _LIBRARIES + weights_bytes(shape, recipe, half) + kept + logits


def check_memory(shape: Shape, recipe: Recipe, processor: Processor, processes: int) -> None:
    """Raise TuningError if weights, gradients and optimizer alone need more memory than there is.

    On a GPU that is the memory of the device; on a CPU what is free, which all `processes` share.
    """
    if processor.device == "cuda":
        import torch

        there, where, processes = torch.cuda.get_device_properties(0).total_memory, "the GPU has", 1
    else:
        there, where = psutil.virtual_memory().available, "this machine has free"
    refuse_more(shape, recipe, weights_bytes(shape, recipe, processor.half) * processes, there, where)


def refuse_more(shape: Shape, recipe: Recipe, needed: float, there: float, where: str) -> None:
    """Raise TuningError if the training needs more bytes than there are. `where` is such as "the GPU has"."""
    if needed > there:
        raise TuningError(
            f"training {recipe.trained} of {shape.parameters / 1e9:,.2f} billion needs more than {needed / 1e9:,.1f} GB"
            f" of memory, and {where} {there / 1e9:,.1f} GB",
            "Leave out --full, lower --lora-rank, or choose a smaller --base-model",
        )
