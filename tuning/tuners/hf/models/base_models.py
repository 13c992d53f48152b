"""Find base models: `smollm2`, `tiny`, a local folder, or a name on the Hugging Face hub."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from tuning.dataset.dataset import Dataset
from tuning.errors import TuningError
from tuning.paths import expanded
from tuning.resource_errors import in_one_line
from tuning.settings import Settings
from tuning.tuners.hf.chat import check_template
from tuning.tuners.hf.environment import set_up_libraries
from tuning.tuners.hf.models import smollm2
from tuning.tuners.hf.models.folder_checks import check_complete, check_safe
from tuning.tuners.hf.models.hub import CHOICE, fetch_model, fetch_outline
from tuning.tuners.hf.models.hub_models import parse_hub_name
from tuning.tuners.hf.models.quantized import let_gradients_pass, quantization
from tuning.tuners.hf.models.tiny import make_tiny
from tuning.tuners.protocol import Quantize


def find_base_model(settings: Settings, name: str, dataset: Dataset) -> Path:
    """Return the local folder of the base model `name`.

    The model is downloaded if needed; `tiny` is built from the train split of `dataset`. Raises TuningError if the
    model cannot be found or downloaded.
    """
    return make_tiny(settings, dataset) if name == "tiny" else _find(settings, name)


def find_outline(settings: Settings, name: str, dataset: Dataset) -> Path:
    """Return the local folder with at least the settings and the tokenizer of the base model `name`.

    So what cannot be tuned is known before the weights are downloaded. Raises TuningError as `find_base_model` does.
    """
    return make_tiny(settings, dataset) if name == "tiny" else _find(settings, name, weights=False)


def find_tokenizer(settings: Settings, name: str) -> Path | None:
    """Return the folder with the `tokenizer.json` of the model `name`. The tokenizer is downloaded if needed.

    Returns None if the model has no such file, or if it is built from a dataset (`tiny`). Raises TuningError if the
    model cannot be found or downloaded.
    """
    if name == "tiny":
        return None
    with in_one_line():
        folder = _find(settings, name, weights=False)
    return folder if (folder / "tokenizer.json").is_file() else None


def is_here(settings: Settings, name: str) -> bool:
    """Return whether the base model `name` is `smollm2` in the cache, or a local folder: nothing is downloaded."""
    return smollm2.folder_of(settings).is_dir() if name == "smollm2" else expanded(name).is_dir()


def is_on_hub(name: str) -> bool:
    """Return whether `name` can only be that of a model on the Hugging Face hub."""
    return (
        not name.startswith((".", "/", "~"))
        and parse_hub_name(name).name.count("/") == 1
        and not expanded(name).is_dir()
    )


def _find(settings: Settings, name: str, *, weights: bool = True) -> Path:
    if name == "smollm2":
        return smollm2.fetch(settings)
    if expanded(name).is_dir():
        folder = expanded(name).absolute()
        check_complete(folder)
        check_safe(folder)
        return folder
    if not is_on_hub(name):
        raise TuningError(f"there is no base model {name!r}", CHOICE)
    return fetch_model(name) if weights else fetch_outline(name)


class HubBase(NamedTuple):
    """Name a base model on the Hugging Face hub."""

    name: str  # empty: the base is not on the hub
    revision: str  # the commit; empty: unknown


NOT_ON_HUB = HubBase("", "")


def hub_base(name: str, folder: Path) -> HubBase:
    """Return where others find the base model `name`, which was loaded from `folder`."""
    if name == "smollm2":
        return HubBase(smollm2.HUB_NAME, "")
    if not is_on_hub(name):
        return NOT_ON_HUB
    return HubBase(parse_hub_name(name).name, folder.name if folder.parent.name == "snapshots" else "")


def license_of(name: str, folder: Path) -> str:
    """Return the base model's licence, or "unknown" if its files do not name one."""
    if name == "smollm2":
        return smollm2.LICENSE
    if name == "tiny":
        return "Apache-2.0"
    card = folder / "README.md"
    if card.exists():
        for line in card.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("license:"):
                return line.removeprefix("license:").strip()
    return "unknown"


def describe_base(name: str) -> str:
    """Return a description of the base model for cards and reports."""
    match name:
        case "smollm2":
            return smollm2.NOTE
        case "tiny":
            return "a small Llama with random weights for smoke tests; its answers say nothing about quality"
        case _:
            return name


def load_tokenizer(folder: Path) -> Any:
    """Load the tokenizer in `folder`.

    Raises TuningError if it cannot be loaded, has no end-of-text token, or its chat template cannot be used.
    """
    set_up_libraries()
    from transformers import AutoTokenizer

    with loading(folder, "a tokenizer"):
        tokenizer = AutoTokenizer.from_pretrained(str(folder), trust_remote_code=False)
    if tokenizer.eos_token_id is None:
        raise TuningError(f"the tokenizer in {folder} has no end-of-text token", "Use another --base-model")
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token  # padding is masked by position, so any token will do
    check_template(tokenizer)
    return tokenizer


def load_model(folder: Path, dtype: Any, quantize: Quantize = "", attention: str = "") -> Any:
    """Load the model in `folder` on the CPU, in evaluation mode. A quantized one is loaded on the GPU, if there is one.

    `dtype` is a torch data type, or "auto" for that of the files. `attention` names an implementation of transformers,
    if not its default. Raises TuningError if the model cannot be loaded.
    """
    set_up_libraries()
    from transformers import AutoModelForCausalLM

    given = {"quantization_config": quantization(quantize, dtype)} if quantize else {}
    if attention:
        given["attn_implementation"] = attention
    with loading(folder, "a model"):
        model = AutoModelForCausalLM.from_pretrained(
            str(folder), dtype=dtype, use_safetensors=True, trust_remote_code=False, **given
        )
        let_gradients_pass(model)
        return model.eval()


def load_outline(folder: Path) -> Any:
    """Return the model in `folder` with its structure only: its weights are not read and take no memory.

    Raises TuningError if the model cannot be made.
    """
    set_up_libraries()
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    with loading(folder, "a model"):
        config = AutoConfig.from_pretrained(str(folder), trust_remote_code=False)
        with torch.device("meta"):
            return AutoModelForCausalLM.from_config(config, trust_remote_code=False)


@contextlib.contextmanager
def loading(folder: Path, what: str) -> Iterator[None]:
    """Raise TuningError if transformers cannot load the files in `folder`. It raises many errors for damaged ones."""
    with in_one_line():
        try:
            yield
        except MemoryError:
            raise
        except Exception as error:
            if isinstance(error, RuntimeError) and "memory" in str(error).lower():
                raise
            reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
            if "trust_remote_code" in reason:
                reason = "it needs code of its own, which is not run"
            raise TuningError(f"{folder} is not {what} that transformers can load ({reason})", _again(folder)) from None


def _again(folder: Path) -> str:
    """Return how to get the files of a model again: by the names of the folders that this package makes."""
    if folder.name.startswith(f"smollm2-{smollm2.WHEEL.version}") or folder.parent.name == "tiny":
        return f"Delete {folder} and run the command again, which makes it again"
    if folder.name in ("merged", "adapter"):
        return "If it is a registered model, no command can make it again: restore it from a backup, or tune a new one"
    return CHOICE
