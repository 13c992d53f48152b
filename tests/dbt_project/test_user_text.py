"""What a user writes into a variable stays a text: it works or is refused in one line, and never changes a query."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import orjson
import pytest
from zetasql.api import Parser, PreparedExpression

from tests.dbt_project.compiled_project import Compiled
from tests.dbt_project.google_analyzer import AnalyzerOptions, LanguageOptions
from tests.dbt_project.running_dbt import Dbt
from tuning.warehouse.variables import Variables

NASTY = {
    "tag_pattern": "^python$|'|\"|`|\\d'; drop table x; --|{x}|a{2}",
    "instruction_template": (
        "It's \"so\" '''here''' `x` \\n \\\\ \\x41 \\u0041 {x} { } % #\r\n\té 😀'; drop table x; --\n"
    ),
}


@pytest.fixture(scope="module")
def compiled_nasty(tmp_path_factory: pytest.TempPathFactory, invented: Dbt) -> tuple[Dbt, Compiled]:
    folder = tmp_path_factory.mktemp("nasty")
    dbt = dataclasses.replace(invented, folder=folder)
    dbt.run_here("build", "--exclude-resource-type", "test", "unit_test", variables=NASTY)
    return dbt, Compiled(orjson.loads((folder / "target" / "manifest.json").read_bytes()))


def test_google_reads_each_literal_as_exactly_the_text_that_was_given(compiled_nasty: tuple[Dbt, Compiled]) -> None:
    _, project = compiled_nasty
    select = project.model("python_qa_build")["compiled_code"].split("final as (")[1]
    literal = select.split(" as variables,")[1].split(" as instruction_template,")[0].strip()
    assert _value(literal) == NASTY["instruction_template"]
    pattern = project.model("int_questions_tagged")["compiled_code"].split("regexp_contains(tag, ")[1].split("')\n")[0]
    assert _value(pattern + "'") == NASTY["tag_pattern"]


def _value(literal: str) -> str:
    options = AnalyzerOptions(language_options=LanguageOptions.maximum_features())
    with PreparedExpression(literal, options) as expression:
        return expression.execute().get_string()


def test_the_marts_hold_that_text_and_nothing_else_happened(compiled_nasty: tuple[Dbt, Compiled]) -> None:
    dbt, project = compiled_nasty
    rows = dbt.rows("python_qa_instructions")
    assert sorted(row["question_id"] for row in rows) == [1, 6]
    for row in rows:
        assert row["input_text_instruct"] == f"{NASTY['instruction_template']} {row['input_text']}"
    exposure = project.manifest["exposures"]["exposure.python_qa.tune_python_qa"]
    assert exposure["config"]["meta"]["instruction_template"] == NASTY["instruction_template"]
    for model in project.models:
        Parser.parse_statement_static(model["compiled_code"])  # one statement each; two would be a syntax error


def test_a_value_that_does_not_fit_has_a_fault_and_one_that_does_has_none(tmp_path: Path, invented: Dbt) -> None:
    values: list[tuple[str, Any, str]] = [
        ("tag_pattern", "python", ""),
        ("tag_pattern", "", "must be an RE2 pattern"),
        ("tag_pattern", 3, "must be an RE2 pattern"),
        ("since", "2020-02-29", ""),
        ("since", "2019-02-29", "must be a date (YYYY-MM-DD)"),
        ("since", "2020-13-01", "must be a date (YYYY-MM-DD)"),
        ("since", "2020-01-00", "must be a date (YYYY-MM-DD)"),
        ("since", "0000-01-01", "must be a date (YYYY-MM-DD)"),
        ("since", "9999-12-31", ""),
        ("since", "2020-01-01' or true --", "must be a date (YYYY-MM-DD)"),
        ("minimum_answer_score", None, ""),
        ("minimum_answer_score", -5, ""),
        ("minimum_answer_score", "1 or true", "must be a whole number or null"),
        ("minimum_answer_score", 1.5, "must be a whole number or null"),
        ("minimum_answer_score", True, "must be a whole number or null"),
        ("minimum_question_score", 2**63, "must be a whole number or null"),
        ("minimum_question_score", -(2**63), ""),
        ("minimum_invented_score", -5, ""),
        ("minimum_answer_length", 0, ""),
        ("minimum_answer_length", -1, "must be a whole number of at least 0, or null"),
        ("minimum_question_length", "9", "must be a whole number of at least 0, or null"),
        ("closed_questions", "drop", ""),
        ("duplicate_questions", "keep", ""),
        ("picture_questions", True, "must be keep or drop"),
        ("leaning_answers", "drop' or true", "must be keep or drop"),
        ("python2_answers", None, "must be keep or drop"),
        ("match_parent", False, ""),
        ("match_parent", "false", "must be true or false"),
        ("preference_vote_gap", 1, ""),
        ("preference_vote_gap", 0, "must be a whole number of at least 1"),
        ("exclude_user", [], ""),
        ("exclude_user", [22656, -2], ""),
        ("exclude_user", 22656, "must be a list of user IDs"),
        ("exclude_user", "22656", "must be a list of user IDs"),
        ("exclude_user", ["1) or (true"], "must be a list of user IDs"),
        ("pairs_per_question", 3, ""),
        ("pairs_per_question", 0, "must be a whole number of at least 1"),
        ("instruction_template", "", ""),
        ("instruction_template", None, "must be a text"),
    ]
    hostile = [name for name in Variables.__struct_fields__ if name not in ("tag_pattern", "instruction_template")]
    given = [(name, value) for name, value, _ in values] + [(name, "1 or true") for name in hostile]
    calls = ", ".join(f"variable_fault({name!r}, {value!r})" for name, value in given)
    dbt = dataclasses.replace(invented, folder=tmp_path)
    done = dbt.run("compile", "--quiet", "--no-populate-cache", "--inline", "{{ tojson([" + calls + "]) }}")
    faults = json.loads(done.stdout)
    assert faults[: len(values)] == [fault for _, _, fault in values]
    assert [name for name, fault in zip(hostile, faults[len(values) :], strict=True) if not fault] == []


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"tag_pattern": "python("}, "missing ): python("),
        (
            {"instruction_template": "{{ env_var('HOME') }}"},
            "variable instruction_template must not contain Jinja delimiters",
        ),
        ({"raw_schema": "x`; drop table y; --"}, "variable raw_schema must be a name of letters, digits"),
        (
            {"tagpattern": "python"},
            "unknown variable tagpattern; choose one of: closed_questions, duplicate_questions,",
        ),
        ({"defaults": "x"}, "variable defaults cannot be set"),
        ({"python2_answers": "no"}, 'variable python2_answers must be keep or drop, not "no"'),
    ],
    ids=["pattern", "template", "raw table", "unknown", "defaults", "filter"],
)
def test_a_wrong_variable_stops_dbt_with_one_clear_error(
    invented: Dbt, tmp_path: Path, variables: dict[str, Any], message: str
) -> None:
    printed = dataclasses.replace(invented, folder=tmp_path).refused_here("run", variables=variables)
    assert message in printed
    assert "Traceback" not in printed
