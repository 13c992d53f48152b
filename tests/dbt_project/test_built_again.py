"""What happens to a warehouse in which everything is built: by further builds, by a change, and by another home."""

import dataclasses
import shutil
from pathlib import Path

import msgspec
import pytest

from tests.dbt_project.compiled_project import Compiled
from tests.dbt_project.google_analyzer import Tables, declared, relation
from tests.dbt_project.running_dbt import Dbt
from tuning.warehouse.client import connect, find_warehouse, query

pytestmark = pytest.mark.slow

OLD_COLUMNS = "mart, step, rule, is_applied, rows_in, rows_failing, rows_out"


def builds(dbt: Dbt) -> dict[int, set[str]]:
    """The invocations of each build in the funnel."""
    found: dict[int, set[str]] = {}
    for row in dbt.rows("dataset_funnel", "build, invocation_id"):
        found.setdefault(row["build"], set()).add(row["invocation_id"])
    return found


def test_the_funnel_keeps_every_build_and_a_build_that_loses_rows_warns(
    built: Dbt, compiled_for_local: Compiled
) -> None:
    client, table = connect(built.settings), built.table("dataset_funnel")
    steps = len(built.rows("dataset_funnel"))
    (first,) = builds(built)[1]

    built.run_here("run", "--select", "dataset_funnel")
    again = builds(built)
    assert again.keys() == {1}
    assert first not in again[1]

    # As if the build so far had had 1000 posts more in every step.
    query(client, f"update {table} set rows_in = rows_in + 1000, rows_out = rows_out + 1000 where true")  # noqa: S608
    built.run_here("build", "--select", "dataset_funnel", "--exclude-resource-type", "unit_test")
    assert builds(built).keys() == {1, 2}
    assert len(built.rows("dataset_funnel")) == 2 * steps
    statuses = {name.split(".")[2]: status for name, status in built.results().items()}
    assert statuses["assert_no_rule_keeps_unusually_few_rows"] == "warn"
    assert {status for name, status in statuses.items() if not name.startswith("assert_no_rule")} <= {"success", "pass"}
    assert_google_accepts_the_funnel_of_a_second_build(built, compiled_for_local)

    # An older version of this project had one build in this table, without a number.
    query(client, f"create or replace table {table} as select {OLD_COLUMNS} from {table} where build = 2")  # noqa: S608
    built.run_here("run", "--select", "dataset_funnel")
    assert builds(built).keys() == {1}
    assert len(built.rows("dataset_funnel")) == steps


def assert_google_accepts_the_funnel_of_a_second_build(built: Dbt, compiled: Compiled) -> None:
    funnel = compiled.model("dataset_funnel")
    sql = (built.folder / "target" / "compiled" / "python_qa" / funnel["original_file_path"]).read_text()
    assert "full outer join" in sql  # only a second build compares
    tables = Tables()
    for node in compiled.of_type("model", "seed"):
        tables.declare(relation(node), declared(node))
    assert list(tables.check(sql).items()) == list(declared(funnel).items())


def test_a_slim_build_makes_what_a_change_touches_and_reads_the_rest_from_the_other_build(
    built: Dbt, tmp_path: Path
) -> None:
    project, state = tmp_path / "dbt_project", tmp_path / "state"
    shutil.copytree(built.project, project)
    state.mkdir()
    shutil.copy(built.folder / "target" / "manifest.json", state)
    changed = project / "models" / "marts" / "python_qa_build.sql"
    changed.write_text(changed.read_text() + "\n-- a change\n")
    slim = dataclasses.replace(
        built,
        settings=msgspec.structs.replace(built.settings, bigquery_dataset="python_qa_changed"),
        project=project,
        folder=tmp_path / "built",
    )
    slim.run_here("build", "--select", "state:modified+", "--defer", "--favor-state", "--state", str(state))
    models = {name.split(".")[2] for name in slim.results() if name.startswith(("model.", "seed."))}
    assert models == {"python_qa_build"}
    assert {name.split(".")[0] for name in slim.results()} >= {"model", "test"}
    tables = {table.table_id for table in connect(slim.settings).list_tables("python_qa_changed")}
    assert tables == {"python_qa_build"}
    (row,) = slim.rows("python_qa_build", "instructions")
    assert row["instructions"] == 4


def test_a_command_for_another_home_is_refused(built: Dbt, tmp_path: Path) -> None:
    stranger = msgspec.structs.replace(
        built.settings, home=tmp_path / "stranger", bigquery_endpoint=find_warehouse(built.settings).endpoint()
    )
    done = Dbt(stranger, built.project, tmp_path).run("debug")
    assert done.returncode != 0
    assert (
        f"belongs to the home {built.settings.home}, but the command runs for the home {stranger.home}" in done.stdout
    )
