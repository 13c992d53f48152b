"""What a build costs on BigQuery: each query pays for every column that it reads, so texts are read once."""

import copy

import pytest

from tests.dbt_project.compiled_project import Compiled
from tests.dbt_project.scanned_columns import Scans, scans

RAW = "bigquery-public-data.stackoverflow."
TEXTS = {"title", "body", "about_me"}


def raw_scans(project: Compiled) -> dict[str, Scans]:
    """Raw tables and their columns read by each query of a build: tables as they are made, and tests."""
    queries = [model for model in project.models if model["config"]["materialized"] in ("table", "incremental")]
    found = {}
    for node in [*queries, *project.of_type("test")]:
        read = {table.removeprefix(RAW): columns for table, columns in scans(project, node).items() if RAW in table}
        if read:
            found[node["name"]] = read
    return found


@pytest.fixture(scope="module")
def read(compiled_for_gcp: Compiled) -> dict[str, Scans]:
    return raw_scans(compiled_for_gcp)


def test_titles_and_bodies_are_read_by_one_table_each(read: dict[str, Scans]) -> None:
    readers = {
        (table, column): [name for name, scan in read.items() if column in scan.get(table, set())]
        for table, column in (("posts_questions", "title"), ("posts_questions", "body"), ("posts_answers", "body"))
    }
    assert readers == {
        ("posts_questions", "title"): ["int_questions_tagged"],
        ("posts_questions", "body"): ["int_questions_tagged"],
        ("posts_answers", "body"): ["int_answers_to_tagged_questions"],
    }


def test_what_every_other_query_reads_of_the_source_are_keys_dates_scores_and_tags(read: dict[str, Scans]) -> None:
    models = {"int_questions_tagged", "int_answers_to_tagged_questions"}
    others = {name: scan for name, scan in read.items() if name not in models}
    assert others["dataset_funnel"] == {"posts_questions": {"id", "accepted_answer_id", "owner_user_id", "tags"}}
    assert others["python_qa_build"] == {"posts_questions": {"creation_date"}, "posts_answers": {"creation_date"}}
    for name, scan in others.items():
        for columns in scan.values():
            assert columns <= {
                *("id", "accepted_answer_id", "parent_id", "creation_date", "score", "tags", "post_type_id"),
                "owner_user_id",
                *("link_type_id", "post_id", "related_post_id"),
            }, name


def test_what_the_filters_need_is_read_with_the_bodies_and_nothing_else_is(read: dict[str, Scans]) -> None:
    dates = {"creation_date", "last_edit_date"}
    author = {"owner_user_id", "owner_display_name"}
    both = {"id", "body", "score", "comment_count", "community_owned_date"} | dates | author
    assert read["int_questions_tagged"]["posts_questions"] == both | {
        *("accepted_answer_id", "title", "tags", "view_count")
    }
    assert read["int_questions_tagged"]["post_links"] == {"link_type_id", "post_id"}
    assert read["int_answers_to_tagged_questions"]["posts_answers"] == both | {"parent_id"}


def test_the_public_dataset_is_never_asked_when_a_question_was_closed(
    compiled_for_gcp: Compiled, compiled_for_local: Compiled
) -> None:
    assert "closed_date" not in str(list(raw_scans(compiled_for_gcp).values()))
    questions = compiled_for_local.model("stg_stack_exchange__questions")
    assert "dated.closed_date is not null" in questions["compiled_code"]


def test_a_model_that_read_bodies_again_would_be_seen(compiled_for_gcp: Compiled) -> None:
    broken = copy.deepcopy(compiled_for_gcp)
    funnel = broken.model("dataset_funnel")
    staging = broken.model("stg_stack_exchange__questions")["relation_name"]
    funnel["compiled_code"] = f"with q as (select * from {staging}) select max(length(body)) as longest from q"  # noqa: S608
    assert scans(broken, funnel)[RAW + "posts_questions"] == {"body"}
