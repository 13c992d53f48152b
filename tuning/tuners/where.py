"""Say where a model is trained: here, on a machine of Vertex AI, or, by another tuner than hf, somewhere else."""

from tuning.settings import Settings
from tuning.target import find_target


def trains_here(settings: Settings, tuner: str) -> bool:
    """Return whether the tuner trains on this machine."""
    return tuner == "hf" and not find_target(settings).on_vertex


def trains_on_vertex(settings: Settings, tuner: str) -> bool:
    """Return whether the tuner trains on a machine of Vertex AI."""
    return tuner == "hf" and not trains_here(settings, tuner)
