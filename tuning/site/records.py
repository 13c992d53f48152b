"""Read what the pages of runs show, from the folders of the runs and the registry."""

from collections.abc import Mapping
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import PurePosixPath
from typing import TypeVar

import msgspec
import yaml

from tuning.command_line.run_file import RUN_FILE, WRONG_YAML
from tuning.errors import TuningError
from tuning.evaluation.gate import change
from tuning.evaluation.records import Comparison, Interval, Verdict
from tuning.gcs.storage import find_storage
from tuning.machine import run_status
from tuning.monitoring.history import RECORD, run_file, time_of
from tuning.pipelines.release.record import COMPARISON, REPORT, VERDICT, RunRecord
from tuning.pipelines.tuning import STEPS
from tuning.records import decode_record, unreadable
from tuning.registry import registry
from tuning.registry.model_folder import MODEL, WEIGHTS
from tuning.registry.records import Version
from tuning.settings import Settings
from tuning.storage import runs_address
from tuning.tuners.hf.train.curves import JSON as CURVES
from tuning.tuners.hf.train.curves import Curves
from tuning.tuners.hf.train.recipe import Recipe
from tuning.tuners.hf.train.saved import ADAPTER, MERGED
from tuning.tuners.protocol import Model

Kind = TypeVar("Kind")
_PIPELINE = "pipeline.yaml"
_RESTORE = "No command can make it again. Restore it from a backup"


@dataclass(frozen=True, kw_only=True)
class SiteRun:
    """Hold a run with its results. What the run does not have is None or empty."""

    record: RunRecord
    version: Version | None
    comparison: Comparison | None
    verdict: Verdict | None
    curves: Curves | None
    model: Model | None  # the tuned model, with what the tuner noted
    recipe: Recipe | None  # the settings that the training used; None if its tuner notes none
    report: bytes  # the page that the run wrote
    run_file: bytes  # repeats the run with `invoke tune --config`
    before: Mapping[str, list[str]]  # by step: the steps that end before it begins

    @property
    def id(self) -> str:
        """Return the ID of the run."""
        return self.record.id

    @property
    def base_model(self) -> str:
        """Return the base model: that of the model, or the one that was asked for, or "" if none is known."""
        return self.version.base_model if self.version else self.record.base_model

    @property
    def took(self) -> str:
        """Return how long the run took, or "-" if that is not known."""
        return time_of(self.record.seconds)

    @property
    def kept(self) -> str:
        """Return what was kept of the model, as `--keep` says it: the adapter, or the whole model."""
        return ADAPTER if self.model and PurePosixPath(self.model.uri).name == ADAPTER else MERGED

    @property
    def inputs(self) -> list[bytes]:
        """Return all of the above as bytes, to find out whether a page of the run is still right."""
        values = (self.record, self.version, self.comparison, self.verdict, self.curves, self.model, self.before)
        return [*(msgspec.json.encode(value, order="deterministic") for value in values), self.report, self.run_file]

    def solved(self, role: str) -> Interval | None:
        """Return the share of how-to questions that a model solves, in per cent."""
        figures = self.comparison.suite.figures if self.comparison else []
        return next((one.models.get(role) for one in figures if one.metric == "executed"), None)

    @property
    def solved_change(self) -> Interval | None:
        """Return how much larger that share is than the base's, in points."""
        judged = self.verdict.judgements if self.verdict else []
        return next((one.executed for one in judged if one.opponent == "base"), None)

    @property
    def metric(self) -> str:
        """Return the metric of held-out examples by which the run was judged, or "" if it was not judged."""
        return self.verdict.primary_metric if self.verdict else ""

    def held_out(self, role: str) -> Interval | None:
        """Return that metric of a model."""
        figures = self.comparison.figures if self.comparison else []
        return next((one.models.get(role) for one in figures if one.metric == self.metric), None)

    @property
    def held_out_change(self) -> Interval | None:
        """Return that metric of the tuned model minus that of the base."""
        better = self.verdict.improvements.get("base") if self.verdict else None
        return better and change(better, self.metric)


def read_runs(settings: Settings, newest: int) -> list[SiteRun]:
    """Return the newest runs, the newest first. With a bucket, these are the runs of all homes that share it.

    Raises TuningError if a record is damaged.
    """
    versions = {version.name: version for version in registry.versions(settings)}
    found: list[SiteRun] = []
    for run_id in reversed(find_storage(settings).children(runs_address(settings))):
        if len(found) == newest:
            break
        record = _read(settings, run_id, RECORD, RunRecord)
        if record is not None:
            status = run_status(record.status, record.host, record.pid, record.started_at)
            found.append(_with_results(settings, msgspec.structs.replace(record, status=status), versions))
    return found


def _with_results(settings: Settings, record: RunRecord, versions: dict[str, Version]) -> SiteRun:
    version = versions.get(record.version)
    verdict = _read(settings, record.id, VERDICT, Verdict)
    if verdict is None and version and version.run_id == record.id:
        verdict = version.verdict  # runs of earlier versions of the project have only this
    model = _model(settings, version) if version else None
    return SiteRun(
        record=record,
        version=version,
        model=model,
        recipe=_recipe(settings, version, model) if version and model and "recipe" in model.facts else None,
        comparison=_read(settings, record.id, COMPARISON, Comparison),
        verdict=verdict,
        curves=_curves(settings, version) if version else None,
        report=_content(settings, run_file(settings, record.id, REPORT)) or b"",
        run_file=_content(settings, run_file(settings, record.id, RUN_FILE)) or b"",
        before=_order(settings, record.id),
    )


def _read(settings: Settings, run_id: str, name: str, kind: type[Kind]) -> Kind | None:
    """Return a file of a run, or None if the run does not have it. Raises TuningError if it is damaged."""
    address = run_file(settings, run_id, name)
    content = _content(settings, address)
    storage = find_storage(settings)
    remedy = f"No command can make it again. Restore it, or delete {storage.shown(address)} to do without it"
    return None if content is None else decode_record(content, kind, storage.shown(address), remedy)


def _curves(settings: Settings, version: Version) -> Curves | None:
    address = f"{registry.model_address(settings, version)}/{WEIGHTS}/{CURVES}"
    content = _content(settings, address)
    where = find_storage(settings).shown(address)
    return None if content is None else decode_record(content, Curves, where, _RESTORE)


def _model(settings: Settings, version: Version) -> Model | None:
    address = f"{registry.model_address(settings, version)}/{MODEL}"
    content = _content(settings, address)
    where = find_storage(settings).shown(address)
    return None if content is None else decode_record(content, Model, where, _RESTORE)


def _recipe(settings: Settings, version: Version, model: Model) -> Recipe:
    try:
        return msgspec.convert(model.facts["recipe"], Recipe)
    except msgspec.ValidationError as error:
        where = find_storage(settings).shown(f"{registry.model_address(settings, version)}/{MODEL}")
        raise TuningError(f"{where} is damaged ({error})", _RESTORE) from None


def _content(settings: Settings, address: str) -> bytes | None:
    storage = find_storage(settings)
    try:
        found = storage.read(address)
    except OSError as error:
        raise unreadable(storage.shown(address), error, "Restore it, or delete it to do without it") from None
    return None if found is None else found.content


class _Task(msgspec.Struct, frozen=True, rename="camel"):
    dependent_tasks: list[str] = []


class _Dag(msgspec.Struct, frozen=True):
    tasks: dict[str, _Task] = {}


class _Root(msgspec.Struct, frozen=True):
    dag: _Dag = _Dag()


class _Pipeline(msgspec.Struct, frozen=True):
    root: _Root = _Root()


def _order(settings: Settings, run_id: str) -> dict[str, list[str]]:
    """Return which steps each step of a run's compiled pipeline waits for. Steps that import files do not count.

    Raises TuningError if the pipeline is damaged.
    """
    address = run_file(settings, run_id, _PIPELINE)
    try:
        content = _content(settings, address) or b""
        loaded = yaml.load(content, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - safe
        tasks = msgspec.convert(loaded or {}, _Pipeline).root.dag.tasks
        steps = {name: task for name, task in sorted(tasks.items()) if not name.startswith("importer")}
        order = {name: sorted(steps.keys() & task.dependent_tasks) for name, task in steps.items()}
        TopologicalSorter(order).prepare()
    except (yaml.YAMLError, *WRONG_YAML, TypeError) as error:  # of these, ValueError is also a circle
        where = find_storage(settings).shown(address)
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise TuningError(f"{where} is damaged ({reason})", f"Delete {where} to do without it") from None
    return order


def plain_name(step: str) -> str:
    """Return the name of a step without the number that Vertex AI shows before it."""
    return next((name for name, shown in STEPS.items() if shown == step), step)
