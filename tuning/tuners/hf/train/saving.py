"""A tuned model on the disk: the adapter alone, the merged model, and what was noted while it was made."""

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
    """Save the adapter as PEFT loads it, and a copy of the base with the adapter merged into its weights.

    Merged into the base as it is stored, not as it was trained: a base in fp32 keeps its digits.
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
