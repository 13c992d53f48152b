"""Resolve the dataset and tuning options of the command line."""

from collections.abc import Mapping
from typing import Any

import msgspec

from tuning.dataset.options import DatasetOptions, resolve_options
from tuning.errors import TuningError
from tuning.settings import Settings
from tuning.tuners.hf.models.base_models import find_tokenizer
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
    from tuning.tuners.gemini.models import base_model

    return settings, msgspec.structs.replace(options, base_model=base_model(settings, options))


def dataset_options(
    settings: Settings, preset: str | None, made: Mapping[str, Any], base_model: str = ""
) -> DatasetOptions:
    """The options of a dataset from those given, with the folder of the model that counts its tokens.

    That model is the one named by ``tokenizer``, else `base_model`. It is fetched where it is not there yet, so that
    the same command gives the same dataset whatever was fetched before. The length of one tuning's examples is no part
    of this: tunings of other lengths share a dataset and so are compared on the same questions.
    """
    options = resolve_options(preset, settings.tuner, **made)
    named = str(options.tokenizer or "")
    wanted = named or ("" if options.is_seed else base_model)
    if not wanted:
        return options
    folder = find_tokenizer(settings, wanted)
    if named and folder is None:
        raise TuningError(f"the model {named} has no tokenizer.json to count tokens by", "Name another --tokenizer")
    return msgspec.structs.replace(options, tokenizer=folder)
