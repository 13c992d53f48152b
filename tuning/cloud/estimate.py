"""What a build and a tuning will cost and take, before anything is sent, and the budget that stops them."""

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import orjson

from tuning.dataset.dataset import Dataset
from tuning.errors import TuningError
from tuning.gcs.access import google_errors
from tuning.settings import Settings
from tuning.tuners.gemini.prices import BIGQUERY, PIPELINE_RUN, staleness
from tuning.tuners.protocol import TuneOptions, Tuner
from tuning.warehouse.client import connect
from tuning.warehouse.dbt_process import dbt_files, run_dbt

if TYPE_CHECKING:
    from google.cloud import bigquery

    from tuning.warehouse.variables import Variables


@dataclass(frozen=True)
class Cost:
    """One line of an estimate. `dollars` is NaN where no price is known, `seconds` where no time is."""

    what: str
    amount: str
    dollars: float
    seconds: float
    notes: tuple[str, ...] = ()


def estimate_all(
    settings: Settings, variables: "Variables", dataset: Dataset | None, tuner: Tuner, options: TuneOptions
) -> list[Cost]:
    """Build, tuning (where there is a dataset to count) and run."""
    tuning = [estimate_tuning(settings, dataset, tuner, options)] if dataset else []
    return [estimate_build(settings, variables), *tuning, estimate_run(settings)]


def cost_lines(costs: list[Cost]) -> list[str]:
    lines = []
    for cost in costs:
        time = "" if math.isnan(cost.seconds) else f", about {cost.seconds / 60:,.0f} min"
        lines.append(f"{in_words(cost)}{time}")
        lines += [f"  {note}" for note in cost.notes]
    return [*lines, f"together {total_in_words(costs)}"]


def in_words(cost: Cost) -> str:
    dollars = "no price known" if math.isnan(cost.dollars) else f"{cost.dollars:,.2f} dollars"
    return f"{cost.what}: {cost.amount}, {dollars}"


def total_in_words(costs: list[Cost]) -> str:
    """The sum of what has a price, and that it is not all where something has none."""
    known = [cost.dollars for cost in costs if not math.isnan(cost.dollars)]
    rest = "" if len(known) == len(costs) else ", and what has no known price"
    return f"about {sum(known):,.2f} dollars{rest}"


def estimate_build(settings: Settings, variables: "Variables") -> Cost:
    """The bytes that a full build reads, by a dry run of each staging view: what BigQuery itself says, at no cost.

    An upper bound: BigQuery leaves out the columns of a view that a table does not use.
    """
    run_dbt(settings, ["compile", "--select", "+python_qa_instructions", "+python_qa_preferences"], variables)
    nodes = orjson.loads(dbt_files(settings, variables).manifest.read_bytes())["nodes"]
    client = connect(settings)
    with google_errors("asking BigQuery what the build reads"):
        read = _bytes_read(client, nodes)
    local = bool(settings.bigquery_endpoint) or settings.target != "gcp"
    today = datetime.now(UTC).date()
    return Cost(
        what="dbt build",
        amount=f"{read / 1e9:,.1f} GB read at most, of {settings.maximum_bytes_billed / 1e9:,.0f} GB allowed a query",
        dollars=read / 2**40 * BIGQUERY.dollars,
        seconds=math.nan,
        notes=("a server on loopback reports no bytes",) if local else staleness(BIGQUERY, today),
    )


def estimate_tuning(settings: Settings, dataset: Dataset, tuner: Tuner, options: TuneOptions) -> Cost:
    """Tokens times epochs, and the money and time that they take."""
    found = tuner.estimate(settings, dataset, options)
    return Cost(
        what=f"tuning on dataset {dataset.id}",
        amount=f"{found.tokens:,} tokens of {found.examples:,} examples",
        dollars=found.dollars,
        seconds=found.seconds,
        notes=tuple(found.notes),
    )


def estimate_run(settings: Settings) -> Cost:
    """The fee of one run on Vertex AI Pipelines."""
    if settings.target != "gcp":
        return Cost("pipeline run", "1 run on this machine", 0.0, math.nan)
    amount = "1 run, without its machines, storage and the answers of its evaluation"
    notes = staleness(PIPELINE_RUN, datetime.now(UTC).date())
    return Cost("pipeline run", amount, PIPELINE_RUN.dollars, math.nan, notes)


def check_budget(settings: Settings, costs: list[Cost]) -> None:
    """TuningError where the costs are over the budget; a budget of 0 is none.

    Every cost has a price here: `Tuner.estimate` refuses a budget where it knows none.
    """
    total = sum(cost.dollars for cost in costs)
    if settings.budget and total > settings.budget:
        parts = ", ".join(f"{cost.what} {cost.dollars:,.2f}" for cost in costs if cost.dollars)
        raise TuningError(
            f"this would cost about {total:,.2f} dollars, over the budget of {settings.budget:,.2f} ({parts})",
            "Fewer epochs, a smaller --limit or a larger --budget; nothing was sent",
        )


def _bytes_read(client: "bigquery.Client", nodes: dict[str, dict[str, Any]]) -> int:
    """Each table reads, once more, every staging view that it reaches through views alone."""
    models = {name: node for name, node in nodes.items() if node["resource_type"] == "model"}
    sources: dict[str, int] = {}

    def reached(name: str) -> set[str]:
        parents = [parent for parent in models[name]["depends_on"]["nodes"] if parent in models]
        found = set() if parents else {name}
        for parent in parents:
            if models[parent]["config"]["materialized"] != "table":
                found |= reached(parent)
        return found

    for name, node in models.items():
        if node["config"]["materialized"] != "table" or not node.get("compiled_code"):
            continue
        for staged in reached(name) - {name}:
            if staged not in sources:
                sources[staged] = _dry_run(client, models[staged]["compiled_code"])
    return sum(
        sources[staged]
        for name, node in models.items()
        if node["config"]["materialized"] == "table" and node.get("compiled_code")
        for staged in reached(name) - {name}
    )


def _dry_run(client: "bigquery.Client", sql: str) -> int:
    from google.cloud import bigquery

    config = bigquery.QueryJobConfig(dry_run=True, use_query_cache=False)
    return int(client.query(sql, job_config=config).total_bytes_processed or 0)
