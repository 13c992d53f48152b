"""Say what a pipeline run does, from the dataset to the gate."""

from dataclasses import dataclass, field

from tuning.dataset.dataset import Dataset
from tuning.evaluation.options import EvaluationOptions, GateOptions
from tuning.tuners.protocol import TuneOptions


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Hold what a run tunes, on which dataset, and how it evaluates and judges the models.

    Without `evaluation`, the settings and the base model decide it.
    """

    dataset: Dataset
    tuner: str
    tune: TuneOptions
    evaluation: EvaluationOptions | None = None
    gate: GateOptions = field(default_factory=GateOptions)
