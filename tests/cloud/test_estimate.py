"""What a run costs, said before it: dated prices, tokens counted on a sample, a budget that holds."""

import math
from datetime import date, timedelta

import msgspec
import pytest
from google.cloud.exceptions import NotFound

from tests.cloud.servers.loopback import Loopback
from tests.cloud.storage.cloud_dataset import make_dataset
from tuning.cloud.estimate import (
    Cost,
    _bytes_read,
    check_budget,
    cost_lines,
    estimate_build,
    estimate_judge,
    estimate_run,
    estimate_tuning,
)
from tuning.dataset.dataset import find_dataset
from tuning.errors import TuningError
from tuning.settings import Settings
from tuning.tuners.gemini.estimate import training_price
from tuning.tuners.gemini.prices import BIGQUERY, MACHINES, PIPELINE_RUN, STALE_AFTER, TRAINING, Price, staleness
from tuning.tuners.gemini.tuner import GeminiTuner
from tuning.tuners.protocol import TuneOptions
from tuning.warehouse.variables import Variables

MODEL = "gemini-3.5-flash"
UNPRICED = "gemini-3.5-flash-lite"


def words(settings: Settings) -> int:
    """What the loopback server counts as tokens of the train file: its words."""
    return sum(
        len(part.split())
        for line in make_dataset(settings, "gemini").file("train").read_bytes().splitlines()
        for part in [
            "".join(
                (
                    msgspec.json.decode(line)["systemInstruction"]["parts"][0]["text"],
                    *(content["parts"][0]["text"] for content in msgspec.json.decode(line)["contents"]),
                )
            )
        ]
    )


def test_tokens_are_those_that_the_service_counts_times_the_epochs(cloud: Settings, vertex_api: Loopback) -> None:
    expected = words(cloud)
    dataset = find_dataset(cloud)
    found = GeminiTuner().estimate(cloud, dataset, TuneOptions(base_model=MODEL, epochs=3))
    assert found.tokens == pytest.approx(3 * expected, rel=0.001)
    assert found.examples == 120
    assert len(vertex_api.asked("POST", ":countTokens$")) == 40  # the sample is all of them here
    assert found.dollars >= found.tokens / 1e6 * TRAINING[MODEL].dollars
    assert "counted by the service on 40 examples" in found.notes[0]


def test_without_posts_the_next_command_is_named(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    class Empty:
        def get_table(self, name: str) -> None:
            raise NotFound(f"Not found: Table {name}")

    monkeypatch.setattr("tuning.cloud.estimate.connect", lambda _: Empty())
    with pytest.raises(TuningError, match=r"there are no posts in .*\. Run `invoke ingest DUMP` or `invoke sample`"):
        estimate_build(settings, Variables())


def test_a_sample_of_a_larger_file_is_near_and_says_how_near(cloud: Settings, vertex_api: Loopback) -> None:
    dataset = make_dataset(cloud, "gemini", train=1_000)
    found = GeminiTuner().estimate(cloud, dataset, TuneOptions(base_model=MODEL, epochs=1))
    assert len(vertex_api.asked("POST", ":countTokens$")) == 40
    assert found.tokens == pytest.approx(9_000, rel=0.02)  # nine words a line
    assert "+-" in found.notes[0]


def test_without_the_cloud_tokens_come_from_characters(settings: Settings) -> None:
    found = GeminiTuner().estimate(settings, make_dataset(settings, "gemini"), TuneOptions(base_model=MODEL))
    assert "(not counted)" in found.notes[0]
    assert found.tokens > 0


def test_every_price_names_the_page_that_said_so_and_the_day() -> None:
    for price in (BIGQUERY, PIPELINE_RUN, *TRAINING.values(), *MACHINES.values()):
        assert price.page.startswith("https://cloud.google.com/")
        assert date(2026, 1, 1) < price.quoted
        assert price.dollars > 0


def test_a_model_of_the_table_has_its_price_and_where_it_comes_from(settings: Settings) -> None:
    dollars, said = training_price(settings, MODEL)
    assert dollars == 10.0
    assert said[0] == f"10 dollars per million training tokens ({TRAINING[MODEL].page}, as of 2026-09-24)"


def test_no_price_is_guessed_for_a_model_that_the_table_does_not_know(cloud: Settings) -> None:
    dataset = make_dataset(cloud, "gemini")
    costs = [estimate_tuning(cloud, dataset, GeminiTuner(), TuneOptions(base_model=UNPRICED)), estimate_run(cloud)]
    lines = cost_lines(costs)
    assert "examples, no price known, about 15 min" in lines[0]
    assert any(f"no price known for {UNPRICED}. Set TUNING_TRAINING_PRICE" in line for line in lines)
    assert lines[-1] == "total: about 0.03 dollars, plus the items without a known price"


def test_a_budget_refuses_a_model_without_a_price_before_anything_is_asked(
    cloud: Settings, vertex_api: Loopback
) -> None:
    dataset = make_dataset(cloud, "gemini")
    settings = msgspec.structs.replace(cloud, budget=50.0)
    with pytest.raises(TuningError, match=f"no price known for {UNPRICED}, so its tuning cannot be held to a budget"):
        estimate_tuning(settings, dataset, GeminiTuner(), TuneOptions(base_model=UNPRICED))
    assert vertex_api.seen == []
    priced = msgspec.structs.replace(settings, training_price=7.5)
    assert estimate_tuning(priced, dataset, GeminiTuner(), TuneOptions(base_model=UNPRICED)).dollars > 0


def test_an_old_figure_warns_from_the_ninety_first_day() -> None:
    price = Price(6.25, "TiB", date(2026, 6, 1), "https://cloud.google.com/bigquery/pricing")
    assert staleness(price, date(2026, 6, 1) + timedelta(days=STALE_AFTER)) == ()
    assert staleness(price, date(2026, 6, 1) + timedelta(days=91)) == (
        "warning: the price of 6.25 dollars per TiB was read on 2026-06-01, 91 days ago. "
        "Check https://cloud.google.com/bigquery/pricing",
    )


def test_a_budget_stops_what_costs_more_and_none_stops_nothing(settings: Settings) -> None:
    costs = [Cost("dbt build", "66 GB", 0.38, math.nan), Cost("tuning", "9 tokens", 2.0, 60)]
    check_budget(settings, costs)
    check_budget(msgspec.structs.replace(settings, budget=2.38), costs)
    with pytest.raises(TuningError, match=r"about 2\.38 dollars, more than .* 2\.37 \(dbt build 0\.38, tuning 2\.00\)"):
        check_budget(msgspec.structs.replace(settings, budget=2.37), costs)


def test_local_work_costs_nothing(settings: Settings) -> None:
    run = estimate_run(settings)
    assert run.dollars == 0
    assert cost_lines([run])[1].startswith("  not included: the time of the evaluation")


def test_lines_say_amount_money_and_time(cloud: Settings) -> None:
    costs = [
        estimate_tuning(cloud, make_dataset(cloud, "gemini"), GeminiTuner(), TuneOptions(base_model=MODEL)),
        estimate_run(cloud),
    ]
    lines = cost_lines(costs)
    assert lines[0].startswith("tuning on dataset gemini-0123abcd: ")
    assert lines[0].endswith("dollars, about 15 min")
    assert lines[-1] == f"total: about {costs[0].dollars + PIPELINE_RUN.dollars:.2f} dollars"


def test_each_table_reads_the_staging_views_it_reaches_through_views_alone() -> None:
    def node(materialized: str, *parents: str) -> dict[str, object]:
        return {
            "resource_type": "model",
            "config": {"materialized": materialized},
            "depends_on": {"nodes": list(parents)},
            "compiled_code": f"{materialized} {' '.join(parents)}",
        }

    nodes = {
        "questions": node("view", "source.q"),
        "answers": node("view", "source.a"),
        "tagged": node("table", "questions"),
        "pairs": node("view", "tagged", "answers"),
        "mart": node("table", "pairs", "questions"),
    }
    sizes = {"view source.q": 37, "view source.a": 28}
    asked: list[str] = []

    class Client:
        def query(self, sql: str, job_config: object) -> object:
            asked.append(sql)
            return type("Job", (), {"total_bytes_processed": sizes[sql]})

    assert _bytes_read(Client(), nodes) == 37 + (28 + 37)  # type: ignore[arg-type]
    assert sorted(asked) == sorted(sizes)  # each view is asked for once


@pytest.mark.parametrize(
    ("name", "is_hosted"),
    [
        ("smollm2", False),
        ("org/model", False),
        ("http://127.0.0.1:11434/v1#qwen3", False),
        ("https://api.example/v1#large", True),
        (MODEL, True),
    ],
)
def test_a_judge_on_this_machine_costs_nothing_and_no_other_price_is_guessed(
    settings: Settings, name: str, is_hosted: bool
) -> None:
    found = estimate_judge(settings, name)
    assert found.amount == "96 questions in both orders, at most 0.3 million tokens"
    assert math.isnan(found.dollars) if is_hosted else found.dollars == 0
    limited = msgspec.structs.replace(settings, budget=5.0)
    if is_hosted:
        with pytest.raises(TuningError, match="no price is known for the judge"):
            estimate_judge(limited, name)
    else:
        assert estimate_judge(limited, name) == found
