"""Tune on this machine: run the compiled pipeline with kfp.local, then register the model."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import msgspec

from tuning.dataset.dataset import Dataset, open_dataset
from tuning.errors import TuningError
from tuning.gcs.storage import find_storage
from tuning.pipelines.hello import NAME as HELLO
from tuning.pipelines.hello import compile_hello
from tuning.pipelines.local.cache import drop_broken_entries, prune_outputs, prune_work
from tuning.pipelines.local.runner import pipeline_root, run_template
from tuning.pipelines.outcome import Step
from tuning.pipelines.plan import Plan
from tuning.pipelines.release.record import ended, start_run, write_run
from tuning.pipelines.release.release import PipelineRun, arguments_against_champion, release
from tuning.pipelines.tuning import NAME, compile_pipeline
from tuning.registry import registry
from tuning.registry.records import Version
from tuning.settings import Settings
from tuning.storage import locked, write_bytes

_UNFINISHED_DAYS = 30  # older unfinished tunings are deleted and start from the beginning


def run_local(
    settings: Settings, plan: Plan, *, before: Sequence[Step] = (), show: Callable[[str], None] = print
) -> PipelineRun:
    """Run the pipeline as planned, register the model, and promote it if the gate allows it.

    A step whose inputs, options and code are unchanged is taken from the cache. `before` holds the steps that ran
    before the pipeline; the record and the report list them too. Raises TuningError with the step's own message if a
    step fails; nothing is registered then.
    """
    with locked(pipeline_root(settings) / ".lock", "the local pipeline", timeout=15):
        folder, record = start_run(settings, NAME, plan.dataset.id)
        started = time.monotonic()
        try:
            plan = replace(plan, dataset=_here(settings, plan.dataset))
            arguments = _arguments(settings, plan)
            record = msgspec.structs.replace(record, arguments=arguments)
            for lost in drop_broken_entries(pipeline_root(settings) / "cache"):
                show(f"  {lost} is damaged or missing, so its step runs again")
            _prune(settings, show)
            template = compile_pipeline(settings, folder / "pipeline.yaml")
            ran = run_template(settings, template, arguments, folder, show)
            steps = [*before, *ran.steps]
            run = release(settings, plan, folder, record, ran.outputs, steps)
        except BaseException as error:
            write_run(settings, folder, msgspec.structs.replace(ended(record, error), seconds=_since(started)))
            raise
        done = msgspec.structs.replace(
            record,
            status="succeeded",
            seconds=_since(started),
            steps=run.steps,
            version=run.version.name,
            promoted=run.promoted,
            verdict=run.verdict.status,
        )
        write_run(settings, folder, done)
    return run


def run_hello(settings: Settings, recipient: str, show: Callable[[str], None] = print) -> str:
    """Run the greeting pipeline with the local runner and return the greeting.

    It never uses the cache, because its purpose is to check the runner. Raises TuningError if a step fails.
    """
    folder, record = start_run(settings, HELLO)
    started = time.monotonic()
    template = compile_hello(folder / "pipeline.yaml", settings.image)
    ran = run_template(settings, template, {"recipient": recipient}, folder, show, caching=False)
    write_run(
        settings, folder, msgspec.structs.replace(record, status="succeeded", seconds=_since(started), steps=ran.steps)
    )
    return str(ran.outputs["Output"].value)


def _prune(settings: Settings, show: Callable[[str], None]) -> None:
    freed = prune_outputs(pipeline_root(settings), NAME) + prune_work(settings.home / "work", _UNFINISHED_DAYS)
    if freed:
        show(f"  removed {freed:,} bytes of unused files from earlier runs")


def _here(settings: Settings, dataset: Dataset) -> Dataset:
    """Return the dataset in a local folder, as the steps need it. Download its files if they are in Cloud Storage."""
    if not dataset.objects:
        return dataset
    folder = settings.cache_dir / "datasets" / dataset.id
    storage = find_storage(settings)
    for name in dataset.files():
        stored = dataset.objects.get(name)
        if stored is None:
            write_bytes(folder / name, (dataset.folder / name).read_bytes())
        elif storage.get(stored.uri, folder / name).crc32c != stored.crc32c:
            raise TuningError(
                f"{stored} was changed after the dataset was created", "Create it again with `invoke dataset`"
            )
    return open_dataset(folder)


def _arguments(settings: Settings, plan: Plan) -> dict[str, str]:
    def place(name: str, content: bytes) -> str:
        path = pipeline_root(settings) / "requests" / name
        write_bytes(path, content)
        return str(path)

    def folder_of(version: Version) -> str:
        return str(registry.model_folder(settings, version))

    return arguments_against_champion(settings, plan, str(plan.dataset.folder), place, folder_of)


def _since(started: float) -> float:
    return round(time.monotonic() - started, 1)
