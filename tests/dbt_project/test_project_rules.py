"""The project keeps its own rules, and each rule can be broken."""

import copy
from collections.abc import Callable, Iterator

import orjson
import pytest

from tests.dbt_project.compiled_project import DBT_PROJECT, Compiled
from tests.dbt_project.project_rules import RULES
from tuning.answers.suite import LIBRARIES

Rule = Callable[[Compiled], Iterator[str]]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule.__name__))
def test_the_project_keeps_the_rule(compiled_for_gcp: Compiled, rule: Rule) -> None:
    assert list(rule(compiled_for_gcp)) == []


BREAKS = {
    "layers_read_downwards": ("python_qa_build", lambda n: n["depends_on"]["nodes"].append("source.python_qa.s.t")),
    "names_follow_the_layer": ("int_accepted_pairs", lambda n: n.update(name="accepted_pairs")),
    "everything_is_described": ("dataset_funnel", lambda n: n["columns"]["rule"].update(description="")),
    "descriptions_begin_with_the_grain": ("dataset_funnel", lambda n: n.update(description="Counts.")),
    "every_model_has_a_tested_primary_key": ("dataset_funnel", lambda n: n.update(unique_id="model.python_qa.other")),
    "generic_tests_hang_on_columns": (
        "primary_key_int_accepted_pairs_example_id",
        lambda n: n.update(column_name=None),
    ),
    "singular_tests_are_described": ("assert_funnel_adds_up", lambda n: n.update(description="")),
    "exposures_say_who_and_what_they_are": ("tune_python_qa", lambda n: n.update(url="")),
    "exported_models_have_versions": ("python_qa_build", lambda n: n.update(version=None)),
    "outsiders_read_public_tables_only": ("python_qa_build", lambda n: n.update(access="private")),
    "no_table_is_named_by_hand": ("dataset_funnel", lambda n: n.update(raw_code="select * from `p.d.t`")),
    "variables_are_read_in_one_place": ("dataset_funnel", lambda n: n.update(raw_code="'{{ variable('since') }}'")),
    "comments_hold_no_quotes": ("dataset_funnel", lambda n: n.update(compiled_code="select 1 -- it's one")),
    "marts_are_partitioned_and_clustered": ("python_qa_instructions", lambda n: n["config"].pop("partition_by")),
    "every_query_is_labelled": ("python_qa_build", lambda n: n["config"].update(labels={})),
}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule.__name__))
def test_a_project_that_breaks_the_rule_is_told_so(compiled_for_gcp: Compiled, rule: Rule) -> None:
    broken = copy.deepcopy(compiled_for_gcp)
    name, break_it = BREAKS[rule.__name__]
    break_it(broken.named(name))
    assert list(rule(broken)) != []


def test_marts_have_a_contract_where_bigquery_answers_and_none_where_the_emulator_does(
    compiled_for_gcp: Compiled, compiled_for_local: Compiled
) -> None:
    for project, is_enforced in ((compiled_for_gcp, True), (compiled_for_local, False)):
        marts = [model for model in project.models if model["access"] == "public"]
        assert len(marts) == 5
        assert {model["config"]["contract"]["enforced"] for model in marts} == {is_enforced}


def test_the_exposure_names_every_column_of_the_marts_that_leave_the_warehouse(compiled_for_gcp: Compiled) -> None:
    meta = compiled_for_gcp.manifest["exposures"]["exposure.python_qa.tune_python_qa"]["config"]["meta"]
    for mart, columns in (("mart", "columns"), ("preferences", "preference_columns")):
        assert meta[columns] == list(compiled_for_gcp.model(meta[mart])["columns"])
    assert meta["key"] in meta["columns"]
    assert compiled_for_gcp.model(meta["build"])["columns"].keys() >= {"variables", "instruction_template", "digest"}
    assert meta["instruction_template"] == (
        "Please answer the following Stackoverflow question on Python. "
        "Answer it like you are a developer answering Stackoverflow questions.\n\nStackoverflow question:\n"
    )


def test_the_sources_are_described_column_by_column_as_python_loads_them(compiled_for_gcp: Compiled) -> None:
    from tuning.sources.schemas import TABLES
    from tuning.sources.served.load import TABLE, columns

    declared = {
        source["name"]: {name: column["data_type"].upper() for name, column in source["columns"].items()}
        for source in compiled_for_gcp.sources
    }
    loaded = {table: {column.name: column.kind for column in kinds} for table, kinds in TABLES.items()}
    loaded[TABLE] = columns()
    assert {table: list(columns.items()) for table, columns in declared.items()} == {
        table: list(columns.items()) for table, columns in loaded.items()
    }


def test_every_job_has_a_byte_limit_a_timeout_and_says_who_sent_it() -> None:
    import yaml

    profile = yaml.safe_load((DBT_PROJECT / "profiles.yml").read_text())["python_qa"]["outputs"]
    for output in (profile["local"], profile["gcp"]):
        assert "TUNING_MAXIMUM_BYTES_BILLED" in output["maximum_bytes_billed"]
        assert "TUNING_JOB_TIMEOUT" in output["job_execution_timeout_seconds"]
    project = yaml.safe_load((DBT_PROJECT / "dbt_project.yml").read_text())
    assert project["query-comment"]["job-label"] is True


def test_severities_below_error_are_only_those_of_the_texts_of_an_old_dump_and_of_few_rows(
    compiled_for_gcp: Compiled, compiled_for_local: Compiled
) -> None:
    texts = {
        *("assert_instructions_have_no_empty_text", "assert_preferences_have_no_empty_text"),
        *("assert_code_blocks_are_balanced", "assert_text_lengths_are_plausible"),
    }
    few_rows = {"assert_no_rule_keeps_unusually_few_rows"}
    assert _warning(compiled_for_gcp) == texts | few_rows
    assert _warning(compiled_for_local) == texts | few_rows | {"assert_source_is_as_new_as_promised"}


def test_freshness_is_of_loaded_tables_and_not_of_the_frozen_public_dataset(
    compiled_for_gcp: Compiled, compiled_for_local: Compiled
) -> None:
    for project, days in ((compiled_for_gcp, 100 * 365), (compiled_for_local, 120)):
        posts = [source for source in project.sources if source["source_name"] == "stack_exchange"]
        assert {source["freshness"]["warn_after"]["count"] for source in posts} == {days}
        assert "frozen" in posts[0]["source_description"]


def _warning(project: Compiled) -> set[str]:
    return {node["name"] for node in project.of_type("test") if node["config"]["severity"].lower() != "error"}


def test_the_manifest_carries_no_path_of_this_machine_in_what_python_reads(compiled_for_gcp: Compiled) -> None:
    assert str(DBT_PROJECT.parent).encode() not in orjson.dumps(compiled_for_gcp.manifest["exposures"])


def test_sql_and_python_know_the_same_libraries_of_python(compiled_for_local: Compiled) -> None:
    sql = compiled_for_local.model("int_answers_to_tagged_questions")["compiled_code"]
    names = sql.split("like '%python%' or tag in (")[1].split(")")[0]
    assert set(names.replace("'", "").split(", ")) == LIBRARIES
