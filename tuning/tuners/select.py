"""Find a tuner or a judge by its name."""

import importlib

from tuning.dataset.dataset import Dataset
from tuning.errors import TuningError
from tuning.settings import Settings
from tuning.tuners.protocol import Predictor, TuneOptions, Tuner


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


def find_judge(settings: Settings, name: str, dataset: Dataset) -> Predictor:
    """Return the model that judges answers.

    `name` is ``URL#MODEL`` for a server with OpenAI's chat API, a Gemini model, or a local base model. Raises
    TuningError if there is no such model, or if it cannot be used.
    """
    if "://" in name:
        from tuning.tuners.chat_server import ChatServer

        return ChatServer(name, settings.judge_key)
    tuner = find_tuner("gemini" if name.startswith("gemini-") else "hf")
    return tuner.predictor(settings, tuner.base(settings, dataset, TuneOptions(base_model=name)))
