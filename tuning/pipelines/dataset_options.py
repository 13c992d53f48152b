"""What the command line's dataset options mean, and whose tokenizer counts the tokens."""

from collections.abc import Mapping
from typing import Any

import msgspec

from tuning.dataset.options import DatasetOptions, resolve_options
from tuning.errors import TuningError
from tuning.settings import Settings
from tuning.tuners.base_models import find_tokenizer


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
