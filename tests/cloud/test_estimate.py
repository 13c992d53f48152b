"""What a run costs, said before it: dated prices, tokens counted on a sample, a budget that holds."""

import math
from datetime import timedelta

import msgspec
import pytest
from cloud_dataset import make_dataset
from loopback import Loopback

from tuning.cloud.estimate import Cost, _bytes_read, check_budget, cost_lines, estimate_run, estimate_tuning
from tuning.cloud.prices import AS_OF, PIPELINE_RUN, STALE_AFTER, TRAINING, staleness, training_price
from tuning.dataset.dataset import find_dataset
from tuning.errors import TuningError
from tuning.settings import Settings
from tuning.tuners.gemini import GeminiTuner
from tuning.tuners.protocol import TuneOptions

MODEL = "gemini-3.5-flash"


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
    assert found.dollars >= found.tokens / 1e6 * max(TRAINING.values())
    assert "counted by the service on 40 examples" in found.notes[0]


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


def test_the_table_gives_its_own_prices_and_the_dearest_for_what_it_does_not_know() -> None:
    fresh = AS_OF + timedelta(days=STALE_AFTER)
    known = training_price("gemini-2.5-flash", 0, fresh)
    assert (known.dollars, known.notes) == (5.0, ())
    unknown = training_price("gemini-9", 0, fresh)
    assert unknown.dollars == 25.0
    assert unknown.notes[0].startswith("the table knows no price of gemini-9: the dearest, 25 dollars")
    assert training_price("gemini-9", 7.5, fresh).dollars == 7.5


def test_an_old_table_warns_from_the_ninety_first_day() -> None:
    assert staleness(AS_OF + timedelta(days=90)) == ()
    assert staleness(AS_OF + timedelta(days=91)) == (
        f"warning: the prices are of {AS_OF}, 91 days ago: compare them with Google's pricing page",
    )


def test_a_budget_stops_what_costs_more_and_none_stops_nothing(settings: Settings) -> None:
    costs = [Cost("dbt build", "66 GB", 0.38, math.nan), Cost("tuning", "9 tokens", 2.0, 60)]
    assert check_budget(settings, costs) == pytest.approx(2.38)
    assert check_budget(msgspec.structs.replace(settings, budget=2.38), costs) == pytest.approx(2.38)
    with pytest.raises(TuningError, match=r"about 2\.38 dollars, over .* 2\.37 \(dbt build 0\.38, tuning 2\.00\)"):
        check_budget(msgspec.structs.replace(settings, budget=2.37), costs)


def test_local_work_costs_nothing(settings: Settings) -> None:
    assert estimate_run(settings).dollars == 0


def test_lines_say_amount_money_and_time(cloud: Settings) -> None:
    costs = [estimate_tuning(cloud, make_dataset(cloud, "gemini"), GeminiTuner(), TuneOptions()), estimate_run(cloud)]
    lines = cost_lines(costs)
    assert lines[0].startswith("tuning on dataset gemini-0123abcd: ")
    assert lines[0].endswith("dollars, about 15 min")
    assert lines[-1] == f"together about {costs[0].dollars + PIPELINE_RUN:.2f} dollars"


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
