"""What the command line's tuning options mean, for every task that takes them."""

from collections.abc import Mapping
from typing import Any

import msgspec

from tuning.errors import TuningError
from tuning.settings import Settings
from tuning.tuners.protocol import TuneOptions

_SETTINGS = ("tuner", "base_model", "budget")


def tuning_settings(settings: Settings, tuning: Mapping[str, Any]) -> tuple[Settings, TuneOptions]:
    """The settings and the options of a tuning, from the options that were given under their names.

    The base model is the one that is really tuned: tuner gemini does not tune the default of local tuning. Raises
    TuningError for options that exclude each other.
    """
    chosen = {name: tuning[name] for name in _SETTINGS if name in tuning}
    settings = msgspec.structs.replace(settings, **chosen)
    options = TuneOptions(
        base_model=settings.base_model, **{name: value for name, value in tuning.items() if name not in chosen}
    )
    if options.full and options.lora_rank:
        raise TuningError("--full trains all weights, --lora-rank an adapter", "Leave one of them out")
    if settings.tuner != "gemini":
        return settings, options
    if options.full:
        raise TuningError("the tuner gemini trains adapters only", "Leave out --full, or take --tuner hf")
    from tuning.tuners.gemini_models import base_model

    return settings, msgspec.structs.replace(options, base_model=base_model(settings, options))
