"""The variables of a build agree with dbt's, and know when a narrowed source may lack what they want."""

from typing import Any

import pytest
import yaml

from tuning.errors import TuningError
from tuning.settings import PROJECT_ROOT
from tuning.warehouse.variables import Variables, may_want_more


def test_the_defaults_are_those_of_the_dbt_project() -> None:
    project = yaml.safe_load((PROJECT_ROOT / "dbt_project" / "dbt_project.yml").read_text())
    assert Variables().all() == project["vars"]["defaults"]
    assert Variables().overrides() == {}
    assert Variables().key() == "default"


def test_only_what_differs_is_overridden() -> None:
    template = Variables().all()["instruction_template"]
    variables = Variables(since="2021-01-01", tag_pattern=r"^python(-\d.*)?$", instruction_template=template)
    assert variables.overrides() == {"since": "2021-01-01"}
    assert variables.key() == Variables(since="2021-01-01").key() != Variables(since="2021-01-02").key()


def test_the_seed_preset_takes_python_anywhere_and_joins_by_id_alone() -> None:
    assert Variables.seed().overrides() == {"tag_pattern": "python", "match_parent": False}
    assert Variables.seed().since == "2020-01-01"


@pytest.mark.parametrize("since", ["2020-13-01", "2020-02-30", "yesterday", "20200101", "2020-1-1", ""])
def test_a_date_that_is_none_is_one_line(since: str) -> None:
    with pytest.raises(TuningError, match=r"--since .* is not a date\. Write it as YYYY-MM-DD"):
        Variables(since=since)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"tag_pattern": ""}, "--tag-pattern is empty"),
        ({"tag_pattern": "a{{ 1 }}"}, "--tag-pattern contains a Jinja delimiter"),
        ({"tag_pattern": "a\0"}, "--tag-pattern contains a Jinja delimiter such as {{, or a null character"),
        ({"instruction_template": "{% raw %}"}, "--instruction-template contains a Jinja delimiter"),
        ({"preference_vote_gap": 0}, "--preference-vote-gap 0 is less than 1"),
        ({"minimum_answer_score": 2**63}, "--minimum-answer-score 9223372036854775808 is not a 64-bit number"),
        ({"minimum_question_length": -1}, "--minimum-question-length cannot be -1"),
        ({"minimum_answer_length": -5}, "--minimum-answer-length cannot be -5"),
        ({"python2_answers": "no"}, "--python2-answers cannot be 'no'. Choose one of: keep, drop"),
    ],
)
def test_a_value_that_dbt_would_refuse_is_one_line(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(TuningError) as refused:
        Variables(**wrong)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_each_filter_can_be_set_and_gives_the_build_another_key() -> None:
    changes: list[dict[str, Any]] = [
        *({name: 1} for name in Variables.__struct_fields__ if name.startswith("minimum_")),
        *({name: "drop"} for name in Variables.__struct_fields__ if Variables().all()[name] == "keep"),
        {"python2_answers": "keep"},
        {"match_parent": False},
        {"preference_vote_gap": 3},
        {"instruction_template": "Answer:"},
    ]
    assert all(Variables(**one).overrides() == one for one in changes)
    assert len({Variables(**one).key() for one in changes} | {"default"}) == len(changes) + 1


@pytest.mark.parametrize(
    ("tag_pattern", "tag_filter", "more"),
    [
        (r"^python(-\d.*)?$", "", False),
        (r"^python(-\d.*)?$", "python", False),
        (r"^Python$", "python", False),
        ("python", "pyth", False),
        (r"^python(-\d.*)?$", "python-3", True),
        ("^pandas$", "python", True),
        ("python|pandas", "python", True),
        ("(python)?x", "python", True),
        ("(python(x))?y", "python", True),
        ("[python]", "python", True),
        ("pythons?", "python", False),
        ("pythons?", "pythons", True),
        ("pythons*", "pythons", True),
        ("pythons{0,1}", "pythons", True),
    ],
)
def test_a_narrowed_source_may_lack_what_a_pattern_wants(tag_pattern: str, tag_filter: str, more: bool) -> None:
    assert may_want_more(tag_pattern, tag_filter) is more
