"""Produce the output of `invoke estimate`."""

from tuning.cloud.estimate import check_budget, cost_lines, estimate_all, estimate_judge
from tuning.command_line.options import BuildOptions, TuningOptions
from tuning.command_line.report import Report
from tuning.dataset.dataset import datasets, find_dataset
from tuning.dataset.options import resolve_variables
from tuning.settings import Settings
from tuning.tuners.options import tuning_settings
from tuning.tuners.select import find_tuner


def estimate(
    settings: Settings, build: BuildOptions, tuning: TuningOptions, dataset_id: str | None, judge: str = ""
) -> Report:
    """Return the estimate, whose check compares it with the budget. `build` and `tuning` hold the given options.

    `judge` names a model that compares answers; it is not part of a tuning run.

    Uses the newest dataset if `dataset_id` is not given. Raises TuningError for wrong options or an unknown dataset.
    """
    settings, options = tuning_settings(settings, tuning)
    dataset = find_dataset(settings, dataset_id) if dataset_id else next(datasets(settings), None)
    costs = estimate_all(settings, resolve_variables(None, build), dataset, find_tuner(settings.tuner), options)
    if judge:
        costs.append(estimate_judge(settings, judge))
    lines = list(cost_lines(costs))
    if dataset is None:
        lines.append("there is no dataset yet, so the tuning is not included. Create one with `invoke dataset`")
    data = {"costs": costs, "dataset": dataset.id if dataset else None, "budget": settings.budget}
    return Report(data, lines, lambda: check_budget(settings, costs))
