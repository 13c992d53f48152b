"""The tuner of a name."""

from tuning.errors import TuningError
from tuning.tuners.protocol import Tuner


def tuner(name: str) -> Tuner:
    """`hf` tunes here, `gemini` on Vertex AI. Raises TuningError for another name."""
    match name:
        case "hf":
            from tuning.tuners.hf import HfTuner

            return HfTuner()
        case "gemini":
            from tuning.tuners.gemini import GeminiTuner

            gemini: Tuner = GeminiTuner()
            return gemini
        case _:
            raise TuningError(f"there is no tuner {name!r}", "Take hf or gemini")
