"""Format what `invoke monitor` shows: the drift of the newest dataset from the champion's, and the last runs."""

from collections.abc import Iterator

from tuning.dataset.dataset import Dataset, datasets, find_dataset
from tuning.errors import TuningError
from tuning.monitoring.drift import Drift, compare
from tuning.monitoring.history import runs
from tuning.registry import registry
from tuning.settings import Settings


def in_lines(settings: Settings, dataset_id: str, reference_id: str, newest_runs: int) -> list[str]:
    """Return the drift of a dataset (empty: the newest) from a reference, and the last runs, as lines.

    Without `reference_id`, the reference is the champion's dataset, or else the newest other one. Raises TuningError if
    a named dataset does not exist or `newest_runs` is negative.
    """
    current = find_dataset(settings, dataset_id or None)
    reference = find_dataset(settings, reference_id) if reference_id else _reference(settings, current)
    lines = ["nothing to compare with yet: this is the only dataset"] if reference is None else []
    if reference is not None:
        lines = list(_drift(compare(reference, current)))
    return [*lines, "", *_history(settings, newest_runs)]


def _reference(settings: Settings, current: Dataset) -> Dataset | None:
    """Return the champion's dataset. If there is none or it is `current`, return the newest other dataset, or None."""
    champion = registry.champion(settings)
    others = [other for other in datasets(settings) if other.id != current.id]
    of_champion = (other for other in others if champion and other.id == champion.dataset_id)
    return next(of_champion, others[0] if others else None)


def _drift(drift: Drift) -> Iterator[str]:
    before, after = drift.rows
    yield f"dataset {drift.current} ({after:,} examples) against {drift.reference} ({before:,} examples)"
    yield f"{drift.added:,} examples are new, {drift.removed:,} are gone"
    yield f"{'measure':24} {'before':>10} {'now':>10} {'drift':>8}  verdict"
    for measure in drift.measures:
        numbers = f"{measure.reference:10.2f} {measure.current:10.2f} {measure.drift:8.3f}"
        yield f"{measure.name:24} {numbers}  {measure.verdict}"
    if any(measure.verdict == "far" for measure in drift.measures):
        yield "the data differ a lot from the reference. Run `invoke tune` to tune a challenger on the new data."


def _history(settings: Settings, newest: int) -> Iterator[str]:
    if newest < 0:
        raise TuningError(f"--runs must be at least 0, not {newest}")
    last = runs(settings, newest)
    yield f"the last {len(last)} runs" if last else "no runs yet. Run `invoke tune` to start one."
    for run in last:
        released = f"{run.version}{' promoted' if run.promoted else ''}" if run.version else run.error
        yield (
            f"{run.id}  {run.pipeline:16} {run.status:10} {run.seconds:8.1f} s  "
            f"{run.dataset_id or '-':16}  {run.verdict or '-':10} {released}"
        )
