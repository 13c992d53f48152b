"""Make the first page: all runs, the newest first, and a comparison of any two."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tuning.dataset.dataset import Dataset
from tuning.evaluation.options import UNITS
from tuning.evaluation.report import show
from tuning.site.charts import Chart, Mean, intervals
from tuning.site.pages import script, write_page
from tuning.site.records import SiteRun
from tuning.site.run_page import default_of, facts

_DRAWN = 12  # newest runs in a chart


def write_runs_page(
    folder: Path, runs: Sequence[SiteRun], datasets: Mapping[str, Dataset], shared: dict[str, Any]
) -> None:
    """Write index.html. `runs` are in the order of the page, and `datasets` are those of this home by ID."""
    found = [facts(run, datasets.get(run.record.dataset_id)) for run in runs]
    names = sorted({name for one in found for name in one})
    for run, one in zip(runs, found, strict=True):
        one.update({name: value for name in names if name not in one and (value := default_of(run, name))})
    view = {
        **shared,
        "runs": runs,
        "show": show,
        "units": UNITS,
        "charts": _charts(runs),
        "data": [{"name": _name(run), "facts": one} for run, one in zip(runs, found, strict=True)],
    }
    write_page(folder / "index.html", "index.html.j2", view, script("compare.js"))


def _name(run: SiteRun) -> str:
    return " ".join(filter(None, (run.id, run.base_model, run.record.verdict or run.record.status)))


def _charts(runs: Sequence[SiteRun]) -> list[Chart]:
    """Return the difference of the newest runs from their base: in how-to questions, and in held-out examples."""
    charts = []
    solved = [(run, run.solved_change) for run in runs][:_DRAWN]
    means = [_mean(run, "tuned minus base", found) for run, found in solved if found]
    if means:
        charts.append(intervals("How-to questions solved: tuned minus base", "points", means, zero=True))
    for metric, unit in UNITS.items():
        gains = [(run, run.held_out_gain) for run in runs if run.metric == metric][:_DRAWN]
        means = [_mean(run, "improvement", found) for run, found in gains if found]
        if means:
            charts.append(intervals(f"Improvement on the base in {metric}", unit, means, zero=True, digits=3))
    return charts


def _mean(run: SiteRun, series: str, found: Any) -> Mean:
    label = f"{run.record.started_at[5:16].replace('T', ' ')} {run.record.version}".strip()
    return Mean(label=label, series=series, mean=found.mean, low=found.low, high=found.high)
