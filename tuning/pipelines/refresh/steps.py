"""Run the steps that a refresh adds before and after the steps of the tuning. None of them is ever taken from a cache.

The KFP components call these functions.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import msgspec

from tuning.cloud.estimate import check_budget, check_shared, estimate_run, estimate_tuning
from tuning.dataset.create import create_dataset, remarks
from tuning.dataset.dataset import open_dataset
from tuning.dataset.snapshot.export import export
from tuning.dataset.snapshot.snapshot import open_snapshot
from tuning.pipelines.outcome import Output
from tuning.pipelines.plan import Plan
from tuning.pipelines.refresh.outcome import Outcome, find_outcome, write_outcome
from tuning.pipelines.refresh.request import RefreshRequest, refresh_key, resolve
from tuning.pipelines.refresh.webhook import notify as send
from tuning.pipelines.release.places import inputs_in
from tuning.pipelines.release.record import read_run, start_run, write_run
from tuning.pipelines.release.release import find_opponent, opponent_arguments
from tuning.pipelines.release.release import release as release_model
from tuning.pipelines.steps.process import NO_CHAMPION, Artifact, output_folder
from tuning.pipelines.steps.requests import TuningRequest, dataset_arguments, read_request, training_key
from tuning.pipelines.tuning import REFRESH
from tuning.records import read_record, write_record
from tuning.registry.deployment import publish
from tuning.settings import load_settings
from tuning.storage import link_or_copy, mounted
from tuning.target import command_in_words, find_target
from tuning.tuners.select import find_tuner
from tuning.warehouse.dbt import ensure_built


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """Hold the key of the source, options and code of a refresh."""

    key: str


class Prepared(NamedTuple):
    """Hold the arguments that the dataset step passes to the steps of the tuning."""

    dataset_uri: str
    dataset_sha256: str
    champion_uri: str
    champion_sha256: str


def build_mart(request: Artifact, run: str, source: Artifact) -> bool:
    """Build the mart with dbt, unless a refresh has ended with the same source, options and code.

    Return whether the refresh goes on. `run` is the name of this run. Raises TuningError if the source is empty, or if
    dbt fails.
    """
    spec = read_request(request.path, RefreshRequest)
    settings, variables, options = resolve(spec)
    key, found = refresh_key(settings, variables, options, spec.identity)
    write_record(Path(source.path), Source(key=key))
    earlier = None if spec.again else find_outcome(settings, key)
    if earlier:
        lines = [
            f"nothing has changed: source, options and code are those of the run {earlier.run_id}",
            *earlier.lines,
        ]
        write_outcome(settings, run, Outcome(lines=lines))
        print(f"note: {lines[0]}", flush=True)
        return False
    print(f"note: the source is {found.get('name') or f'{settings.raw_database}.{settings.raw_schema}'}", flush=True)
    built = ensure_built(settings, variables)
    for warning in built.warnings if built else ():
        print(f"note: {warning}", flush=True)
    return True


def export_snapshot(request: Artifact, snapshot: Artifact) -> None:
    """Export the mart as a snapshot. The output has its description and, if they are on this machine, its files.

    Raises TuningError if the mart cannot be exported.
    """
    settings, variables, options = resolve(read_request(request.path, RefreshRequest))
    exported = export(settings, variables, options)
    print(f"note: {exported.rows:,} rows in the mart", flush=True)
    folder = output_folder(snapshot)
    for file in sorted(exported.folder.iterdir()):
        link_or_copy(file, folder / file.name)


def prepare_dataset(request: Artifact, snapshot: Artifact, tuning: Artifact, tuner_code: str) -> Prepared:
    """Make the dataset, and find the champion that its model must beat. Return the arguments that name them.

    Raises TuningError if the snapshot does not give a dataset, if the tuning on it exceeds the budget, or
    if it cannot be shared among several machines.
    """
    spec = read_request(request.path, RefreshRequest)
    settings, _, options = resolve(spec)
    dataset = create_dataset(settings, open_snapshot(Path(snapshot.path), settings), options)
    rows = {name: facts.rows for name, facts in dataset.manifest.files.items()}
    print(f"note: dataset {dataset.id}: {rows['train.jsonl']:,} train and {rows['eval.jsonl']:,} eval examples")
    for remark in remarks(dataset):
        print(f"note: {remark}", flush=True)
    tuner = find_tuner(read_request(tuning.path, TuningRequest).tuner)
    check_shared(settings, dataset, tuner, spec.tune)
    if settings.budget:
        check_budget(settings, [estimate_tuning(settings, dataset, tuner, spec.tune), estimate_run(settings)])
    inputs = inputs_in(settings, spec.requests)
    dataset, address = inputs.dataset(dataset)
    arguments = dataset_arguments(dataset, address)
    key = training_key({**arguments, "tuning_sha256": tuning.metadata["sha256"], "tuner_code": tuner_code})
    opponent = find_opponent(settings, spec.tune.base_model, key)
    if opponent is None:
        print(NO_CHAMPION, flush=True)
    arguments |= opponent_arguments(settings, opponent, inputs)
    return Prepared(**arguments)


@dataclass(frozen=True, kw_only=True)
class ReleaseSources:
    """Hold the artifacts that a release reads. `outputs` are those that the steps of the tuning made, by name."""

    source: Artifact
    dataset: Artifact
    tuning: Artifact
    outputs: Mapping[str, Artifact]


def release(request: Artifact, sources: ReleaseSources, tuner_code: str, run: str, job: str) -> None:
    """Register the model, and promote it if the verdict allows that. Write the run's record and its outcome.

    `run` is the ID of the run if a command follows it; else the run gets an ID here, and `job` is the name of the job.
    Raises TuningError if the registry refuses the model.
    """
    dataset, tuning, outputs = sources.dataset, sources.tuning, sources.outputs
    settings = load_settings(read_request(request.path, RefreshRequest).settings)
    asked = read_request(tuning.path, TuningRequest)
    opened = open_dataset(Path(dataset.path))
    if run:
        folder = settings.runs_dir / run
        record = read_run(folder)
    else:
        folder, record = start_run(settings, REFRESH, base_model=asked.options.base_model)
    arguments = {
        "dataset_sha256": dataset.metadata["sha256"],
        "tuning_sha256": tuning.metadata["sha256"],
        "tuner_code": tuner_code,
    }
    record = msgspec.structs.replace(record, dataset_id=opened.id, arguments=record.arguments | arguments)
    found = {name: Output(path=artifact.path, metadata=dict(artifact.metadata)) for name, artifact in outputs.items()}
    plan = Plan(dataset=opened, tuner=asked.tuner, tune=asked.options)
    released = release_model(settings, plan, folder, record, found, [], job="" if run else job)
    if not run:
        record = msgspec.structs.replace(record, status="succeeded")
    write_run(settings, folder, released.noted_in(record))
    outcome = Outcome(run_id=record.id, lines=released.in_lines)
    write_outcome(settings, run or job, outcome)
    if not released.outdated:  # else the next refresh compares the model with the new champion
        write_outcome(settings, read_record(Path(sources.source.path), Source, "Run the command again").key, outcome)
    for line in [*released.in_lines, *publish(settings)]:
        print(line, flush=True)


def notify(request: str, run: str, state: str, error: str) -> None:
    """Send the end of the run to the webhook, if one is set. `request` is the address of the refresh's request.

    `state` is KFP's: SUCCEEDED, FAILED or CANCELLED. Raises TuningError if the webhook refuses the message.
    """
    settings = load_settings(read_request(mounted(request), RefreshRequest).settings)
    outcome = find_outcome(settings, run)
    why = f" ({error})" if error and find_target(settings).on_vertex else ""  # kfp.local names only the exit handler
    lines = [f"{REFRESH} {run}: {state.lower()}{why}", *(outcome.lines if outcome else [])]
    if state != "SUCCEEDED" and outcome is None:
        champion = "the champion is unchanged"
        lines.append(f"{champion}; {command_in_words(settings, f'status {run}')} shows the step that failed")
    sent = send(settings, "\n".join(lines))
    print("sent the message to the webhook" if sent else "no webhook is set", flush=True)
