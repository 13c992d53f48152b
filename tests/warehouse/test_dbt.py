"""dbt run as a person would, and only where something has changed."""

import json
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import orjson
import pytest

from tuning.errors import TuningError
from tuning.records import write_record
from tuning.settings import Settings
from tuning.sources.load_sample import load_sample
from tuning.storage import write_json
from tuning.warehouse import dbt, dbt_process, emulator, fingerprint
from tuning.warehouse.client import connect, query
from tuning.warehouse.contract import contract
from tuning.warehouse.dbt import BuildResult, Variables, build, ensure_built, require_current
from tuning.warehouse.dbt_process import (
    Invocation,
    NodeRun,
    Response,
    RunResults,
    command,
    dbt_files,
    environment,
    run_dbt,
)
from tuning.warehouse.fingerprint import parse_inputs, source
from tuning.warehouse.in_lines import build_lines

QUESTIONS = 40  # of the standard library sample: every one has tag python and an accepted answer
NONE = Variables(since="2100-01-01")  # meets no answer


class Asked(Exception):  # noqa: N818 - not an error: a build was asked for
    pass


def result_of(node: str, rows: int | None = None) -> NodeRun:
    """One result as run_results.json has it."""
    return NodeRun(unique_id=node, status="success", execution_time=1.0, adapter_response=Response(rows_affected=rows))


def ran(*results: NodeRun) -> RunResults:
    """What one run of dbt writes."""
    return RunResults(metadata=Invocation(invocation_id="1"), results=list(results), elapsed_time=1.0)


@pytest.fixture
def no_build(monkeypatch: pytest.MonkeyPatch) -> None:
    """Say by an exception that a build was asked for, instead of spending the time."""

    def ask(*_: object, **__: object) -> BuildResult:
        raise Asked

    monkeypatch.setattr(dbt, "build", ask)


def test_dbt_is_run_again_if_the_local_bigquery_ends_while_it_runs(
    new_home: Callable[..., Settings],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    settings, marker = new_home(), tmp_path / "ran once"
    server = emulator.ensure(settings)
    script = (
        "import os, pathlib, sys, time; marker, pid = sys.argv[1:]\n"
        "if not pathlib.Path(marker).exists(): pathlib.Path(marker).touch(); os.kill(int(pid), 9); time.sleep(500)"
    )
    fake = [sys.executable, "-c", script, str(marker), str(server.pid)]
    monkeypatch.setattr(dbt_process, "command", lambda *_: fake)
    start = time.monotonic()
    assert run_dbt(settings, ["build"]) is None
    assert time.monotonic() - start < 60
    assert emulator.ensure(settings).pid != server.pid
    assert f"(pid {server.pid}) ended unexpectedly and was started again" in capsys.readouterr().out


@pytest.mark.parametrize(
    "printed",
    [
        "--- Logging error ---\nTraceback (most recent call last):\nOSError: [Errno 28] No space left on device",
        '{"info": {"name": "X", "level": "error", "msg": "IO Error: Could not write file \\"a.duckdb.wal\\""}}',
    ],
)
def test_a_full_disk_is_named_whatever_dbt_prints(
    warehouse: Settings, monkeypatch: pytest.MonkeyPatch, printed: str
) -> None:
    fake = [sys.executable, "-c", "import sys; print(sys.argv[1]); sys.exit(2)", printed]
    monkeypatch.setattr(dbt_process, "command", lambda *_: fake)
    dbt_files(warehouse, Variables()).run_results.parent.mkdir(parents=True, exist_ok=True)
    with pytest.raises(TuningError, match=r"^dbt build failed: the disk became full: .*`invoke clean`"):
        run_dbt(warehouse, ["build"])


def test_a_build_says_what_it_builds_and_where_before_it_works(
    built: tuple[Settings, BuildResult], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings, _ = built
    data = {"total": 1_098, "node_info": {"node_relation": {"schema": "python_qa"}}}
    start = json.dumps({"info": {"name": "LogStartLine", "level": "info", "msg": ""}, "data": data})
    first = start.replace('"python_qa"', '""')  # a unit test
    fake = [sys.executable, "-c", "import sys; print('\\n'.join(sys.argv[1:])); sys.exit(1)", first, start, start]
    monkeypatch.setattr(dbt_process, "command", lambda *_: fake)
    with pytest.raises(TuningError, match="dbt build failed"):
        build(settings, NONE)
    assert capsys.readouterr().err.splitlines() == [
        "dbt build begins: all models and tests, from the posts of the sample of python-qa-tuning",
        "dbt build works in the BigQuery dataset python_qa",
    ]


@pytest.mark.slow
def test_a_selection_that_reads_what_is_not_built_is_one_line(built: tuple[Settings, BuildResult]) -> None:
    settings = msgspec.structs.replace(built[0], bigquery_dataset="empty")
    with pytest.raises(TuningError) as failed:
        build(settings, NONE, "python_qa_build")
    assert str(failed.value) == (
        "--select 'python_qa_build' reads what is not built yet: python_qa_instructions, python_qa_preferences, "
        "stg_stack_exchange__answers, stg_stack_exchange__origin, stg_stack_exchange__questions. "
        "Put a + before each name that you select, which adds what it reads, or run `invoke build`"
    )


@pytest.mark.slow
def test_a_mart_without_rows_is_a_warning_with_the_rule_that_no_row_meets(
    built: tuple[Settings, BuildResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = msgspec.structs.replace(built[0], bigquery_dataset="nothing")
    client, dataset = connect(settings), contract(settings, NONE).build.rpartition(".")[0]
    client.create_dataset(dataset)
    funnel = f"`{dataset}.dataset_funnel`"
    rows = [
        "(1, 'python_qa_instructions', 1, 'question_has_tag', 'tag_pattern', 'x', 9, 0)",
        "(2, 'python_qa_instructions', 12, 'answer_to_this_question', 'match_parent', 'true', 0, 0)",
        "(2, 'python_qa_instructions', 11, 'answer_new_enough', 'since', '2100-01-01', 1040, 0)",
        "(2, 'python_qa_instructions', 10, 'answer_of_this_site', null, null, 1040, 1040)",
        "(2, 'python_qa_preferences', 1, 'question_has_two_answers', null, null, 40, 0)",
    ]
    query(
        client,
        f"create or replace table {funnel} (build int64, mart string, step int64, rule string, variable string, "
        "value string, rows_in int64, rows_out int64)",
    )
    query(client, f"insert into {funnel} values {', '.join(rows)}")  # noqa: S608
    marts = [result_of(f"model.python_qa.python_qa_{name}.v1", 0) for name in ("instructions", "preferences")]
    made = ran(*marts, result_of("model.python_qa.dataset_funnel", 9))
    monkeypatch.setattr(dbt, "run_dbt", lambda *_: made)
    assert build(settings, NONE, "x").warnings == (
        "python_qa_instructions has 0 rows: of 1,040, none meets the rule answer_new_enough (since: 2100-01-01)",
        "python_qa_preferences has 0 rows: of 40, none meets the rule question_has_two_answers",
    )
    made.results.pop()
    assert build(settings, NONE, "x").warnings[0] == (
        "python_qa_instructions has 0 rows; build dataset_funnel too to see why"
    )


def test_the_command_line_names_folder_profile_target_and_changed_variables(settings: Settings) -> None:
    variables = Variables(tag_pattern='it\'s "x" \\d', since="2021-01-01")
    folder = settings.home / "dbt" / f"local-{variables.key()}"
    project = str(fingerprint.DBT_PROJECT)
    assert command(settings, ["build", "--select", "staging"], variables) == [
        str(Path(sys.executable).parent / "dbt"),
        *("build", "--select", "staging"),
        *("--project-dir", project, "--profiles-dir", project, "--target", "local"),
        *("--target-path", f"{folder}/target", "--log-path", f"{folder}/logs", "--log-format", "json"),
        "--no-use-colors",
        *("--vars", '{"since": "2021-01-01", "tag_pattern": "it\'s \\"x\\" \\\\d"}'),
    ]
    assert "--vars" not in command(settings, ["run"], Variables())


def test_dbt_gets_the_effective_settings(warehouse: Settings) -> None:
    settings = msgspec.structs.replace(warehouse, bigquery_dataset="mine", maximum_bytes_billed=7)
    variables = environment(settings)
    assert variables["TUNING_HOME"] == str(warehouse.home)
    assert variables["TUNING_BIGQUERY_ENDPOINT"] == f"http://127.0.0.1:{warehouse.bigquery_port}"
    assert variables["TUNING_BIGQUERY_DATASET"] == "mine"
    assert variables["TUNING_MAXIMUM_BYTES_BILLED"] == "7"


@pytest.mark.slow
def test_a_build_reports_the_rows_of_every_model_and_their_total(built: tuple[Settings, BuildResult]) -> None:
    _, result = built
    rows = {node.name: node.rows for node in result.nodes}
    assert rows["python_qa_instructions"] == QUESTIONS
    assert rows["python_qa_build"] == 1
    assert rows["stg_stack_exchange__questions"] is None  # a view
    assert {node.status for node in result.nodes} == {"success"}
    assert result.tests > 20
    lines = list(build_lines(result, local=True))
    assert lines[0].split() == ["model", "rows", "bytes", "seconds"]
    assert any(line.split()[:3] == ["python_qa_instructions", str(QUESTIONS), "0"] for line in lines)
    table = [line.rsplit(maxsplit=3) for line in lines[1 : len(result.nodes) + 3]]
    assert [row[0] for row in table[-2:]] == [f"{result.tests} tests", "total"]
    for column in (1, 2, 3):
        *parts, total = (float(row[column].replace(",", "").replace("-", "0")) for row in table)
        assert sum(parts) == pytest.approx(total)


@pytest.mark.slow
def test_what_is_built_is_not_built_again(built: tuple[Settings, BuildResult], no_build: None) -> None:
    settings, _ = built
    assert ensure_built(settings, Variables()) is None


def test_what_tuning_needs_is_built_without_unit_tests_and_what_the_data_team_builds_with_them(
    warehouse: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []

    def ask(_settings: Settings, arguments: list[str], _variables: Variables) -> None:
        asked.append(arguments)
        raise Asked

    monkeypatch.setattr(dbt, "run_dbt", ask)
    monkeypatch.setattr(dbt, "parse_inputs", lambda *_: {})
    monkeypatch.setattr(dbt, "source", lambda *_: {})
    for attempt in (build, ensure_built):
        with pytest.raises(Asked):
            attempt(warehouse, Variables())
    assert asked == [["build"], ["build", "--exclude-resource-type", "unit_test"]]


@pytest.mark.slow
def test_other_variables_ask_for_a_build_and_a_dataset_of_their_own(
    built: tuple[Settings, BuildResult], no_build: None
) -> None:
    settings, _ = built
    with pytest.raises(Asked):
        ensure_built(settings, Variables.seed())
    default, seed = contract(settings, Variables()), contract(settings, Variables.seed())
    assert default.mart == "local-project.python_qa.python_qa_instructions"
    assert seed.mart.split(".")[1].removeprefix("python_qa_") != ""
    assert seed.mart.startswith("local-project.python_qa_")


@pytest.mark.slow
def test_another_source_asks_for_a_build(built: tuple[Settings, BuildResult], no_build: None) -> None:
    settings, _ = built
    client = connect(settings)
    origin = "`bigquery-public-data.stackoverflow.origin`"
    query(client, f"update {origin} set digest = concat('x', digest) where true")  # noqa: S608
    with pytest.raises(Asked):
        ensure_built(settings, Variables())
    query(client, f"update {origin} set digest = substr(digest, 2) where true")  # noqa: S608
    assert ensure_built(settings, Variables()) is None


@pytest.mark.slow
@pytest.mark.parametrize(
    "changed", ["seeds/denied_posts.csv", "models/marts/python_qa_instructions.sql", "dbt_project.yml"]
)
def test_a_changed_file_of_the_project_asks_for_a_build(
    built: tuple[Settings, BuildResult], no_build: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, changed: str
) -> None:
    settings, _ = built
    project = tmp_path / "dbt_project"
    shutil.copytree(fingerprint.DBT_PROJECT, project, ignore=shutil.ignore_patterns("target", "logs"))
    monkeypatch.setattr(fingerprint, "DBT_PROJECT", project)
    assert ensure_built(settings, Variables()) is None
    (project / "README.md").write_text("words change nothing")
    assert ensure_built(settings, Variables()) is None
    with (project / changed).open("a") as file:
        file.write("\n")
    with pytest.raises(Asked):
        ensure_built(settings, Variables())


@pytest.mark.slow
def test_marts_that_another_run_has_built_over_or_dropped_ask_for_a_build(
    built: tuple[Settings, BuildResult], no_build: None
) -> None:
    settings, _ = built
    client, table = connect(settings), "`local-project.python_qa.python_qa_build`"
    query(client, f"update {table} set invocation_id = concat('x', invocation_id) where true")  # noqa: S608
    with pytest.raises(Asked):
        ensure_built(settings, Variables())
    query(client, f"update {table} set invocation_id = substr(invocation_id, 2) where true")  # noqa: S608
    assert ensure_built(settings, Variables()) is None
    other = "local-project.python_qa.python_qa_preferences"
    client.copy_table(other, f"{other}_kept").result()
    client.delete_table(other)
    with pytest.raises(Asked):
        ensure_built(settings, Variables())
    client.copy_table(f"{other}_kept", other).result()
    client.delete_table(f"{other}_kept")
    assert ensure_built(settings, Variables()) is None


@pytest.mark.slow
def test_a_column_that_the_exposure_names_and_the_model_lacks_is_an_error_by_name(
    built: tuple[Settings, BuildResult],
) -> None:
    settings, _ = built
    files = dbt_files(settings, Variables())
    agreed = contract(settings, Variables())
    assert agreed.key == "example_id"
    assert {"example_id", "question_body", "answer_body", "tags"} <= set(agreed.columns)
    assert agreed.template == Variables().all()["instruction_template"]
    original = files.manifest.read_bytes()
    manifest = orjson.loads(original)
    del manifest["nodes"]["model.python_qa.python_qa_instructions.v1"]["columns"]["answer_body"]
    write_json(files.manifest, manifest)
    try:
        with pytest.raises(TuningError, match="names the column answer_body, which python_qa_instructions does not"):
            contract(settings, Variables())
    finally:
        files.manifest.write_bytes(original)


@pytest.mark.slow
def test_a_dbt_that_fails_is_one_line_with_its_first_error_and_its_log(built: tuple[Settings, BuildResult]) -> None:
    settings, _ = built
    with pytest.raises(TuningError) as refused:
        run_dbt(settings, ["run-operation", "no_such_macro"], Variables())
    message = str(refused.value)
    assert "dbt run-operation failed" in message
    assert "no_such_macro" in message
    assert "\n" not in message
    log = Path(message.rpartition("See the log ")[2].removesuffix("."))
    assert log.is_file()


@pytest.mark.slow
def test_a_selection_that_matches_nothing_is_one_line(built: tuple[Settings, BuildResult]) -> None:
    settings, _ = built
    with pytest.raises(TuningError, match="--select 'python_qa_instruction' matches nothing"):
        build(settings, Variables(), "python_qa_instruction")


@pytest.mark.slow
def test_marts_that_are_older_than_the_source_are_named_with_the_command_that_helps(
    built: tuple[Settings, BuildResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, _ = built
    client, raw = connect(settings), "`bigquery-public-data.stackoverflow.{}`"
    stamp = dbt_files(settings, Variables()).folder / "built.json"
    (row,) = client.list_rows(contract(settings, Variables()).build)
    made_of = {**parse_inputs(settings, Variables()), "source": source(settings, client)}
    write_record(stamp, {**made_of, "invocation_id": row["invocation_id"]})  # whatever other tests have built
    require_current(settings, Variables())
    query(client, f"create or replace table {raw.format('users')} as select * from {raw.format('users')}")  # noqa: S608
    require_current(settings, Variables())  # loaded again without a change
    query(client, f"update {raw.format('origin')} set digest = concat('x', digest) where true")  # noqa: S608
    old = (
        "int_answers_to_tagged_questions, int_questions_tagged, python_qa_build, python_qa_instructions, "
        "python_qa_preferences are older than the loaded data: "
        "run `invoke build` with the same options and without --select"
    )
    with pytest.raises(TuningError) as refused:
        require_current(settings, Variables())
    assert str(refused.value) == f"{old}."
    content = stamp.read_bytes()
    some = ran(result_of("test.p.x"))
    monkeypatch.setattr(dbt, "run_dbt", lambda *_: some)
    assert build(settings, Variables(), "python_qa_build").warnings == (old,)

    def fail(*_: object) -> None:
        raise TuningError("dbt build failed: assert_x: Got 4 results", "See the log")

    monkeypatch.setattr(dbt, "run_dbt", fail)
    with pytest.raises(TuningError) as failed:
        build(settings, Variables(), "python_qa_build")
    assert str(failed.value) == f"dbt build failed: assert_x: Got 4 results. See the log. {old}"
    query(client, f"update {raw.format('origin')} set digest = substr(digest, 2) where true")  # noqa: S608
    stamp.write_bytes(content)
    require_current(settings, Variables())


def test_an_empty_source_is_one_line_and_no_dbt_is_started(new_home: Callable[..., Settings]) -> None:
    settings = new_home()
    for attempt in (build, ensure_built):
        with pytest.raises(TuningError) as refused:
            attempt(settings, Variables())
        assert str(refused.value) == (
            "there are no posts in bigquery-public-data.stackoverflow. "
            "Run `invoke ingest DUMP` or `invoke sample` to load data"
        )
    assert not (settings.home / "dbt").exists()


def test_a_source_without_an_origin_is_known_by_rows_and_times(new_home: Callable[..., Settings]) -> None:
    settings = new_home()
    load_sample(settings, 3)
    client = connect(settings)
    loaded = fingerprint.source(settings, client)
    assert loaded["kind"] == "synthetic"
    client.delete_table("bigquery-public-data.stackoverflow.origin")
    counted = fingerprint.source(settings, client)
    assert {name: rows for name, (rows, _) in counted.items()}["posts_questions"] == 3
    assert json.dumps(counted) == json.dumps(fingerprint.source(settings, client))
