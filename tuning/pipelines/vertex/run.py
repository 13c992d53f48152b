"""Tune on Vertex AI: submit the compiled pipeline as a job, follow it until it ends, and register its model."""

import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec

from tuning.errors import TuningError
from tuning.evaluation.records import Comparison, Verdict
from tuning.gcs.storage import get_files, list_files
from tuning.pipelines.outcome import Output, Step, took
from tuning.pipelines.plan import Plan
from tuning.pipelines.release.record import ended, start_run, write_run
from tuning.pipelines.release.release import PipelineRun, release, track
from tuning.pipelines.steps.process import read_output
from tuning.pipelines.tuning import NAME, STEPS
from tuning.pipelines.vertex import jobs
from tuning.pipelines.vertex.job import Job
from tuning.pipelines.vertex.template_job import SubmitOptions, send
from tuning.pipelines.vertex.tuning_job import tuning_request
from tuning.registry.deployment import publish
from tuning.settings import Settings
from tuning.tuners.tracking import VERTEX, trackers

# The outputs that a release needs, by name. Each value is a task and the name of one of its outputs.
OUTPUTS = {
    "model": ("tune", "model"),
    "comparison": ("compare", "comparison"),
    "verdict": ("gate", "verdict"),
    "page": ("report", "page"),
    "summary": ("report", "summary"),
}


def run_vertex(
    settings: Settings, plan: Plan, *, before: Sequence[Step] = (), show: Callable[[str], None] = print
) -> PipelineRun:
    """Run the pipeline on Vertex AI, download its outputs, register the model, and promote it if the gate allows it.

    If a job with the same inputs is running or has succeeded, that job is followed and no new job is sent. If an output
    is gone, the job is sent again, and takes nothing from the cache. The aliases
    in Google's Model Registry are updated. `before` holds the steps that ran before the pipeline. Raises TuningError if
    the job cannot be sent or does not succeed; nothing is registered then.
    """
    request = tuning_request(settings, plan, SubmitOptions(), show)
    folder, record = start_run(settings, NAME, plan.dataset.id, plan.run_file, plan.tune.base_model)
    record = msgspec.structs.replace(record, arguments=dict(request.parameters))
    write_run(settings, folder, record)
    started = time.monotonic()
    try:
        job = jobs.wait(settings, send(settings, request, again=False, show=show).id, show)
        if gone := _gone(settings, job):
            show(f"{gone} is gone, so the job runs again and repeats all steps")
            job = jobs.wait(settings, send(settings, request, again=True, show=show).id, show)
        outputs = {name: _fetch(settings, job, folder / "outputs" / name, *source) for name, source in OUTPUTS.items()}
        steps = [*before, *_steps(job)]
        released = release(settings, plan, folder, record, outputs, steps, job=job.id)
        for line in publish(settings):
            show(line)
    except BaseException as error:
        write_run(settings, folder, msgspec.structs.replace(ended(record, error), seconds=took(started, before)))
        raise
    run = replace(released, seconds=took(started, before))
    write_run(settings, folder, msgspec.structs.replace(run.noted_in(record), status="succeeded"))
    return run


def track_job(settings: Settings, plan: Plan, job: Job) -> None:
    """Send a job that has succeeded to Vertex AI Experiments. Register nothing. A failure is a warning on stderr.

    Other trackers would have the run twice if the same command is typed again.
    """
    if VERTEX not in trackers(settings):
        return
    try:
        with tempfile.TemporaryDirectory() as folder:
            read = {
                name: _fetch(settings, job, Path(folder) / name, *OUTPUTS[name]) for name in ("comparison", "verdict")
            }
            comparison = read_output(read["comparison"].path, Comparison)
            verdict = read_output(read["verdict"].path, Verdict)
    except TuningError as error:
        print(f"warning: the run {job.id} is not tracked ({error})", file=sys.stderr, flush=True)
        return
    track(msgspec.structs.replace(settings, tracking=VERTEX), job.id, plan, comparison, verdict)


def _gone(settings: Settings, job: Job) -> str:
    """Return the address of an output of the job that is no longer in the bucket, or '' if none is gone."""
    found = [job.output(task, name) for task, name in OUTPUTS.values()]
    return next((one.uri for one in found if one and not list_files(settings, one.uri)), "")


def _fetch(settings: Settings, job: Job, target: Path, task: str, name: str) -> Output:
    """Download one output of the job, a file or a folder, with its metadata."""
    found = job.output(task, name)
    if found is None:
        raise TuningError(f"the job {job.id} has no output {name} of the step {STEPS[task]}", f"See {job.link}")
    if not get_files(settings, found.uri, target):
        raise TuningError(
            f"the output {found.uri} of the job {job.id} is missing",
            "See who deletes files of the bucket (`invoke cloud.check --target gcp` reads its rules), and run the "
            "command again",
        )
    return Output(path=str(target), metadata=dict(found.metadata))


def _steps(job: Job) -> list[Step]:
    return [
        Step(name=STEPS[task.name], seconds=task.seconds, cached=task.state == "SKIPPED")
        for task in job.tasks
        if task.name in STEPS
    ]
