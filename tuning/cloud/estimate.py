"""Estimate the cost and duration of a build and a tuning before anything is sent, and enforce the budget."""

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from tuning.answers.suite import find_suite
from tuning.cloud.machines import machine_of, memory_of, price_of
from tuning.dataset.dataset import Dataset
from tuning.dataset.formats.records import PREFERENCE_FORMATS
from tuning.errors import TuningError
from tuning.evaluation.options import EvaluationOptions
from tuning.evaluation.pairwise import tokens_of_questions
from tuning.gcs.access import google_errors, is_loopback
from tuning.records import read_record
from tuning.settings import Settings
from tuning.target import find_target
from tuning.tuners.gemini.prices import BIGQUERY, PIPELINE_RUN, staleness
from tuning.tuners.hf.estimate import check_device
from tuning.tuners.hf.models.hub_models import refuse_gated
from tuning.tuners.hf.train.processes import check_nodes
from tuning.tuners.hf.train.recipe import make_recipe
from tuning.tuners.protocol import TuneOptions, Tuner
from tuning.tuners.where import trains_on_vertex
from tuning.warehouse.client import connect
from tuning.warehouse.dbt_process import dbt_files, run_dbt
from tuning.warehouse.fingerprint import source

if TYPE_CHECKING:
    from google.cloud import bigquery

    from tuning.warehouse.variables import Variables


@dataclass(frozen=True)
class Cost:
    """Represent one line of an estimate. `dollars` or `seconds` is NaN if the value is not known."""

    what: str
    amount: str
    dollars: float
    seconds: float
    notes: tuple[str, ...] = ()


def estimate_all(
    settings: Settings, variables: "Variables", dataset: Dataset | None, tuner: Tuner, options: TuneOptions
) -> list[Cost]:
    """Return the costs of the build, of the tuning and of the pipeline run.

    Leaves out the tuning if `dataset` is None. Raises TuningError if dbt or Google fails, or if there is a budget and
    no price is known for the model.
    """
    tuning = [estimate_tuning(settings, dataset, tuner, options)] if dataset else []
    return [estimate_build(settings, variables), *tuning, estimate_run(settings)]


def cost_lines(costs: list[Cost]) -> list[str]:
    """Return the lines to print: each cost with its notes, and the total."""
    lines = []
    for cost in costs:
        time = "" if math.isnan(cost.seconds) else f", about {cost.seconds / 60:,.0f} min"
        lines.append(f"{in_words(cost)}{time}")
        lines += [f"  {note}" for note in cost.notes]
    return [*lines, f"total: {total_in_words(costs)}"]


def in_words(cost: Cost) -> str:
    """Return one cost as text, without its duration and notes."""
    dollars = "no price known" if math.isnan(cost.dollars) else f"{cost.dollars:,.2f} dollars"
    return f"{cost.what}: {cost.amount}, {dollars}"


def total_in_words(costs: list[Cost]) -> str:
    """Return the sum of the known prices as text, which also says whether some prices are not known."""
    known = [cost.dollars for cost in costs if not math.isnan(cost.dollars)]
    rest = "" if len(known) == len(costs) else ", plus the items without a known price"
    return f"about {sum(known):,.2f} dollars{rest}"


def estimate_build(settings: Settings, variables: "Variables") -> Cost:
    """Estimate a full build from the bytes that it reads. BigQuery reports them in a free dry run of each staging view.

    The estimate is an upper bound, because BigQuery skips the columns of a view that a table does not use. Raises
    TuningError if there are no posts yet, or if dbt or BigQuery fails.
    """
    client = connect(settings)
    with google_errors("reading the source tables"):
        source(settings, client)
    run_dbt(settings, ["compile", "--select", "+python_qa_instructions", "+python_qa_preferences"], variables)
    manifest = dbt_files(settings, variables).manifest
    nodes = read_record(manifest, dict[str, Any], "Run the command again, which writes it again")["nodes"]
    with google_errors("asking BigQuery how many bytes the build reads"):
        read = _bytes_read(client, nodes)
    today = datetime.now(UTC).date()
    return Cost(
        what="dbt build",
        amount=f"reads at most {read / 1e9:,.1f} GB (limit per query: {settings.maximum_bytes_billed / 1e9:,.0f} GB)",
        dollars=read / 2**40 * BIGQUERY.dollars,
        seconds=math.nan,
        notes=staleness(BIGQUERY, today)
        if find_target(settings).reports_bytes
        else ("a local BigQuery server reports no bytes",),
    )


def check_shared(settings: Settings, dataset: Dataset, tuner: Tuner, options: TuneOptions) -> None:
    """Raise TuningError if a tuning on Vertex AI cannot be shared among the machines of the settings."""
    if trains_on_vertex(settings, tuner.name):
        preference = dataset.manifest.format in PREFERENCE_FORMATS
        check_nodes(settings.nodes, make_recipe(options, preference).batch_size, preference)


def estimate_tuning(settings: Settings, dataset: Dataset, tuner: Tuner, options: TuneOptions) -> Cost:
    """Estimate the cost and duration of a tuning with ``tuner.estimate``.

    Raises TuningError if the tuner does, such as when there is a budget and no price is known for the model, or if that
    is so for the machine on Vertex AI, or if its steps cannot download the model.
    """
    trains_there = trains_on_vertex(settings, tuner.name)
    if trains_there:
        refuse_gated(options.base_model)
    check_shared(settings, dataset, tuner, options)
    estimate = tuner.estimate(settings, dataset, options)
    if trains_there:
        machine = machine_of(settings, tuner.name, options.base_model)
        dollars, seconds, notes = price_of(settings, machine, estimate.seconds)
        gpus = int(machine.accelerator_count), settings.nodes
        fitting = check_device(settings, dataset, options, *memory_of(machine), gpus)
        notes = (*estimate.notes, *fitting, *notes)
        estimate = msgspec.structs.replace(estimate, dollars=dollars, seconds=seconds, notes=list(notes))
    return Cost(
        what=f"tuning on dataset {dataset.id}",
        amount=f"{estimate.tokens:,} tokens in {estimate.examples:,} examples",
        dollars=estimate.dollars,
        seconds=estimate.seconds,
        notes=tuple(estimate.notes),
    )


def estimate_run(settings: Settings) -> Cost:
    """Return the fee for one run of Vertex AI Pipelines. A run on target local is free."""
    if not find_target(settings).uses_google:
        note = (
            "not included: the time of the evaluation, in which each model answers how-to questions; it can take as "
            "long as the tuning (`invoke report` shows the time of each step of the newest run)"
        )
        return Cost("pipeline run", "1 run on this machine", 0.0, math.nan, (note,))
    amount = "1 run, not including machines, storage and the answers generated in the evaluation"
    notes = staleness(PIPELINE_RUN, datetime.now(UTC).date())
    return Cost("pipeline run", amount, PIPELINE_RUN.dollars, math.nan, notes)


def estimate_judge(settings: Settings, name: str) -> Cost:
    """Return what a judge of the answers to the suite reads at most. No price of a hosted model is known.

    Raises TuningError if there is a budget and the judge is a hosted model.
    """
    options = EvaluationOptions()
    questions = len(find_suite(options.suite).questions)
    tokens = tokens_of_questions(questions, options.max_new_tokens)
    is_hosted = name.startswith("gemini-") or ("://" in name and not is_loopback(name))
    if is_hosted and settings.budget:
        raise TuningError(f"no price is known for the judge {name}, so the budget cannot be checked", "Leave one out")
    amount = f"{questions} questions in both orders, at most {tokens / 1e6:.1f} million tokens"
    return Cost(f"judge {name}", amount, math.nan if is_hosted else 0.0, math.nan)


def check_budget(settings: Settings, costs: list[Cost]) -> None:
    """Raise TuningError if the costs exceed the budget. A budget of 0 means no limit.

    With a budget, every cost has a price, because `Tuner.estimate` raises TuningError if it knows no price.
    """
    total = sum(cost.dollars for cost in costs)
    if settings.budget and total > settings.budget:
        parts = ", ".join(f"{cost.what} {cost.dollars:,.2f}" for cost in costs if cost.dollars)
        raise TuningError(
            f"this would cost about {total:,.2f} dollars, more than the budget of {settings.budget:,.2f} ({parts})",
            "Use fewer epochs, a smaller --limit or a larger --budget; nothing was sent",
        )


def _bytes_read(client: "bigquery.Client", nodes: dict[str, dict[str, Any]]) -> int:
    """Return the total of the bytes that the tables read when they are built.

    A table reads a staging view if it depends on the view directly or only through other views. A staging view that two
    tables read counts twice.
    """
    models = {name: node for name, node in nodes.items() if node["resource_type"] == "model"}
    sources: dict[str, int] = {}

    def staging_views(name: str) -> set[str]:
        parents = [parent for parent in models[name]["depends_on"]["nodes"] if parent in models]
        views = set() if parents else {name}
        for parent in parents:
            if models[parent]["config"]["materialized"] != "table":
                views |= staging_views(parent)
        return views

    for name, node in models.items():
        if node["config"]["materialized"] != "table" or not node.get("compiled_code"):
            continue
        for staged in staging_views(name) - {name}:
            if staged not in sources:
                sources[staged] = _dry_run(client, models[staged]["compiled_code"])
    return sum(
        sources[staged]
        for name, node in models.items()
        if node["config"]["materialized"] == "table" and node.get("compiled_code")
        for staged in staging_views(name) - {name}
    )


def _dry_run(client: "bigquery.Client", sql: str) -> int:
    from google.cloud import bigquery

    config = bigquery.QueryJobConfig(dry_run=True, use_query_cache=False)
    return int(client.query(sql, job_config=config).total_bytes_processed or 0)
