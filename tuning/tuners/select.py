"""Find a tuner by its name."""

import importlib

from tuning.errors import TuningError
from tuning.tuners.protocol import Tuner


def find_tuner(name: str) -> Tuner:
    """Return the tuner named ``hf`` or ``gemini``, or your own class named ``package.module:Class``.

    Raises TuningError for any other name, and for a class that cannot be imported.
    """
    module, colon, attribute = name.partition(":")
    match name:
        case "hf":
            from tuning.tuners.hf.tuner import HfTuner

            return HfTuner()
        case "gemini":
            from tuning.tuners.gemini.tuner import GeminiTuner

            gemini: Tuner = GeminiTuner()
            return gemini
        case _ if not colon:
            raise TuningError(f"there is no tuner {name!r}", "Use hf, gemini or package.module:Class")
    try:
        custom: Tuner = getattr(importlib.import_module(module), attribute)()
    except (ImportError, AttributeError) as error:
        raise TuningError(f"there is no tuner {name} ({error})", "Name it as package.module:Class") from None
    return custom
