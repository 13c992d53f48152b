"""The tuner of a name: one of ours, or a class of your own as ``package.module:Class``."""

import importlib

from tuning.errors import TuningError
from tuning.tuners.protocol import Tuner


def find_tuner(name: str) -> Tuner:
    module, colon, attribute = name.partition(":")
    if not colon:
        from tuning.tuners.select import tuner

        return tuner(name)
    try:
        found: Tuner = getattr(importlib.import_module(module), attribute)()
    except (ImportError, AttributeError) as error:
        raise TuningError(f"there is no tuner {name} ({error})", "Name it as package.module:Class") from None
    return found
