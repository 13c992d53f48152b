"""The report: what stands in it, that nothing in it runs, and that it needs nothing from outside."""

import re
from dataclasses import replace

import msgspec
import pytest

from tests.evaluation.scored import evaluation
from tuning.dataset.dataset import FileFacts, Manifest
from tuning.evaluation.compare import compare
from tuning.evaluation.gate import judge
from tuning.evaluation.options import GateOptions
from tuning.evaluation.records import Evaluation
from tuning.evaluation.report import ReportInputs, as_html, as_markdown
from tuning.pipelines.outcome import Step
from tuning.pipelines.release.times import with_steps
from tuning.tuners.hf.train.curves import Curves, Point
from tuning.tuners.protocol import Model

EVIL = '<script>alert("x")</script><img src=http://x.example/y onerror=alert(1)>'
OPTIONS = GateOptions(resamples=500)
FACTS = {"rows_used": 192, "rows_total": 2249, "rows_left_out": 987, "max_length": 256, "tokens_per_second": 301.25}


def inputs(base_model: str = "smollm2", answer: str = "use a list") -> ReportInputs:
    losses = [2.0 + number / 100 for number in range(40)]
    base = evaluation("base", losses, base_model, [answer] * 5)
    tuned = evaluation("tuned", [loss - 0.25 for loss in losses], base_model, [answer] * 5)
    comparison = compare({"base": base, "tuned": tuned}, "loss", OPTIONS, {"dataset": "0"})
    return ReportInputs(
        manifest=Manifest(
            id="d1",
            format="messages",
            template="Answer.",
            options={"seed": 42},
            build={"site": EVIL, "name": f"Cardano {EVIL}"},
            versions={},
            funnel=[{"step": "mart", "reason": "too short", "rows": 17}],
            files={"train.jsonl": FileFacts(1234, 1, "0")},
            tokens={},
            leaks={},
        ),
        notes=[],
        model=Model(tuner="hf", base_model=base_model, uri="x", facts=FACTS),
        options={"base_model": base_model, "steps": 0},
        tuner="hf",
        curves=Curves(train=[Point(0, 2.5), Point(10, 2.0)], development=[Point(10, 2.1)]),
        seconds={"validate": 0.5, "tune": 141.23},
        comparison=comparison,
        verdict=judge(comparison, OPTIONS, smoke_test=base_model == "tiny"),
    )


@pytest.mark.parametrize(
    "words",
    [
        "<h1>smollm2, tuned on questions and answers of Cardano &lt;script&gt;",
        "Undecided.",
        "d1",
        "1,234 rows",
        "too short",
        "192 of 2,249 training examples; 987 were left out because they have more than 256 tokens",
        "141.2 s",
        "-0.250 (-0.250 to -0.250)",
        "<td>8.98 (8.66 to 9.29)</td>",  # perplexity of the base
        "<td>2.010 (1.977 to 2.038)</td>",  # the tuned model's loss per token
        "Learning curve",
        "<polyline",
        "<td>tag: python</td>",
        "Question 4",
        "4 bits",
    ],
)
def test_the_page_says(words: str):
    assert words in as_html(inputs())


def test_a_build_without_a_name_still_has_a_page() -> None:
    given = inputs()
    manifest = msgspec.structs.replace(given.manifest, build={})
    assert "answers of an unnamed source</h1>" in as_html(replace(given, manifest=manifest))


def test_everything_from_the_data_is_escaped():
    page = as_html(inputs(answer=EVIL))
    assert "<script" not in page
    assert "<img" not in page
    assert "&lt;script&gt;alert(&#34;x&#34;)&lt;/script&gt;" in page


def test_the_page_needs_nothing_from_outside():
    page = as_html(inputs())
    assert re.findall(r"<[^>]*\s(?:src|href)=[^>]*>", page) == []
    assert "default-src 'none'" in page


def test_a_smoke_test_says_so_first_and_claims_nothing():
    page, summary = as_html(inputs("tiny")), as_markdown(inputs("tiny"))
    for text in (page, summary):
        assert "Smoke test" in text
        assert "4 bits" not in text


def test_the_summary_is_a_table_of_the_same_figures():
    summary = as_markdown(inputs())
    assert summary.startswith("# smollm2 tuned on d1: undecided")
    assert "| loss | 2.195 (" in summary
    assert "| -0.250 (-0.250 to -0.250) |" in summary
    assert [line.count("|") for line in summary.splitlines() if line.startswith("|")] == [5] * (2 + 2)


def test_a_row_whose_numbers_are_from_different_answers_says_from_how_many() -> None:
    """Three answers of the base have library names, two of the tuned model, and one question has both."""
    few = inputs()

    def with_names(role: str, shares: dict[int, float]) -> Evaluation:
        found = evaluation(role, [2.0 + number / 100 for number in range(40)], "smollm2", ["use a list"] * 5)
        rows = [
            msgspec.structs.replace(row, scores=row.scores | ({"apis": shares[number]} if number in shares else {}))
            for number, row in enumerate(found.scored)
        ]
        return msgspec.structs.replace(found, scored=rows)

    evaluations = {
        "base": with_names("base", {0: 100.0, 1: 100.0, 2: 100.0}),
        "tuned": with_names("tuned", {2: 100.0, 3: 50.0}),
    }
    changed = replace(few, comparison=compare(evaluations, "loss", OPTIONS, {"dataset": "0"}))
    row = ("100.0 (100.0 to 100.0), answers: 3", "75.0 (50.0 to 100.0), answers: 2", "0.0 (0.0 to 0.0), pairs: 1")
    assert "".join(f"<td>{cell}</td>" for cell in row) in as_html(changed)
    assert f"| apis | {' | '.join(row)} |" in as_markdown(changed)
    assert "answers: 5" not in as_html(changed), "chrf is of the same five answers in each cell"


def test_an_answer_that_repeats_itself_is_marked_unless_its_finish_reason_says_so() -> None:
    few = inputs()
    side = msgspec.structs.replace(
        few.comparison.sides[0],
        finish_reasons={"base": "MAX_TOKENS", "tuned": "REPETITION"},
        scores={"base": {"loop": 100.0}, "tuned": {"loop": 100.0}},
        notes={"tuned": ["a note"]},
    )
    page = as_html(replace(few, comparison=msgspec.structs.replace(few.comparison, sides=[side])))
    assert '<h4>base <span class="note">MAX_TOKENS, repeats itself</span></h4>' in page
    assert '<h4>tuned <span class="note">REPETITION, a note</span></h4>' in page


def test_an_undecided_run_still_has_a_report():
    few = inputs()
    comparison = msgspec.structs.replace(few.comparison, pairs={"base": few.comparison.pairs["base"][:5]}, sides=[])
    page = as_html(
        ReportInputs(
            **{**few.__dict__, "comparison": comparison, "verdict": judge(comparison, OPTIONS), "curves": None}
        )
    )
    assert "Undecided." in page
    assert "No answers were generated." in page


def test_settings_and_values_are_words_and_what_happened_stands_before_a_setting() -> None:
    recipe = {"steps": 40, "epochs": 1.0, "max_length": 256, "step_size": 1.0, "keep": "", "development_rows": 16}
    made = inputs()
    manifest = msgspec.structs.replace(
        made.manifest, options={"decontaminate": {"name": "exam", "sha256": "ab"}, "exclude_user": [7, 8], "code": None}
    )
    facts = FACTS | {"recipe": recipe, "steps": 39, "epochs": 0.6, "seconds": 12345.678, "training_seconds": 12.0}
    facts |= {"rows_development": 10, "parameters": 2557632, "development_loss": 1.87, "resumed_from_step": 0}
    page = as_html(replace(made, manifest=manifest, model=msgspec.structs.replace(made.model, facts=facts)))
    for row in (
        "<tr><td>steps</td><td>39 (the setting was 40)</td></tr>",
        "<tr><td>passes over the examples</td><td>0.6</td></tr>",
        "<tr><td>tokens of an example, at most</td><td>256</td></tr>",
        "<tr><td>examples held out to watch the training</td><td>10 (the setting was 16)</td></tr>",
        "<tr><td>seconds of the steps</td><td>12</td></tr>",
        "<tr><td>seconds with loading and saving</td><td>12,345.7</td></tr>",
        "<tr><td>weights</td><td>2,557,632</td></tr>",
        "<tr><td>development loss</td><td>1.870</td></tr>",
        "<tr><td>decontaminate</td><td>name exam, sha256 ab</td></tr>",
        "<tr><td>exclude_user</td><td>7; 8</td></tr>",
        "<tr><td>code</td><td>none</td></tr>",
    ):
        assert row in page
    assert "of its change" not in page
    assert "In parentheses is the setting, where the training did not reach it" in page
    table = page.partition("<h2>Tuning</h2>")[2].partition("</table>")[0]
    names = re.findall("<tr><td>(.*?)</td>", table)
    assert len(set(names)) == len(names)
    assert [name for name in names if "_" in name or name in ("keep", "resumed from step", "rows total")] == []
    managed = msgspec.structs.replace(made.model, facts={"epochs": 3, "rows_used": 100})
    options = {"base_model": "gemini", "epochs": 0.0, "steps": 0}
    service = as_html(replace(made, manifest=manifest, model=managed, options=options))
    assert "<tr><td>passes over the examples</td><td>3</td></tr>" in service
    assert "<tr><td>steps</td><td>chosen by the service</td></tr>" in service
    assert "Where a setting" not in service


def test_the_page_of_a_run_has_one_time_for_each_step() -> None:
    page = as_html(inputs()).encode()
    assert b"141.2 s" in page
    steps = [Step(name="build", seconds=3.0, cached=False), Step(name="tune", seconds=0.0, cached=True)]
    shown = with_steps(page, steps).decode()
    assert "<tr><td>build</td><td class='number'>3.0 s</td></tr>" in shown
    assert "<tr><td>tune</td><td class='number'>0.0 s, reused</td></tr>" in shown
    assert "141.2 s" not in shown
    assert "sum of" not in shown
    assert with_steps(page, []) == page
