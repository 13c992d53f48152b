"""Make the first page: all runs, the newest first, and a comparison of any two."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tuning.dataset.dataset import Dataset
from tuning.evaluation.gate import which_is_better
from tuning.evaluation.options import UNITS
from tuning.evaluation.records import Interval
from tuning.evaluation.report import show
from tuning.numbers import digits_of
from tuning.site.charts import Chart, Mean, intervals
from tuning.site.compared import compare_runs
from tuning.site.pages import script, write_page
from tuning.site.records import SiteRun

_DRAWN = 12  # newest runs in a chart


def write_runs_page(
    folder: Path, runs: Sequence[SiteRun], datasets: Mapping[str, Dataset], shared: dict[str, Any]
) -> None:
    """Write index.html. `runs` are in the order of the page, and `datasets` are those of this home by ID."""
    view = {
        **shared,
        "runs": runs,
        "show": show,
        "units": UNITS,
        "charts": _charts(runs),
        "data": compare_runs(runs, datasets),
    }
    write_page(folder / "index.html", "index.html.j2", view, script("compare.js"))


def _charts(runs: Sequence[SiteRun]) -> list[Chart]:
    """Return the difference of the newest runs from their base: in how-to questions, and in held-out examples."""
    charts = []
    solved = [(run, run.solved_change) for run in runs][:_DRAWN]
    means = [_mean(run, found) for run, found in solved if found]
    if means:
        charts.append(intervals("Change of the how-to questions solved", "points", means, zero=True))
    for metric, unit in UNITS.items():
        changes = [(run, run.held_out_change) for run in runs if run.metric == metric][:_DRAWN]
        means = [_mean(run, found) for run, found in changes if found]
        if means:
            title = f"Change of the {metric} ({which_is_better(metric)})"
            charts.append(intervals(title, unit, means, zero=True, digits=digits_of(metric)))
    return charts


def _mean(run: SiteRun, found: Interval) -> Mean:
    label = f"{run.record.started_at[5:16].replace('T', ' ')} {run.record.version}".strip()
    return Mean(label=label, series="change", mean=found.mean, low=found.low, high=found.high)
