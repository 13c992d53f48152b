"""Resolve the dataset and tuning options of the command line."""

from collections.abc import Mapping
from typing import Any

import msgspec

from tuning.dataset.options import DatasetOptions, resolve_options
from tuning.errors import TuningError
from tuning.settings import Settings
from tuning.tuners.hf.models.base_models import find_tokenizer
from tuning.tuners.protocol import TuneOptions
from tuning.tuners.select import find_tuner

_SETTINGS = ("tuner", "base_model", "budget", "run_answers")


def tuning_settings(settings: Settings, tuning: Mapping[str, Any]) -> tuple[Settings, TuneOptions]:
    """Return the settings and the tuning options that result from `tuning`, the given options by name.

    The returned base model is the one that is tuned: the tuner gemini replaces the default of local tuning. Raises
    TuningError if options exclude each other or if the base model can no longer be tuned.
    """
    chosen = {name: tuning[name] for name in _SETTINGS if name in tuning}
    settings = msgspec.structs.replace(settings, **chosen)
    options = TuneOptions(
        base_model=settings.base_model, **{name: value for name, value in tuning.items() if name not in chosen}
    )
    if options.full and options.lora_rank:
        raise TuningError("--full trains all weights and --lora-rank trains an adapter", "Use only one of them")
    if options.steps and options.epochs:
        raise TuningError("--steps and --epochs both say how long to train", "Use only one of them")
    find_tuner(settings.tuner)
    if settings.tuner != "gemini":
        return settings, options
    if options.full:
        raise TuningError("the tuner gemini trains adapters only", "Leave out --full or use --tuner hf")
    from tuning.tuners.gemini.models import base_model

    return settings, msgspec.structs.replace(options, base_model=base_model(settings, options))


def dataset_options(
    settings: Settings, preset: str | None, made: Mapping[str, Any], base_model: str = ""
) -> DatasetOptions:
    """Return the dataset options that result from `made`, the given options by name, and find the tokenizer.

    The tokenizer is that of the model named by ``tokenizer``, else of `base_model`. The seed preset uses none. The
    model is downloaded if it is missing, so that the same command always builds the same dataset. The maximum length of
    a tuning run is not a dataset option: runs with different lengths share a dataset and are compared on the same
    questions. Raises TuningError if an option is invalid or if the model or its tokenizer cannot be found.
    """
    options = resolve_options(preset, settings.tuner, **made)
    named = str(options.tokenizer or "")
    wanted = named or ("" if options.is_seed else base_model)
    if not wanted:
        return options
    folder = find_tokenizer(settings, wanted)
    if named and folder is None:
        raise TuningError(f"the model {named} has no tokenizer.json to count tokens with", "Choose another --tokenizer")
    return msgspec.structs.replace(options, tokenizer=folder)
