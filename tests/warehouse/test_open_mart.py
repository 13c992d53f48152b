"""Test that a mart opens as a DataFrame, and that the lines for pandas in the README work when typed."""

import datetime
import re
from pathlib import Path

import pytest

from tuning.dataset.create import create_dataset
from tuning.dataset.options import resolve_options
from tuning.dataset.snapshot.export import export
from tuning.errors import TuningError
from tuning.monitoring.frames import open_mart
from tuning.monitoring.tracing.post import Post
from tuning.monitoring.tracing.trace import trace
from tuning.records import encode_record
from tuning.settings import PROJECT_ROOT, Settings
from tuning.sources.served.answers import ServedAnswer, log_file, log_folder
from tuning.sources.served.load import load_served
from tuning.warehouse.dbt import BuildResult, Variables, build


def test_a_mart_opens_with_the_types_that_a_person_expects(built: tuple[Settings, BuildResult]) -> None:
    settings, _ = built
    frame = open_mart(settings=settings)
    assert len(frame) == len(set(frame["example_id"])) > 20
    assert frame["question_id"].dtype == "int64"
    assert str(frame["answer_created_at"].dtype) == "datetime64[us, UTC]"
    assert frame["question_body"].dtype == "str"
    assert isinstance(frame["tags"].iloc[0], list)
    some = open_mart("python_qa.python_qa_instructions", columns=["tags", "question_id"], limit=3, settings=settings)
    assert (list(some.columns), len(some)) == (["tags", "question_id"], 3)
    funnel = open_mart("dataset_funnel", settings=settings)
    assert funnel["is_applied"].dtype == "bool"
    assert (funnel["rows_in"] >= funnel["rows_out"]).all()


def test_a_post_is_traced_in_the_marts_of_each_build(built: tuple[Settings, BuildResult]) -> None:
    settings, _ = built
    rows = open_mart(columns=["example_id", "question_id", "quality_reason"], settings=settings).sort_values(
        "question_id"
    )
    kept, mart = rows[rows["quality_reason"].isna()].iloc[0], "local-project.python_qa.python_qa_instructions"
    found = trace(settings, Post(int(kept["question_id"])))
    assert f"mart {mart}: {kept['example_id']}, kept" in found.lines
    assert "2 marts" in found.searched
    assert not [line for line in found.unsearched if line.startswith("near copies")]  # the mart has the text
    assert trace(settings, Post(5)).lines == []


def test_the_log_of_served_answers_becomes_a_mart_and_without_one_it_is_empty(
    built: tuple[Settings, BuildResult],
) -> None:
    settings, _ = built
    assert len(open_mart("served_answers_daily", settings=settings)) == 0
    assert load_served(settings) == ""
    write_log(settings, ["STOP"] * 3 + ["MAX_TOKENS"])
    assert load_served(settings) == (
        "4 served answers in local-project.python_qa.served_answers; left out 1 damaged lines"
    )
    build(settings, Variables(), "+served_answers_daily", unit_tests=False)
    (row,) = open_mart("served_answers_daily", settings=settings).to_dict("records")
    assert (str(row["day"]), row["model_version"], row["answers"]) == ("2026-11-30", "v1", 4)
    assert (row["seconds_p50"], row["seconds_p95"], row["mean_characters"]) == (0.2, 0.4, 250)
    assert (row["truncated_share"], row["parsing_share"]) == (25, 100)
    assert (row["finished_stop"], row["finished_max_tokens"], row["finished_otherwise"]) == (3, 1, 0)
    log_file(settings, DAY).unlink()  # as the retention does
    log_file(settings, DAY + datetime.timedelta(days=1)).write_text("")
    assert load_served(settings).startswith("0 served answers")


DAY = datetime.date(2026, 11, 30)


def write_log(settings: Settings, reasons: list[str]) -> None:
    log_folder(settings).mkdir()
    with log_file(settings, DAY).open("wb") as file:
        for number, reason in enumerate(reasons, start=1):
            answer = ServedAnswer(
                answer_id=str(number),
                answered_at=datetime.datetime(2026, 11, 30, 23, 59, number, tzinfo=datetime.UTC),
                model_version="v1",
                question="How?",
                answer="So.",
                finish_reason=reason,
                prompt_tokens=3,
                answer_tokens=2,
                milliseconds=100 * number,
                characters=100 * number,
                has_code=True,
                is_refusal=False,
                is_empty=False,
                is_loop=False,
                is_truncated=reason != "STOP",
                parsing_share=None if number == 1 else 100.0,
            )
            file.write(encode_record(answer) + b"\n")
        file.write(b'{"answer_id": "cut')


def test_what_is_not_a_mart_is_one_clear_error(built: tuple[Settings, BuildResult]) -> None:
    settings, _ = built
    for name, columns, message in (
        ("python_qa_nothing", None, "python_qa_nothing does not exist"),
        ("int_preference_pairs", None, "is a view"),
        ("python_qa_instructions", ["body"], "there is no column 'body'"),
        ("a b", None, "is not a table name"),
    ):
        with pytest.raises(TuningError, match=message):
            open_mart(name, columns=columns, settings=settings)


def test_the_lines_of_the_readme_work_when_typed(
    built: tuple[Settings, BuildResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, _ = built
    create_dataset(settings, export(settings, Variables()), resolve_options(), 1)
    monkeypatch.setenv("TUNING_HOME", str(settings.home))
    monkeypatch.setenv("TUNING_BIGQUERY_PORT", str(settings.bigquery_port))
    readme = Path(PROJECT_ROOT / "tuning" / "README.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    names: dict[str, object] = {}
    exec(compile(code, "README.md", "exec"), names)  # noqa: S102 - our own text
    assert len(names["examples"]) > 10  # type: ignore[arg-type]
    assert len(names["mart"]) > 20  # type: ignore[arg-type]
