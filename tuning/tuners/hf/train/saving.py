"""Save a tuned model: the adapter, and the complete model."""

import gc
from pathlib import Path
from typing import Any

from tuning.storage import atomic_folder
from tuning.tuners.hf.models.base_models import load_model

ADAPTER, MERGED = "adapter", "merged"


def save_full(model: Any, tokenizer: Any, output: Path) -> None:
    """Save a model whose weights were all trained."""
    with atomic_folder(output / MERGED) as folder:
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)


def save_adapter(model: Any, tokenizer: Any, base: Path, output: Path) -> None:
    """Save the adapter in PEFT's format, and a copy of the base model with the adapter merged into its weights.

    The copy is made from the stored base model, not from the one in memory, so that a base in fp32 keeps its precision.
    """
    from peft import PeftModel

    with atomic_folder(output / ADAPTER) as folder:
        model.peft_config["default"].base_model_name_or_path = str(base)
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    del model
    gc.collect()
    merged = PeftModel.from_pretrained(load_model(base, "auto"), str(output / ADAPTER)).merge_and_unload()
    with atomic_folder(output / MERGED) as folder:
        merged.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
