"""The command line: `invoke --list` shows every task, `invoke --help TASK` its options."""

from typing import Annotated, Literal

from invoke.collection import Collection
from invoke.context import Context
from msgspec import Meta

from tuning.command import Options, command
from tuning.positional import JobOrNewest, QuestionOrFile
from tuning.settings import Settings, describe, load_settings

namespace = Collection()


@command
def config(c: Context, settings: Settings) -> None:
    """Print the effective settings and where each came from.

    Example: TUNING_HOME=/data/tuning invoke config --target gcp
    """
    for name, value, origin, description in describe(
        {"target": settings.target if settings != load_settings() else None}
    ):
        print(f"{name:22} {value or '-':40} {origin:24} {description}")


namespace.add_task(config)


class BuildOptions(Options, frozen=True, kw_only=True):
    """What varies the mart."""

    tag_pattern: Annotated[str | None, Meta(description="RE2 pattern searched in each single tag")] = None
    since: Annotated[str | None, Meta(description="answers created on or after this date (YYYY-MM-DD)")] = None


class SplitOptions(Options, frozen=True, kw_only=True):
    """What varies the dataset made of a mart."""

    format: Annotated[
        str | None,
        Meta(
            description="notebook, text-bison, gemini, messages, prompt-completion, gemini-preference, trl-preference"
        ),
    ] = None
    body: Annotated[str | None, Meta(description="markdown or html")] = None
    split: Annotated[str | None, Meta(description="hash, time (needs --split-date) or random")] = None
    split_date: Annotated[
        str | None, Meta(description="answers of this day (YYYY-MM-DD) and later are the evaluation side")
    ] = None
    eval_fraction: Annotated[float | None, Meta(description="share of the evaluation side")] = None
    seed: Annotated[int | None, Meta(description="salt of the split and of --limit")] = None
    limit: Annotated[
        int | None, Meta(description="this many questions at most; a smaller sample is part of a larger one")
    ] = None
    decontaminate: Annotated[
        str | None, Meta(description="file of a benchmark; examples that share 13 words in a row with it are dropped")
    ] = None
    tokenizer: Annotated[
        str | None,
        Meta(description="smollm2, a Hugging Face name or folder: the model that counts tokens (tune: its base model)"),
    ] = None


@command(
    positional=["path"],
    help={
        "path": "a dump: Posts.xml, a folder with one, or an official .7z",
        "site": "such as stackoverflow or cardano (default: what the file's name says, else stackoverflow)",
        "tag": "only questions with a tag containing this text, and their answers; users and links are loaded whole",
        "workers": "threads that parse; all cores unless given",
    },
)
def ingest(
    c: Context, settings: Settings, path: str, site: str = "", tag: str = "", workers: int | None = None
) -> None:
    """Load a Stack Exchange dump in place of what the source tables hold.

    Example: invoke ingest ~/Downloads/cardano.stackexchange.com.7z --site cardano
    """
    from pathlib import Path

    from tuning.sources.ingest import ingest as ingest_dump

    print("\n".join(ingest_dump(settings, Path(path).expanduser(), site, tag, workers).lines()))


@command(help={"rows": "questions at most"})
def sample(c: Context, settings: Settings, rows: int = 2500) -> None:
    """Load questions and answers made from this Python's standard library documentation.

    They replace what the source tables hold. Example: invoke sample --rows 500
    """
    from tuning.sources.load_sample import load_sample

    print("\n".join(load_sample(settings, rows).lines()))


namespace.add_task(ingest)
namespace.add_task(sample)


@command
def up(c: Context, settings: Settings) -> None:
    """Start the local BigQuery in the background, so that plain `dbt run` works; an empty one gets the sample."""
    from tuning.sources.load_sample import load_sample_if_empty
    from tuning.warehouse.emulator import ensure
    from tuning.warehouse.in_lines import server_line

    print(server_line(ensure(settings)))
    if report := load_sample_if_empty(settings):
        print("\n".join(report.lines()))


@command
def down(c: Context, settings: Settings) -> None:
    """Stop the local BigQuery; its data stays."""
    from tuning.warehouse.emulator import stop

    print(f"the local BigQuery of {settings.home} {'is stopped' if stop(settings) else 'was not running'}")


@command
def status(c: Context, settings: Settings) -> None:
    """Say whether the local BigQuery runs, where it answers, and where its data and log are."""
    from tuning.warehouse.in_lines import status_lines

    print("\n".join(status_lines(settings)))


@command
def tables(c: Context, settings: Settings) -> None:
    """List the tables of the source with their rows and bytes."""
    from tuning.warehouse.explore import list_tables, table_lines

    print("\n".join(table_lines(list_tables(settings))))


@command(positional=["table"], help={"table": "NAME of the source, or [PROJECT.]DATASET.NAME", "rows": "how many"})
def peek(c: Context, settings: Settings, table: str, rows: int = 3) -> None:
    """Show a few rows of a table, without a query.

    Example: invoke explore.peek posts_questions --rows 3
    """
    from tuning.warehouse.explore import peek as first_rows
    from tuning.warehouse.explore import row_lines

    for row in first_rows(settings, table, rows):
        print("\n".join(row_lines(row)) + "\n")


@command(help={"select": "what to build, in dbt's own syntax; default: all"})
def build(c: Context, settings: Settings, build: BuildOptions, select: str | None = None) -> None:
    """Build and test the marts with dbt; print the rows and bytes of each model and their total.

    Example: invoke build --tag-pattern '^pandas$' --since 2021-01-01
    """
    from tuning.warehouse.dbt import Variables
    from tuning.warehouse.dbt import build as build_marts
    from tuning.warehouse.in_lines import build_lines

    print(
        "\n".join(
            build_lines(build_marts(settings, Variables(**build.given()), select), local=settings.target == "local")
        )
    )


@command(help={"serve": "serve it to this machine until Ctrl-C"})
def docs(c: Context, settings: Settings, serve: bool = False) -> None:
    """Write dbt's documentation with its lineage as one static page."""
    from tuning.warehouse.docs import make_docs
    from tuning.warehouse.docs import serve as serve_page

    page = make_docs(settings)
    print(page)
    if serve:
        serve_page(page, lambda address: print(f"serving {address} until Ctrl-C", flush=True))


namespace.add_collection(Collection("warehouse", up, down, status))
namespace.add_collection(Collection("explore", tables, peek))
namespace.add_task(build)
namespace.add_task(docs)


_PRESET = {"preset": "seed: the seed notebook's choices in place of all these options but --limit"}
_WORKERS = {"workers": "processes; all cores unless given"}
_MAX_LENGTH = {"max-length": "tokens that the trainer reads: examples whose answer begins beyond are dropped"}


@command(help=_PRESET | {"format": "a preference format exports the preferences"})
def export(
    c: Context,
    settings: Settings,
    build: BuildOptions,
    preset: str | None = None,
    format: str | None = None,  # noqa: A002 - the option's name
) -> None:
    """Extract the built mart (of preferences with a preference format) as a Parquet snapshot.

    Example: invoke export --tag-pattern '^pandas$'
    """
    from tuning.dataset.options import resolve_options, resolve_variables
    from tuning.dataset.snapshot.export import export as export_mart

    options = resolve_options(preset, settings.tuner, format=format)
    snapshot = export_mart(settings, resolve_variables(preset, **build.given()), options)
    print(f"snapshot {snapshot.folder}: {snapshot.rows:,} rows of {snapshot.kind}")


@command(help=_PRESET | _WORKERS | _MAX_LENGTH)
def split(
    c: Context,
    settings: Settings,
    made: SplitOptions,
    max_length: int | None = None,
    preset: str | None = None,
    workers: int | None = None,
) -> None:
    """Make a dataset of the newest snapshot: cleaned, de-duplicated, split without leaks, attributed.

    Example: invoke split --format gemini --split time --split-date 2022-01-01
    """
    from tuning.dataset.create import create_dataset, describe_dataset
    from tuning.dataset.options import resolve_variables
    from tuning.dataset.snapshot.export import find_snapshot
    from tuning.tuners.options import dataset_options

    options = dataset_options(settings, preset, made.given() | {"max_length": max_length})
    snapshot = find_snapshot(settings, options, resolve_variables(preset) if preset else None)
    print(describe_dataset(create_dataset(settings, snapshot, options, workers)))


@command(help=_PRESET | _WORKERS | _MAX_LENGTH)
def dataset(
    c: Context,
    settings: Settings,
    build: BuildOptions,
    made: SplitOptions,
    max_length: int | None = None,
    preset: str | None = None,
    workers: int | None = None,
) -> None:
    """Build the mart where it is not built, export it and make a dataset of it: build, export and split in one.

    Example: invoke dataset --preset seed --limit 10000
    """
    from tuning.dataset.create import describe_dataset
    from tuning.dataset.options import resolve_variables
    from tuning.pipelines.end_to_end import Steps, make_dataset
    from tuning.tuners.options import dataset_options

    variables = resolve_variables(preset, **build.given())
    options = dataset_options(settings, preset, made.given() | {"max_length": max_length})
    print(describe_dataset(make_dataset(settings, variables, options, Steps(print), workers=workers)))


namespace.add_task(export)
namespace.add_task(split)
namespace.add_task(dataset)


@command(help={"recipient": "whom to greet"})
def hello(c: Context, settings: Settings, recipient: str = "World") -> None:
    """Run the seed's two-component pipeline on the chosen runner, to see that it works.

    Example: invoke hello --recipient World
    """
    if settings.target == "gcp":
        from tuning.pipelines.hello import compile_hello
        from tuning.pipelines.vertex.template_job import SubmitOptions, submit_template

        template = compile_hello(settings.home / "hello.yaml", settings.image)
        submit_template(settings, str(template), {"recipient": recipient}, SubmitOptions(), print)
        return
    from tuning.pipelines.local.run import run_hello

    print(run_hello(settings, recipient))


@command(name="compile", help={"output": "file to write (default: pipeline.yaml under TUNING_HOME)"})
def compile_(c: Context, settings: Settings, output: str = "") -> None:
    """Write the pipeline tune_python_qa as YAML, which kfp.local and Vertex AI Pipelines run unchanged."""
    from pathlib import Path

    from tuning.pipelines.tuning import compile_pipeline

    print(f"compiled {compile_pipeline(settings, Path(output) if output else settings.home / 'pipeline.yaml')}")


@command(
    help={
        "model": "version, or champion",
        "dataset": "dataset ID (default: the newest)",
        "examples": "examples scored for their loss (default: the setting evaluation_examples)",
        "answers": "of those, how many get a generated answer (default: the setting evaluation_answers)",
    }
)
def evaluate(
    c: Context,
    settings: Settings,
    model: str = "champion",
    dataset: str = "",
    examples: int | None = None,
    answers: int | None = None,
) -> None:
    """Evaluate a registered model beside its base on any dataset; the registry stays as it is.

    Example: invoke evaluate --model v2 --examples 200
    """
    from tuning.registry.evaluate_version import evaluate_version, in_lines

    print("\n".join(in_lines(evaluate_version(settings, model, dataset, examples, answers))))


@command(
    klass=QuestionOrFile,
    positional=["question"],
    help={
        "question": "the question; its first line is the title, the rest the body",
        "model": "version, champion or base",
        "file": 'JSONL file of questions, each {"title": …, "body": …}',
        "output": "JSONL file of their answers (with --file)",
        "max-tokens": "most tokens of an answer",
    },
)
def predict(
    c: Context,
    settings: Settings,
    question: str,
    model: str = "champion",
    file: str = "",
    output: str = "",
    max_tokens: int = 512,
) -> None:
    """Ask a model, worded as its training rows are; answers are screened for secrets and never edited.

    Example: invoke predict "How do I read a file line by line?" --model v1
    """
    from tuning.registry.predict import print_answer, write_answers

    if file:
        print(write_answers(settings, model, file, output, max_tokens))
    else:
        print_answer(settings, model, question, max_tokens)


@command(help={"history": "what was registered, promoted and rolled back, and when"})
def models(c: Context, settings: Settings, history: bool = False) -> None:
    """List the registered model versions; the champion is marked."""
    from tuning.registry.listing import history_lines, model_lines

    print("\n".join(history_lines(settings) if history else model_lines(settings)))


def _mirror(settings: Settings) -> None:
    """On Google Cloud the Model Registry says the same."""
    if settings.target == "gcp":
        from tuning.registry.mirror import mirror

        for line in mirror(settings):
            print(line)


@command(
    positional=["version"],
    help={
        "version": "such as v2",
        "force": "promote although the release gate did not pass it",
        "reason": "why; recorded, and needed with --force",
    },
)
def promote(c: Context, settings: Settings, version: str, force: bool = False, reason: str = "") -> None:
    """Make a version the champion; refused without a passing verdict.

    Example: invoke promote v2 --force --reason "the evaluation set was too small to decide"
    """
    from tuning.registry import registry

    print(f"{registry.promote(settings, version, force=force, reason=reason).name} is champion")
    _mirror(settings)


@command(help={"reason": "why; recorded"})
def rollback(c: Context, settings: Settings, reason: str = "") -> None:
    """Take the last promotion back."""
    from tuning.registry import registry

    was, now = registry.rollback(settings, reason)
    print(f"{was.name} is no longer champion; {now.name if now else 'nobody'} is")
    _mirror(settings)


@command(help={"open": "show it in the browser"})
def report(c: Context, settings: Settings, open: bool = False) -> None:  # noqa: A002 - the option's name
    """Print the path of the newest run's report."""
    from tuning.pipelines.release.record import newest_report

    path = newest_report(settings)
    print(path)
    if open:
        import webbrowser

        webbrowser.open(path.as_uri())


namespace.add_task(hello)
namespace.add_task(compile_)
namespace.add_task(evaluate)
namespace.add_task(predict)
namespace.add_task(models)
namespace.add_task(promote)
namespace.add_task(rollback)
namespace.add_task(report)


class TuningOptions(Options, frozen=True, kw_only=True):
    """What varies the tuning; what is not given is the tuner's default for the base model."""

    tuner: Annotated[str | None, Meta(description="hf (trains here) or gemini (managed, on Google Cloud)")] = None
    base_model: Annotated[
        str | None, Meta(description="smollm2, tiny (a smoke test), a Hugging Face name or folder, or a Gemini model")
    ] = None
    steps: Annotated[int | None, Meta(description="optimizer steps")] = None
    epochs: Annotated[float | None, Meta(description="passes over the training split, where no steps are given")] = None
    learning_rate: Annotated[float | None, Meta(description="peak learning rate")] = None
    lora_rank: Annotated[int | None, Meta(description="rank of the LoRA adapter")] = None
    full: Annotated[bool, Meta(description="train all weights, not an adapter (tuner hf)")] = False
    max_length: Annotated[int | None, Meta(description="tokens of an example; longer ones do not train")] = None
    batch_size: Annotated[int | None, Meta(description="examples of an optimizer step")] = None
    budget: Annotated[float | None, Meta(description="most US dollars this may cost; 0: no bound")] = None


@command(help=_PRESET | {"dataset": "tune on this finished dataset in place of the newest mart"})
def tune(
    c: Context,
    settings: Settings,
    build: BuildOptions,
    made: SplitOptions,
    tuning: TuningOptions,
    preset: str | None = None,
    dataset: str = "",
) -> None:
    """All of it: warehouse, sample where it is empty, dbt build, dataset, tuning, evaluation, release gate, report.

    Example: invoke tune --limit 2000 --base-model smollm2
    """
    from tuning.pipelines.end_to_end import tune_all

    run = tune_all(settings, build.given(), made.given(), tuning.given(), preset, dataset, print)
    print(run.in_words)
    registered = "registered" if run.registered else "known already"
    print(
        f"model {run.version.name}: {registered}, {'now champion' if run.promoted else f'champion is {run.champion}'}"
    )
    print(f"report: {run.report}")


namespace.add_task(tune)


@command(help={"reference": "dataset ID (default: the champion's, or the one before)", "dataset": "dataset ID"})
def monitor(c: Context, settings: Settings, dataset: str = "", reference: str = "", runs: int = 10) -> None:
    """Show how far the newest dataset has moved from the one that the champion was tuned on, and the last runs.

    Example: invoke monitor --runs 20
    """
    from tuning.monitoring.watch import in_lines

    print("\n".join(in_lines(settings, dataset, reference, runs)))


namespace.add_task(monitor)


class JobOptions(Options, frozen=True, kw_only=True):
    """How a job is sent to Vertex AI."""

    dataset: Annotated[str | None, Meta(description="dataset ID (default: the newest)")] = None
    display_name: Annotated[str | None, Meta(description="the job's name in the console")] = None
    pipeline_root: Annotated[str | None, Meta(description="where its files go: gs://BUCKET/NAME")] = None
    failure_policy: Annotated[
        Literal["slow", "fast"] | None, Meta(description="slow: other steps go on when one fails; fast: none starts")
    ] = None


_TEMPLATE = {
    "template": "any KFP template: https://REGION-kfp.pkg.dev/..., gs:// or a file (default: this project's pipeline)",
    "param": "NAME=VALUE of the template, once each",
    "caching": "reuse steps whose inputs are unchanged",
}


@command(
    iterable=["param"],
    help=_TEMPLATE | {"wait": "follow it to its end", "again": "start a job that has succeeded once more"},
)
def submit(
    c: Context,
    settings: Settings,
    job: JobOptions,
    tuning: TuningOptions,
    template: str = "",
    param: list[str] | None = None,
    caching: bool = True,
    wait: bool = False,
    again: bool = False,
) -> None:
    """Send the pipeline, or any KFP template, to the runner. The same job is never sent twice.

    Example: invoke submit --target gcp --tuner gemini --epochs 3 --budget 50
    """
    from tuning.pipelines.submit import submit_any
    from tuning.pipelines.vertex.template_job import SubmitOptions

    options = SubmitOptions(**job.given(), caching=caching, again=again)
    submit_any(settings, template, param or [], tuning.given(), options, wait, print)


@command(name="status", klass=JobOrNewest, help={"job": "its id, also without --job (default: the newest)"})
def job_status(c: Context, settings: Settings, job: str = "") -> None:
    """Say how a job stands, its tasks and their errors.

    Example: invoke status --target gcp
    """
    from tuning.pipelines.job_lines import status_lines as job_status_lines

    print("\n".join(job_status_lines(settings, job)))


@command(positional=["job"], help={"job": "its id"})
def cancel(c: Context, settings: Settings, job: str) -> None:
    """Ask Vertex AI to stop a job."""
    from tuning.pipelines.vertex.jobs import cancel as cancel_job

    print(f"{job} {cancel_job(settings, job).state}")


@command(iterable=["param"], help=_TEMPLATE | {"cron": "when, such as '0 3 * * 1'", "delete": "number of a schedule"})
def schedule(
    c: Context,
    settings: Settings,
    job: JobOptions,
    tuning: TuningOptions,
    cron: str = "",
    delete: str = "",
    template: str = "",
    param: list[str] | None = None,
    caching: bool = True,
) -> None:
    """List the schedules; with --cron make one of what `submit` would send, with --delete delete one.

    Example: invoke schedule --target gcp --tuner gemini --cron '0 3 * * 1'
    """
    from tuning.pipelines.job_lines import schedule_lines
    from tuning.pipelines.submit import schedule_any
    from tuning.pipelines.vertex.schedule import delete_schedule, list_schedules
    from tuning.pipelines.vertex.template_job import SubmitOptions

    if delete:
        print(f"deleted {delete_schedule(settings, delete).name}")
    elif cron:
        options = SubmitOptions(**job.given(), caching=caching)
        made, created = schedule_any(settings, cron, template, param or [], tuning.given(), options, print)
        print(f"{'created' if created else 'found'} {schedule_lines([made])[0]}")
    else:
        print("\n".join(schedule_lines(list_schedules(settings))))


@command(help={"dataset": "dataset ID (default: the newest, if any)"})
def estimate(
    c: Context, settings: Settings, build: BuildOptions, tuning: TuningOptions, dataset: str | None = None
) -> None:
    """Bytes, tokens, money and time of a build and a tuning, before anything is sent; fails over the budget.

    Example: invoke estimate --target gcp --tuner gemini --epochs 3 --budget 50
    """
    from tuning.cloud.estimate_command import estimate_lines

    for line in estimate_lines(settings, build.given(), tuning.given(), dataset):
        print(line)


namespace.add_task(submit)
namespace.add_task(job_status)
namespace.add_task(cancel)
namespace.add_task(schedule)
namespace.add_task(estimate)


@command(name="check")
def cloud_check(c: Context, settings: Settings) -> None:
    """Say what is right and wrong with the project, and the command that mends each; fails where something is wrong.

    Example: invoke cloud.check --target gcp
    """
    from tuning.cloud.check import check, finding_lines, refuse_wrong

    findings = list(check(settings))
    print("\n".join(finding_lines(findings)))
    refuse_wrong(findings)


@command(name="init")
def cloud_init(c: Context, settings: Settings) -> None:
    """Make bucket, dataset and image repository where they are missing; print the roles to grant, grant none.

    Example: invoke cloud.init --target gcp
    """
    from tuning.cloud.init import init

    for line in init(settings):
        print(line)


namespace.add_collection(Collection("cloud", cloud_check, cloud_init))


@command(
    help={
        "only": "clean, ingest or dataset (default: all of data preparation)",
        "repeat": "calls of each subject; medians are shown",
        "train": "the tuner and its answers instead, on the newest dataset",
        "gpu": "the tuner on this machine's GPU instead",
    }
)
def bench(
    c: Context, settings: Settings, only: str = "", repeat: int = 5, train: bool = False, gpu: bool = False
) -> None:
    """Measure speed and memory against named baselines in the same run; fail where a count is wrong.

    Example: invoke bench --only ingest --repeat 3
    """
    from tuning.errors import TuningError
    from tuning.settings import IS_CHECKOUT

    if not IS_CHECKOUT:
        raise TuningError("the benchmarks are not part of the installed package", "Run them in a checkout")
    from tests.bench.every import run

    wrong = run(settings, only, repeat, train, gpu)
    if wrong:
        raise TuningError("; ".join(wrong), "Something does other work than it should")


namespace.add_task(bench)
