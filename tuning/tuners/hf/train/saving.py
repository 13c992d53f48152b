"""Save a tuned model: the adapter, and the complete model."""

import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from tuning.records import write_record
from tuning.storage import atomic_folder, write_json
from tuning.tuners.hf.chat import stop_tokens
from tuning.tuners.hf.models.adapted import BASE, Base, load_adapter
from tuning.tuners.hf.models.base_models import NOT_ON_HUB, HubBase, load_model
from tuning.tuners.hf.models.folder_checks import ADAPTER_SETTINGS
from tuning.tuners.hf.train.processes import Group
from tuning.tuners.hf.train.saved import ADAPTER, MERGED, adapter_settings


def put_together(sharded: Any, load: Callable[[], Any], group: Group) -> Any:
    """Return in the main process an ordinary model on the CPU with the trained weights of `sharded`, else None.

    The processes of `group` share the weights of `sharded`, and all of them call this
    (https://docs.pytorch.org/docs/stable/distributed.fsdp.fully_shard.html). `load` loads the model as it was before
    the training, with an adapter if one was trained further.
    """
    from peft import PeftModel, get_peft_model
    from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict

    options = StateDictOptions(full_state_dict=True, cpu_offload=True, ignore_frozen_params=True)
    weights = get_model_state_dict(sharded, options=options)
    if not group.is_main:
        return None
    model = load()
    if isinstance(sharded, PeftModel) and not isinstance(model, PeftModel):
        model = get_peft_model(model, sharded.peft_config["default"])
    trained = {name for name, weight in model.named_parameters() if weight.requires_grad}
    if missing := trained - weights.keys():
        raise RuntimeError(f"{len(missing)} trained weights are in no shard, such as {min(missing)}")
    model.load_state_dict(weights, strict=False)
    return model


def save_full(model: Any, tokenizer: Any, base: Path, output: Path, step_size: float) -> Any:
    """Save a model whose weights were all trained, and return it: the base plus `step_size` times the change.

    Raises TuningError if the base model cannot be loaded.
    """
    if step_size != 1:
        before = dict(load_model(base, torch.float32).named_parameters())
        with torch.no_grad():
            for name, weight in model.named_parameters():  # yields a weight that two layers share only once
                weight.copy_(torch.lerp(before[name].to(weight), weight, step_size))
    with atomic_folder(output / MERGED) as folder:
        _write_complete(model, tokenizer, folder)
    return model


def save_adapter(
    model: Any,
    tokenizer: Any,
    base: Path,
    output: Path,
    step_size: float,
    hub: HubBase = NOT_ON_HUB,
    kept: Base | None = None,
) -> Any:
    """Save the adapter in PEFT's format, and a copy of the base model with the adapter merged into its weights.

    The adapter names its base as it is on the hub, and no folder of this machine. Returns the copy. The adapter's
    `lora_alpha` is multiplied by `step_size`, so both results are the base plus this share of the change. The copy is
    made from the stored base model, not from the one in memory, so that a base in fp32 keeps its precision.

    If `kept` names the base, only the adapter is saved, and the model in memory is returned with the change scaled.
    Raises TuningError if the base model cannot be loaded.
    """
    with atomic_folder(output / ADAPTER) as folder:
        model.peft_config["default"].lora_alpha *= step_size
        model.save_pretrained(folder)
        name_base(folder, hub)
        (folder / "README.md").unlink()  # PEFT's, which names the folder of the base
        tokenizer.save_pretrained(folder)
        if kept:
            write_record(folder / BASE, kept)
    if kept:
        return _scaled(model, step_size)
    del model
    gc.collect()
    with atomic_folder(output / MERGED) as folder:
        return write_merged(base, output / ADAPTER, tokenizer, folder)


def write_merged(base: Path, adapter: Path, tokenizer: Any, folder: Path) -> Any:
    """Write a copy of the base model with the adapter merged into its weights to `folder`, and return it.

    Raises TuningError if the base model or the adapter cannot be loaded.
    """
    merged = load_adapter(load_model(base, "auto"), adapter).merge_and_unload()
    _write_complete(merged, tokenizer, folder)
    return merged


def name_base(adapter: Path, hub: HubBase) -> None:
    """Write the base model's name and revision on the hub into the settings of the adapter in a folder.

    Lists are sorted, because PEFT writes sets in the order of a hash that differs between processes.
    """
    settings = {
        name: sorted(value) if isinstance(value, list) else value for name, value in adapter_settings(adapter).items()
    }
    named = {"base_model_name_or_path": hub.name or None, "revision": hub.revision or None}
    write_json(adapter / ADAPTER_SETTINGS, settings | named)


def _scaled(model: Any, step_size: float) -> Any:
    """Return the model in evaluation mode. The adapter in it adds `step_size` times what it added."""
    from peft.tuners.lora import LoraLayer

    for module in model.modules():
        if isinstance(module, LoraLayer):
            module.scale_layer(step_size)
    return model.get_base_model().eval()


def _write_complete(model: Any, tokenizer: Any, folder: Path) -> None:
    """Write model and tokenizer. The settings list all tokens that end an answer, for programs that load them."""
    ends = stop_tokens(tokenizer, model.generation_config)
    model.generation_config.eos_token_id = ends if len(ends) > 1 else ends[0]
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
