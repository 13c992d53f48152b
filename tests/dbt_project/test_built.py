"""What dbt builds from the invented site, row by row, under each rule."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from tests.dbt_project.compiled_project import Compiled
from tests.dbt_project.google_analyzer import declared
from tests.dbt_project.invented_source import (
    ANSWERS,
    DENIED,
    KEPT_BY_DEFAULT,
    KEPT_BY_EXACT_TAG,
    KEPT_BY_SEED,
    QUESTIONS,
    REJECTED_BY_DEFAULT,
)
from tests.dbt_project.running_dbt import Dbt
from tuning.warehouse.client import connect
from tuning.warehouse.variables import Variables

pytestmark = pytest.mark.slow

TEMPLATE = (
    "Please answer the following Stackoverflow question on Python. "
    "Answer it like you are a developer answering Stackoverflow questions.\n\nStackoverflow question:\n"
)


def kept(dbt: Dbt) -> list[int]:
    return sorted(row["question_id"] for row in dbt.rows("python_qa_instructions"))


def test_every_test_of_a_build_passes_and_a_build_in_two_parts_leaves_none_out(
    statuses: dict[str, str], compiled_for_local: Compiled
) -> None:
    assert set(statuses.values()) <= {"success", "pass", "no-op"}
    nodes = {node["unique_id"] for node in compiled_for_local.of_type("model", "seed", "test")}
    assert nodes | compiled_for_local.manifest["unit_tests"].keys() <= statuses.keys()


def test_the_default_rules_keep_these_questions(built: Dbt) -> None:
    assert kept(built) == KEPT_BY_DEFAULT


def test_the_marts_have_the_columns_and_types_of_their_contract(built: Dbt, compiled_for_gcp: Compiled) -> None:
    client = connect(built.settings)
    names = {"STRING": "string", "INTEGER": "int64", "BOOLEAN": "bool", "TIMESTAMP": "timestamp"}
    names |= {"DATE": "date", "FLOAT": "float64"}
    for model in compiled_for_gcp.models:
        if model["access"] != "public":
            continue
        schema = client.get_table(built.table(model["name"]).replace("`", "")).schema
        found = {
            field.name: f"array<{names[field.field_type]}>" if field.mode == "REPEATED" else names[field.field_type]
            for field in schema
        }
        assert list(found.items()) == list(declared(model).items()), model["name"]


def test_texts_arrive_byte_for_byte(built: Dbt) -> None:
    row = next(row for row in built.rows("python_qa_instructions") if row["question_id"] == 14)
    text = 'It\'s "quoted" \\d \\n<p>&amp;lt; é 😀</p>\r\n'
    assert row["input_text"] == text
    assert row["input_text_instruct"] == f"{TEMPLATE} {text}"
    assert row["output_text"] == "<pre><code>print x\n</code></pre>"


def test_addresses_authors_licences_and_links_follow_the_posts(built: Dbt) -> None:
    rows = {row["question_id"]: row for row in built.rows("python_qa_instructions")}
    first, second, sixth = rows[1], rows[2], rows[6]
    assert first["question_url"] == "https://invented.example.com/questions/1"
    assert first["answer_url"] == "https://invented.example.com/a/101"
    assert (first["question_author_name"], first["question_author_url"]) == (
        "Ada",
        "https://invented.example.com/users/7",
    )
    assert (second["question_author_name"], second["question_author_url"]) == ("gone", None)
    assert {row["question_license"] for row in rows.values()} == {"CC BY-SA 4.0"}
    assert (first["linked_question_ids"], second["linked_question_ids"], sixth["linked_question_ids"]) == (
        [2, 999],
        [1],
        [],
    )


def test_the_preference_is_between_answers_of_one_question(built: Dbt) -> None:
    rows = built.rows("python_qa_preferences")
    assert [
        (row["question_id"], row["chosen_answer_id"], row["rejected_answer_id"], row["vote_gap"]) for row in rows
    ] == [(1, 101, 104, 5)]


def test_the_funnel_says_where_every_question_went(built: Dbt) -> None:
    rows = built.rows("dataset_funnel")
    steps = [
        (row["rule"], row["rows_in"], row["rows_failing"], row["rows_out"])
        for row in sorted(rows, key=lambda row: int(row["step"]))
        if row["mart"] == "python_qa_instructions"
    ]
    assert steps == [
        ("question_has_tag", 20, 4, 16),
        ("question_not_denied", 16, 1, 15),
        ("question_of_this_site", 15, 1, 14),
        ("question_license_allows_reuse", 14, 1, 13),
        ("question_author_not_excluded", 13, 1, 12),
        ("question_has_accepted_answer", 12, 1, 11),
        ("answer_not_denied", 11, 1, 10),
        ("answer_in_source", 10, 1, 9),
        ("answer_of_this_site", 9, 1, 8),
        ("answer_license_allows_reuse", 8, 1, 7),
        ("answer_author_not_excluded", 7, 1, 6),
        ("answer_new_enough", 6, 1, 5),
        ("answer_to_this_question", 5, 1, 4),
        ("question_open", 4, 0, 4),
        ("question_not_duplicate", 4, 1, 4),
        ("question_score_enough", 4, 0, 4),
        ("answer_score_enough", 4, 0, 4),
        ("question_long_enough", 4, 0, 4),
        ("answer_long_enough", 4, 0, 4),
        ("question_without_picture", 4, 0, 4),
        ("answer_alone", 4, 0, 4),
        ("answer_not_python2", 4, 1, 3),
    ]
    values = {row["rule"]: (row["variable"], row["value"]) for row in rows if row["mart"] == "python_qa_instructions"}
    assert values["question_has_tag"] == ("tag_pattern", r"^python(-\d.*)?$")
    assert values["answer_to_this_question"] == ("match_parent", "true")
    assert values["answer_score_enough"] == ("minimum_answer_score", "null")
    assert values["answer_not_python2"] == ("python2_answers", "drop")
    assert values["question_not_denied"] == (None, None)


def test_columns_for_analysts_and_filters_follow_the_posts(built: Dbt) -> None:
    rows = {row["question_id"]: row for row in built.rows("python_qa_instructions")}
    assert {number: row["quality_reason"] for number, row in rows.items() if row["quality_reason"]} == (
        REJECTED_BY_DEFAULT
    )
    first, sixth, last = rows[1], rows[6], rows[14]
    assert (first["question_length"], first["answer_length"], first["has_code"]) == (10, 10, False)
    assert (last["question_length"], last["answer_length"], last["has_code"]) == (8, 7, True)
    assert (first["is_closed"], first["is_duplicate"], rows[2]["is_closed"], rows[2]["is_duplicate"]) == (
        *(True, True),
        *(False, False),
    )
    assert (first["question_comment_count"], first["view_count"], sixth["answer_comment_count"]) == (2, 70, 4)
    assert (first["is_community_wiki"], sixth["is_community_wiki"]) == (False, True)
    assert (first["days_to_answer"], first["is_self_answer"], sixth["is_self_answer"]) == (580, None, True)
    assert not any(row["link_only"] or row["needs_picture"] or row["leans_on_others"] for row in rows.values())


def test_the_build_says_what_it_was_made_with_and_from(built: Dbt) -> None:
    import json

    (row,) = built.rows("python_qa_build")
    assert json.loads(row["variables"]) == Variables().all()
    assert row["instruction_template"] == TEMPLATE
    assert (row["site"], row["base_url"]) == ("invented.example.com", "https://invented.example.com")
    assert (row["questions"], row["answers"]) == (len(QUESTIONS), len(ANSWERS))
    assert (row["instructions"], row["preferences"]) == (4, 1)
    assert row["newest_answer_at"].date().isoformat() == "2021-01-01"


def other(built: Dbt, folder: Path) -> Dbt:
    return dataclasses.replace(built, folder=folder)


STRICT = {"minimum_answer_score": 2, "closed_questions": "drop", "duplicate_questions": "drop"}


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"tag_pattern": "python", "since": "2020-01-01", "match_parent": False}, KEPT_BY_SEED),
        ({"tag_pattern": "^python$", **STRICT}, KEPT_BY_EXACT_TAG),
    ],
    ids=["seed", "exact and strict"],
)
def test_other_variables_keep_other_questions_in_a_dataset_of_their_own(
    built: Dbt, tmp_path: Path, variables: dict[str, Any], expected: list[int]
) -> None:
    dbt = other(built, tmp_path)
    only_judging = ("--exclude", "test_type:generic", "--exclude-resource-type", "unit_test")
    dbt.run_here("build", *only_judging, variables=variables)
    assert kept(dbt) == expected
    is_strict = "closed_questions" in variables
    reasons = {row["question_id"]: row["quality_reason"] for row in dbt.rows("python_qa_instructions")}
    rejected = {number: reason for number, reason in reasons.items() if reason}
    assert rejected == ({1: "duplicate question", 6: "low answer score"} if is_strict else REJECTED_BY_DEFAULT)
    assert dbt.table("python_qa_instructions") != built.table("python_qa_instructions")
    assert kept(built) == KEPT_BY_DEFAULT
    funnel = {row["rule"]: row for row in dbt.rows("dataset_funnel") if row["mart"] == "python_qa_instructions"}
    is_applied = variables.get("match_parent", True)
    assert funnel["answer_to_this_question"]["is_applied"] is is_applied
    assert funnel["answer_to_this_question"]["rows_failing"] == 1
    assert not set(DENIED) & {
        post for row in dbt.rows("python_qa_instructions") for post in (row["question_id"], row["answer_id"])
    }


def test_a_source_that_does_not_say_which_questions_are_closed_builds_and_has_no_filter_for_them(
    built: Dbt, tmp_path: Path
) -> None:
    client, raw = connect(built.settings), "`bigquery-public-data`.stackoverflow.posts_questions"
    client.query(f"create table `bigquery-public-data`.stackoverflow.kept as select * from {raw}").result()  # noqa: S608
    older = "create or replace table {} as select * except (closed_date) from {}"
    client.query(older.format(raw, "`bigquery-public-data`.stackoverflow.kept")).result()
    dbt = other(built, tmp_path)
    try:
        variables = {"since": "2019-01-01"}
        selection = ("--select", "denied_posts", "+stg_stack_exchange__questions", "--exclude-resource-type", "test")
        dbt.run_here("build", *selection, "unit_test", variables=variables)
        assert {row["is_closed"] for row in dbt.rows("stg_stack_exchange__questions")} == {None}
        printed = dbt.refused_here("run", variables={"closed_questions": "drop"})
        assert "variable closed_questions must be keep, because the source does not say which" in printed
    finally:
        client.query(
            f"create or replace table {raw} as select * from `bigquery-public-data`.stackoverflow.kept"  # noqa: S608
        ).result()
        client.query("drop table `bigquery-public-data`.stackoverflow.kept").result()


def test_a_run_that_does_not_load_a_changed_deny_list_is_refused(built: Dbt, tmp_path: Path) -> None:
    seeds = built.project / "seeds" / "denied_posts.csv"
    before = seeds.read_text()
    seeds.write_text(before + "1,its author asked\n")
    try:
        done = other(built, tmp_path).run("run")
    finally:
        seeds.write_text(before)
    assert done.returncode != 0
    assert "denied_posts.csv differs from the one loaded into python_qa; run `dbt seed` to load it" in done.stdout


def test_the_docs_catalog_has_every_model_with_its_column_types(built: Dbt, compiled_for_gcp: Compiled) -> None:
    import orjson

    built.run_here("docs", "generate")
    catalog = orjson.loads((built.folder / "target" / "catalog.json").read_bytes())
    for model in compiled_for_gcp.models:
        columns = catalog["nodes"][model["unique_id"]]["columns"]
        assert {name: column["type"].lower() for name, column in columns.items()} == declared(model)
    assert len(catalog["sources"]) == 5
