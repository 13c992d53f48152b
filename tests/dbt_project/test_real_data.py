"""`dbt build` on real posts: every test passes, and every count is the one that plain Python takes from the XML."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.dbt_project.compiled_project import DBT_PROJECT
from tests.dbt_project.counting import instruction_funnel, preference_pairs, read_posts
from tests.dbt_project.running_dbt import Dbt
from tests.homes import free_port
from tuning.settings import Settings
from tuning.sources.ingest import ingest
from tuning.warehouse import emulator

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def real_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    settings = Settings(home=tmp_path_factory.mktemp("real") / "home", bigquery_port=free_port())
    yield settings
    emulator.stop(settings)


@pytest.mark.parametrize(
    ("archive", "variables"),
    [
        ("stackoverflow-python-bodies.7z", {}),
        ("cardano.stackexchange.com.7z", {"tag_pattern": "^plutus$", "since": "2021-01-01"}),
    ],
    ids=["stackoverflow", "cardano"],
)
def test_a_build_on_real_posts_passes_and_counts_what_python_counts(
    real_data: Path, real_home: Settings, tmp_path: Path, archive: str, variables: dict[str, Any]
) -> None:
    ingest(real_home, real_data / archive)
    dbt = Dbt(real_home, DBT_PROJECT, tmp_path)
    # With other variables the unit tests run too: they set all that they depend on.
    dbt.succeed("build", *(() if variables else ("--exclude-resource-type", "unit_test")), variables=variables)
    assert set(dbt.results().values()) <= {"success", "pass", "no-op"}

    posts = read_posts(real_data / archive)
    rules = {"tag_pattern": r"^python(-\d.*)?$", "since": "2020-01-01"} | variables
    expected = instruction_funnel(posts, rules["tag_pattern"], rules["since"])
    rows = {row["rule"]: row for row in dbt.rows("dataset_funnel") if row["mart"] == "python_qa_instructions"}
    assert rows["question_has_tag"]["rows_in"] == len(posts[0])
    assert [(rule, rows[rule]["rows_out"]) for rule, _ in expected] == expected
    assert {rows[rule]["rows_failing"] for rule in ("question_not_denied", "answer_not_denied")} == {0}
    assert len(dbt.rows("python_qa_instructions", "example_id")) == expected[-1][1] > 50

    pairs = preference_pairs(posts, rules["tag_pattern"], rules["since"], 2)
    columns = ("question_id", "chosen_answer_id", "rejected_answer_id")
    found = {tuple(row[column] for column in columns) for row in dbt.rows("python_qa_preferences", ", ".join(columns))}
    assert found == pairs
    assert len(pairs) > 20
