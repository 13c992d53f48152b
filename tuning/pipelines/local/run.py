"""Tune on this machine: run the compiled pipeline with kfp.local, then register the model."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec

from tuning.pipelines.hello import NAME as HELLO
from tuning.pipelines.hello import compile_hello
from tuning.pipelines.local.cache import drop_broken_entries, prune_outputs, prune_work
from tuning.pipelines.local.log import UNKNOWN, Stages
from tuning.pipelines.local.runner import LocalRun, pipeline_root, run_template
from tuning.pipelines.outcome import Step, took
from tuning.pipelines.plan import Plan
from tuning.pipelines.release.places import inputs_in
from tuning.pipelines.release.record import ended, start_run, write_run
from tuning.pipelines.release.release import PipelineRun, arguments_against_champion, release
from tuning.pipelines.steps.requests import ChampionRequest, read_request
from tuning.pipelines.tuning import CHAMPION_STEP, NAME, PIPELINES, STEPS, compile_pipeline
from tuning.settings import Settings
from tuning.tuners.tracking import check_trackers

_UNFINISHED_DAYS = 30  # older unfinished tunings are deleted and start from the beginning


def run_local(
    settings: Settings, plan: Plan, *, before: Sequence[Step] = (), show: Callable[[str], None] = print
) -> PipelineRun:
    """Run the pipeline as planned, register the model, and promote it if the gate allows it.

    A step whose inputs, options and code are unchanged is taken from the cache. `before` holds the steps that ran
    before the pipeline; the record and the report list them too. Raises TuningError with the step's own message if a
    step fails; nothing is registered then. The caller is `alone` in the home.
    """
    check_trackers(settings)
    folder, record = start_run(settings, NAME, plan.dataset.id, plan.run_file, plan.tune.base_model)
    started = time.monotonic()
    try:
        inputs = inputs_in(settings, requests_folder(settings))
        dataset, address = inputs.dataset(plan.dataset)
        plan = replace(plan, dataset=dataset)
        arguments = arguments_against_champion(settings, plan, address, inputs)
        record = msgspec.structs.replace(record, arguments=arguments)
        template = compile_pipeline(settings, folder / "pipeline.yaml")
        opponent = read_request(arguments["champion_uri"], ChampionRequest)
        idle = () if opponent.folder else (CHAMPION_STEP,)
        stages = Stages(len(before), len(before) + len(STEPS) - len(idle), idle)
        ran = run_cached(settings, template, arguments, folder, show, stages=stages)
        steps = [*before, *ran.steps]
        released = release(settings, plan, folder, record, ran.outputs, steps)
        run = replace(released, seconds=took(started, before))
    except BaseException as error:
        write_run(settings, folder, msgspec.structs.replace(ended(record, error), seconds=took(started, before)))
        raise
    write_run(settings, folder, msgspec.structs.replace(run.noted_in(record), status="succeeded"))

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
        settings, folder, msgspec.structs.replace(record, status="succeeded", seconds=took(started), steps=ran.steps)
    )
    return str(ran.outputs["Output"].value)


def run_cached(
    settings: Settings,
    template: Path,
    arguments: dict[str, str],
    folder: Path,
    show: Callable[[str], None],
    stages: Stages = UNKNOWN,
) -> LocalRun:
    """Run a compiled pipeline as `run_template` does. First remove broken entries of the cache, and left-overs."""
    root = pipeline_root(settings)
    for lost in drop_broken_entries(root / "cache"):
        show(f"  {lost} is damaged or missing, so its step runs again")
    freed = sum(prune_outputs(root, name) for name in PIPELINES) + prune_work(settings.home / "work", _UNFINISHED_DAYS)
    if freed:
        show(f"  removed {freed:,} bytes of unused files from earlier runs")
    return run_template(settings, template, arguments, folder, show, stages=stages)


def requests_folder(settings: Settings) -> str:
    """Return the folder of the requests that the steps read."""
    return str(pipeline_root(settings) / "requests")
