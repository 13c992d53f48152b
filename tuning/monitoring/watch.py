"""Format what `invoke monitor` shows: the drift of the newest dataset from the champion's, and the last runs."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import msgspec

from tuning.dataset.dataset import Dataset, datasets, find_dataset
from tuning.errors import TuningError
from tuning.monitoring.comparable import differences
from tuning.monitoring.drift import Drift, Measure, compare
from tuning.monitoring.history import Run, runs, time_of
from tuning.numbers import number_of
from tuning.registry import registry
from tuning.settings import Settings

# With n examples on either side and ten bins, chance alone gives an index of about 9 * 2 / n: here 0.09, below MOVED.
FEWEST = 200


@dataclass(frozen=True)
class Watched:
    """Hold the drift of a dataset and the last runs. Without `drift`, `why` says why nothing can be compared."""

    dataset: str
    why: str
    drift: Drift | None
    differences: list[str]  # how the two datasets were made differently
    runs: list[Run]

    def as_data(self) -> dict[str, object]:
        """Return the content for JSON, with the verdict of each measure."""
        data = msgspec.to_builtins(self)
        for written, measure in zip((data["drift"] or {"measures": []})["measures"], self._measures, strict=True):
            written["verdict"] = measure.verdict
        return dict(data)

    @property
    def is_far(self) -> bool:
        """Return whether a property moved far, in datasets that were made alike and are large enough."""
        is_judged = not self.differences and self.drift is not None and min(self.drift.rows) >= FEWEST
        return is_judged and any(measure.verdict == "far" for measure in self._measures)

    @property
    def _measures(self) -> list[Measure]:
        return self.drift.measures if self.drift else []


def watch(settings: Settings, dataset_id: str, reference_id: str, newest_runs: int) -> Watched:
    """Return the drift of a dataset (empty: the newest) from a reference, and the last runs.

    Without `reference_id`, the reference is the dataset that the champion was tuned on. Without a champion, it is the
    newest other dataset that was made alike. Raises TuningError if a named dataset does not exist or `newest_runs` is
    negative.
    """
    if newest_runs < 0:
        raise TuningError(f"--runs must be at least 0, not {newest_runs}")
    current = find_dataset(settings, dataset_id or None)
    reference, why = (
        (find_dataset(settings, reference_id), "which --reference names")
        if reference_id
        else find_reference(settings, current, datasets(settings))
    )
    drift = compare(reference, current) if reference is not None else None
    different = differences(reference, current) if reference is not None else []
    return Watched(current.id, why, drift, different, runs(settings, newest_runs))


def in_lines(watched: Watched) -> list[str]:
    """Return the drift and the last runs as lines for a terminal."""
    lines = [f"dataset {watched.dataset}: nothing to compare with, because {watched.why}"]
    if watched.drift:
        lines = list(_drift(watched.drift, watched.why, watched.differences))
    if watched.is_far:
        lines.append(
            "the data differ a lot from the reference. Run `invoke tune` to tune a challenger on the new data."
        )
    return [*lines, "", *_history(watched.runs)]


def find_reference(settings: Settings, current: Dataset, known: Iterable[Dataset]) -> tuple[Dataset | None, str]:
    """Return which of the known datasets to compare with and why it is the one, or None and why there is none.

    They are the newest first.
    """
    champion = registry.champion(settings)
    if champion and champion.dataset_id == current.id:
        return None, f"the champion {champion.name} was tuned on it. Run `invoke dataset` after loading newer data"
    others = [other for other in known if other.id != current.id and other.rows]
    why = "there is no champion"
    if champion:
        for other in others:
            if other.id == champion.dataset_id:
                return other, f"which the champion {champion.name} was tuned on"
        why = f"the dataset of the champion {champion.name}, {champion.dataset_id}, is not in this home"
    for other in others:
        if not differences(other, current):
            return other, f"the newest other one that was made alike ({why})"
    if not others:
        return None, f"{why}, and it is the only dataset with examples"
    newest = others[0].id
    return None, (
        f"{why}, and all other datasets were made differently. The newest of them, {newest}: "
        f"{'; '.join(differences(others[0], current))}. `invoke monitor --reference {newest}` compares them anyway"
    )


def _drift(drift: Drift, why: str, different: list[str]) -> Iterator[str]:
    before, after = drift.rows
    yield f"dataset {drift.current} ({after:,} examples) against {drift.reference} ({before:,} examples), {why}"
    if different:
        yield f"warning: they were made differently, which changes the examples too: {'; '.join(different)}"
    yield f"{drift.added:,} examples are new, {drift.removed:,} are gone"
    if drift.note:
        yield drift.note
    if min(drift.rows) < FEWEST:
        yield f"warning: with fewer than {FEWEST} examples, chance alone can look like a drift"
    yield f"{'measure':24} {'before':>10} {'now':>10} {'drift':>8}  verdict"
    for measure in drift.measures:
        numbers = f"{measure.reference:10.2f} {measure.current:10.2f} {number_of('drift', measure.drift):>8}"
        yield f"{measure.name:24} {numbers}  {measure.verdict}"


def _history(last: list[Run]) -> Iterator[str]:
    shown = "the only run" if len(last) == 1 else f"the last {len(last)} runs"
    yield shown if last else "no runs yet. Run `invoke tune` to start one."
    for run in last:
        released = f"{run.version}{' promoted' if run.promoted else ''}" if run.version else run.error
        yield (
            f"{run.id}  {run.pipeline:16} {run.status:10} {time_of(run.seconds):>10}  "
            f"{run.dataset_id or '-':16}  {run.verdict or '-':10} {released}"
        )
