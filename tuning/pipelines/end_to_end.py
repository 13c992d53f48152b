"""Run all steps: fill the warehouse, build with dbt, create the dataset, and run the pipeline.

A step that is already finished is reused.
"""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from tuning.command_line.options import BuildOptions, OwnOptions, SplitOptions, TuningOptions
from tuning.dataset.create import create_dataset, remarks
from tuning.dataset.dataset import Dataset, find_dataset
from tuning.dataset.options import DatasetOptions, resolve_variables
from tuning.dataset.own.files import find_sources
from tuning.dataset.own.snapshot import make_own_snapshot
from tuning.dataset.similar.decontaminate import read_benchmark
from tuning.dataset.snapshot.export import export
from tuning.dataset.snapshot.snapshot import Snapshot
from tuning.dataset.workspace.engine import HERE, Engine
from tuning.errors import TuningError
from tuning.pipelines.local.alone import alone
from tuning.pipelines.local.run import run_local
from tuning.pipelines.outcome import Step
from tuning.pipelines.plan import Plan
from tuning.pipelines.release.release import PipelineRun
from tuning.pipelines.steps.validation import MINIMUM_EVALUATION, check_evaluation
from tuning.pipelines.tuning import STEPS
from tuning.pipelines.vertex.run import run_vertex
from tuning.pipelines.vertex.tuning_job import check_build_budget, check_start
from tuning.progress import stage
from tuning.registry.continuing import check_dataset, continue_version
from tuning.settings import Settings
from tuning.sources.load_sample import load_sample_if_empty
from tuning.target import find_target
from tuning.tuners.hf.preview import preview
from tuning.tuners.options import check_own, dataset_options, tuning_settings
from tuning.tuners.protocol import TuneOptions
from tuning.tuners.tracking import check_trackers
from tuning.warehouse.dbt import Variables, ensure_built

_NOT_LOST = frozenset(("read", "limit", "repeat", "written"))  # steps of the funnel without a fault of a row
MART_STAGES, OWN_STAGES = 3, 2  # build, export and dataset; files and dataset
Show = Callable[[str], None]


@dataclass
class Steps:
    """Record the time of each step and whether it was reused, and print each step when it ends.

    `stages` is the number of all stages of the command, for the display of progress; 0: it is not known yet.
    """

    show: Show
    stages: int = 0
    done: list[Step] = field(default_factory=list)

    @contextmanager
    def step(self, name: str) -> Iterator[Callable[[str, bool], None]]:
        """Time a step. Yields ``ended(what, reused)``: call it with the result as text and whether it was reused."""
        outcome: list[tuple[str, bool]] = []
        started = time.monotonic()
        with stage(name, len(self.done) + 1, self.stages):
            yield lambda what, reused: outcome.append((what, reused))
        seconds = round(time.monotonic() - started, 1)
        for what, reused in outcome:
            self.done.append(Step(name=name, seconds=seconds, cached=reused))
            self.show(f"{name}: {what} ({'reused, ' if reused else ''}{seconds:.1f} s)")


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """Hold the options that the user gave for the dbt build, the dataset and the tuning.

    With `dataset_id`, nothing is built and the model is tuned on that dataset. With `own`, nothing is built either, and
    the dataset is made of these files.
    """

    build: BuildOptions = BuildOptions()
    made: SplitOptions = SplitOptions()
    own: OwnOptions = OwnOptions()
    tuning: TuningOptions = TuningOptions()
    preset: str | None = None
    dataset_id: str = ""
    run_file: str = ""  # the text of the file that repeats the command
    continues: str = ""  # the version whose adapter is trained further


@dataclass(frozen=True)
class _Runner:
    """Hold how the pipeline runs on a target: what is checked before the dataset is made, and what runs it.

    From before the dataset is made until the run ends, the command is `alone`.
    """

    alone: Callable[[Settings], AbstractContextManager[None]]
    check_start: Callable[[Settings, TuneOptions], None]
    check_build: Callable[[Settings, Variables], None]
    run: Callable[..., PipelineRun]


def _find_runner(settings: Settings) -> _Runner:
    target = find_target(settings)
    if target.on_vertex:
        return _Runner(lambda _: nullcontext(), check_start, check_build_budget, run_vertex)

    def refuse_gemini(chosen: Settings, _: TuneOptions) -> None:
        if chosen.tuner == "gemini":
            target.require_vertex()

    return _Runner(lambda chosen: alone(chosen, "invoke tune"), refuse_gemini, lambda *_: None, run_local)


def tune_all(settings: Settings, given: Given, show: Show) -> PipelineRun:
    """Run every step from the warehouse to an evaluated model.

    Raises TuningError if options conflict, if another command runs pipelines in this home, if there are too few rows
    for evaluation, or if a step fails.
    """
    steps, runner = Steps(show), _find_runner(settings)
    with runner.alone(settings):
        settings, plan = _prepare(settings, given, steps, runner, len(STEPS))
        rows = {split: plan.dataset.manifest.files[f"{split}.jsonl"].rows for split in ("train", "eval")}
        advice = more_rows(given, plan.dataset, sum(rows.values()))
        check_evaluation(plan.dataset, rows["eval"], advice)  # before a run is recorded
        return runner.run(settings, plan, before=steps.done, show=show)


def more_rows(given: Given, dataset: Dataset, rows: int) -> str:
    """Return what a person can do if too few of the `rows` of the dataset are for evaluation."""
    options = dataset.manifest.options
    if given.dataset_id:
        return "Use another --dataset"
    if not given.own.given():
        limit = " or a larger --limit" if given.made.limit else ""
        if options["split"] == "time":
            return f"Give an earlier --split-date{limit}"
        if options["preset"]:  # which sets the share
            return "Increase --limit" if limit else "Leave out --preset"
        return f"Give a larger --eval-fraction{limit}"
    if given.own.eval_:
        return "Add rows to --eval"
    # Twice as many rows as needed, because a hash decides, and at least twice the share that gave too few.
    share = max(2 * MINIMUM_EVALUATION / rows if rows else 1, 2 * float(str(options["eval_fraction"])))
    share = math.ceil(round(100 * share, 6)) / 100
    hold_out = f"hold out more of the {rows} rows with --eval-fraction {share:g}, " if share <= 1 / 2 else ""
    return f"Name other rows for evaluation with --eval FILE, {hold_out}or give more rows"


def preview_all(settings: Settings, given: Given, show: Show, examples: int) -> None:
    """Show the first training examples, from the dataset that `tune_all` would tune on with the same options.

    Nothing is trained. Raises TuningError if `examples` is less than 1, if options conflict, or if a step fails.
    """
    if examples < 1:
        raise TuningError("--preview takes a number of at least 1", "Leave it out to start the tuning")
    settings, plan = _prepare(settings, given, Steps(show), _find_runner(settings), 0)
    for line in preview(settings, plan.dataset, plan.tune, examples):
        show(line)


def _prepare(settings: Settings, given: Given, steps: Steps, runner: _Runner, after: int) -> tuple[Settings, Plan]:
    """Run the steps before the pipeline, which has `after` steps. Return the tuning's settings and its plan."""
    check_trackers(settings)
    settings, options = tuning_settings(settings, given.tuning, given.made.seed, continues=bool(given.continues))
    if given.continues:
        options = continue_version(settings, given.continues, options, given.tuning.base_model)
    runner.check_start(settings, options)
    if given.own.given():
        check_own(given.own, given.build, given.made, given.preset)
        find_sources(given.own.train or [], given.own.eval_ or [])  # raises an error before a base model is fetched
    if given.dataset_id:
        if given.own.given() or given.build.given() or given.made.given().keys() - {"seed"} or given.preset:
            raise TuningError(
                "--dataset uses an existing dataset, so options that create a new one cannot be given",
                "Leave out --dataset, or leave out those options",
            )
        dataset = find_dataset(settings, given.dataset_id)
    else:
        variables = resolve_variables(given.preset, given.build)
        if not given.own.train:
            runner.check_build(settings, variables)
        with steps.step("base model") as ended:
            before = time.time()
            wanted = dataset_options(settings, given.preset, given.made, options.base_model)
            if wanted.tokenizer:
                ended(f"token counts use {wanted.tokenizer}", wanted.tokenizer.stat().st_mtime < before)
        fill = find_target(settings).has_own_bigquery  # with the sample, if it is empty
        coming = OWN_STAGES if given.own.train else MART_STAGES + fill
        steps.stages = len(steps.done) + coming + after
        if given.own.train:
            dataset = make_own_dataset(settings, given.own, wanted, steps)
        else:
            dataset = make_dataset(settings, variables, wanted, steps, fill=fill)
        for remark in remarks(dataset):
            steps.show(remark)
    if options.continues:
        check_dataset(settings, options, dataset)
    return settings, Plan(dataset=dataset, tuner=settings.tuner, tune=options, run_file=given.run_file)


def make_dataset(
    settings: Settings,
    variables: Variables,
    options: DatasetOptions,
    steps: Steps,
    *,
    fill: bool = False,
    workers: int | None = None,
    engine: Engine = HERE,
) -> Dataset:
    """Build the mart, export a snapshot and create the dataset. Steps that are already finished are reused.

    With `fill`, an empty local warehouse is first filled with the sample. Raises TuningError if a step fails.
    """
    if options.decontaminate:
        read_benchmark(options.decontaminate)  # a benchmark that cannot be used is an error before the mart is built
    if fill:
        with steps.step("warehouse") as ended:
            loaded = load_sample_if_empty(settings)
            ended("loaded the sample of questions" if loaded else "already has data", loaded is None)
    with steps.step("build") as ended:
        built = ensure_built(settings, variables)
        ended("dbt built the mart" if built else "the mart is up to date", built is None)
    for warning in built.warnings if built else ():
        steps.show(f"warning: {warning}")
    with steps.step("export") as ended:
        known = _names(settings.home / "snapshots")
        snapshot = export(settings, variables, options)
        ended(f"{snapshot.rows:,} rows in {snapshot.folder}", snapshot.folder.name in known)
    return _dataset_of(settings, snapshot, options, steps, workers, engine)


def make_own_dataset(
    settings: Settings,
    own: OwnOptions,
    options: DatasetOptions,
    steps: Steps,
    workers: int | None = None,
    engine: Engine = HERE,
) -> Dataset:
    """Create a dataset of a user's own files. Steps that are already finished are reused.

    Raises TuningError if a file cannot be used, or a step fails.
    """
    if options.decontaminate:
        read_benchmark(options.decontaminate)
    sources = find_sources(own.train or [], own.eval_ or [])
    split = "given" if own.eval_ else options.split
    options = msgspec.structs.replace(options, body="text", split=split)
    with steps.step("files") as ended:
        known = _names(settings.home / "snapshots")
        snapshot = make_own_snapshot(settings, sources)
        what = f"{snapshot.rows:,} rows in {len(sources)} file{'s' if len(sources) > 1 else ''}"
        ended(what, snapshot.folder.name in known)
    return _dataset_of(settings, snapshot, options, steps, workers, engine)


def _dataset_of(
    settings: Settings,
    snapshot: Snapshot,
    options: DatasetOptions,
    steps: Steps,
    workers: int | None,
    engine: Engine,
) -> Dataset:
    with steps.step("dataset") as ended:
        known = _names(settings.datasets_dir)
        dataset = create_dataset(settings, snapshot, options, workers, engine)
        rows = {name: facts.rows for name, facts in dataset.manifest.files.items()}
        not_lost = _NOT_LOST if options.is_own else _NOT_LOST | {"quality"}  # of a mart, rules that a person chose
        left_out = sum(row["rows"] for row in dataset.manifest.funnel if row["step"] not in not_lost)
        lost = f" ({left_out:,} row{'s' * (left_out > 1)} left out: see its card)" if left_out else ""
        examples = f"{rows['train.jsonl']:,} train and {rows['eval.jsonl']:,} eval examples{lost}"
        ended(f"{examples} in {dataset.address}", dataset.id in known)
    return dataset


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.glob("*")}
