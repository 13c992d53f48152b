"""Say what a pipeline run does, from the dataset to the gate."""

from dataclasses import dataclass, field

from tuning.dataset.dataset import Dataset
from tuning.evaluation.options import EvaluationOptions, GateOptions
from tuning.tuners.protocol import TuneOptions


@dataclass(frozen=True, kw_only=True)
class TuningPlan:
    """Hold what a run tunes, and how it evaluates and judges the models.

    Without `evaluation`, the settings and the base model decide it.
    """

    tuner: str
    tune: TuneOptions
    evaluation: EvaluationOptions | None = None
    gate: GateOptions = field(default_factory=GateOptions)


@dataclass(frozen=True, kw_only=True)
class Plan(TuningPlan):
    """Hold also the dataset that the run tunes on."""

    dataset: Dataset
    run_file: str = ""  # the text of the file that repeats the run
