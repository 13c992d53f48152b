"""Make the page of drift and serving: how far each dataset is from what the champion knows."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tuning.dataset.dataset import Dataset
from tuning.monitoring.comparable import differences
from tuning.monitoring.drift import FAR, MOVED, Drift, compare
from tuning.monitoring.watch import find_reference
from tuning.numbers import digits_of, number_of
from tuning.registry import registry
from tuning.registry.records import Version
from tuning.settings import Settings
from tuning.site.charts import curves
from tuning.site.pages import write_page
from tuning.site.served_days import served_days

_COMPARED = 6  # newest datasets: each comparison reads all examples of two datasets


def write_drift_page(folder: Path, settings: Settings, datasets: Sequence[Dataset], shared: dict[str, Any]) -> None:
    """Write drift.html. `datasets` are the newest first. Raises TuningError if a dataset or the log is damaged."""
    champion = registry.champion(settings)
    datasets = [one for one in datasets if one.rows]
    reference, why = _reference(settings, datasets, champion)
    found: list[tuple[Drift, list[str]]] = []
    if reference is not None:
        others = [one for one in datasets if one.id != reference.id][:_COMPARED]
        found = [(compare(reference, one), differences(reference, one)) for one in reversed(others)]
    view = {
        **shared,
        "champion": champion,
        "reference": reference,
        "why": why,
        "found": found[::-1],
        "charts": [_chart(found)] if len(found) > 1 else [],
        "number_of": number_of,
        "bounds": (MOVED, FAR),
        "served": served_days(settings),
    }
    write_page(folder / "drift.html", "drift.html.j2", view)


def _reference(settings: Settings, datasets: Sequence[Dataset], champion: Version | None) -> tuple[Dataset | None, str]:
    """Return the dataset to compare with, and why it is the one: the champion's, or else that of `invoke monitor`."""
    known = next((one for one in datasets if champion and one.id == champion.dataset_id), None)
    if champion and known:
        return known, f"which the champion {champion.name} was tuned on"
    return find_reference(settings, datasets[0], datasets) if datasets else (None, "there is no dataset with examples")


def _chart(found: Sequence[tuple[Drift, list[str]]]) -> Any:
    names = [measure.name for measure in found[0][0].measures]
    lines = {
        name: [
            (number, next(one.drift for one in drift.measures if one.name == name))
            for number, (drift, _) in enumerate(found, start=1)
        ]
        for name in names
    }
    return curves("Drift of each dataset, the oldest first", ("dataset", "drift"), lines, digits_of("drift"))
