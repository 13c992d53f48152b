"""The command line as a person types it: one line for every mistake, never a traceback."""

import copy
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import pytest
from invoke.collection import Collection
from invoke.context import Context
from invoke.exceptions import Exit
from invoke.executor import Executor
from invoke.parser import Parser
from msgspec import Meta

from tests.invoked import invoke_here
from tuning.command import command
from tuning.command_line.options import Options
from tuning.settings import PROJECT_ROOT, Settings


def invoke(*arguments: str, **environ: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [str(Path(sys.executable).with_name("invoke")), *arguments],
        cwd=PROJECT_ROOT,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_the_list_of_tasks_explains_each() -> None:
    result = invoke("--list", "--list-format=json")
    assert result.returncode == 0
    listed = json.loads(result.stdout)
    tasks = listed["tasks"] + [task for group in listed["collections"] for task in group["tasks"]]
    assert [task["name"] for task in tasks if not task["help"]] == []
    assert {"tune", "ingest", "dataset", "submit", "monitor", "bench"} <= {task["name"] for task in tasks}


def test_without_a_command_all_are_listed_in_groups_by_the_names_that_run_them() -> None:
    import tasks

    result = invoke()
    assert result.returncode == 0
    shown = [line.split()[0] for line in result.stdout.splitlines() if line.startswith("  ")]
    assert len(shown) == len(set(shown)) > 30
    names = {name.removesuffix(".build").removesuffix(".export") for name in tasks.namespace.task_names}
    assert set(shown) == names - {"commands"}
    assert [line for line in result.stdout.splitlines() if line in tasks.groups] == list(tasks.groups)


def test_config_prints_the_effective_settings_and_masks_secrets() -> None:
    planted = "planted-" + "token"
    result = invoke("config", TUNING_BUCKET="mine", TUNING_ACCESS_TOKEN=planted)
    assert result.returncode == 0
    assert "mine" in result.stdout
    assert planted not in result.stdout + result.stderr


@pytest.mark.parametrize(
    ("arguments", "environ", "said"),
    [
        (["config", "--target", "aws"], {}, "--target: 'aws'"),
        (["config"], {"TUNING_TARGT": "gcp"}, "TUNING_TARGT"),
        (["split", "--limit", "x"], {}, "--limit takes a whole number, not 'x'"),
        (["split", "--eval-fraction", "much"], {}, "--eval-fraction takes a number, not 'much'"),
        (["tune", "--full", "--lora-rank", "8"], {}, "--full trains all weights and --lora-rank trains an adapter"),
        (["tune", "--steps", "5", "--epochs", "2"], {}, "--steps and --epochs both say how long to train"),
        (["submit", "--full", "--tuner", "gemini"], {}, "the tuner gemini trains adapters only"),
        (["config", "--no-such-option"], {}, "--no-such-option"),
        (["no-such-task"], {}, "no-such-task"),
        (["tunne"], {}, "No idea what 'tunne' is! Did you mean tune?"),
        (["tune", "--limit"], {}, "error: --limit needs a value: --limit=NUMBER. `invoke --help tune` explains it"),
        (
            ["export.export", "--format", "--debug"],
            {},
            "error: --format needs a value: --format=CHOICE. `invoke --help",
        ),
        (["tune", "--train"], {}, "error: --train needs a value: --train=TEXT. `invoke --help tune` explains it"),
        (["tune", "--lmit", "3"], {}, "No idea what '--lmit' is! Did you mean --limit?"),
        (["history"], {}, "No idea what 'history' is! `invoke` lists the commands."),
        (["tune", "--qqqq"], {}, "No idea what '--qqqq' is! `invoke --help tune` lists the options."),
        (["tune", "--tuner", "gemini"], {}, "this command needs Vertex AI, and the target is local. Add --target gcp"),
        (["tune", "--eval", "x.jsonl"], {}, "--eval needs --train"),
        (["cancel"], {}, "cancel needs a job. See `invoke --help cancel`"),
        (["ingest", "--site", "cardano"], {}, "ingest needs a path."),
        (["explore.peek", "-x", "y"], {}, "'-x' is no table. See `invoke --help explore.peek`"),
        (["schedule"], {}, "this command needs Vertex AI, and the target is local. Add --target gcp"),
        (["schedule", "--delete", "3"], {}, "this command needs Vertex AI, and the target is local."),
        (["schedule", "--cron", "0 3 * * 1"], {}, "this command needs Vertex AI, and the target is local."),
        (["schedule", "--runs", "3"], {}, "this command needs Vertex AI, and the target is local."),
        (["schedule", "--pause", "3", "--resume", "3"], {}, "--pause and --resume are two commands. Give only one"),
        (["refresh"], {"TUNING_WEBHOOK": "http://chat.example/x"}, "the webhook's address does not begin with https"),
        (["refresh"], {"TUNING_WEBHOOK_SECRET": "x"}, "TUNING_WEBHOOK_SECRET is for jobs on Vertex AI"),
        (["cancel", "a-job"], {}, "this command needs Vertex AI, and the target is local. Add --target gcp"),
    ],
)
def test_a_mistake_is_one_line_and_a_status_other_than_0(
    arguments: list[str], environ: dict[str, str], said: str
) -> None:
    result = invoke_here(*arguments, **environ)
    assert result.returncode != 0
    assert said in result.stderr + result.stdout
    assert "Traceback" not in result.stderr + result.stdout
    assert len((result.stderr + result.stdout).strip().splitlines()) == 1


@pytest.mark.parametrize(
    "task", ["promote", "predict", "cancel", "ingest", "explore.peek", "rollback", "report", "status", "export.model"]
)
def test_help_after_a_task_shows_its_help(task: str) -> None:
    result = invoke_here(task, "--help")
    assert result.returncode == 0
    assert f"Usage: inv[oke] [--core-opts] {task} [--options]" in result.stdout


def test_every_variable_of_dbt_is_an_option_of_each_command_that_builds_or_reads_a_mart() -> None:
    import tasks
    from tuning.warehouse.variables import Variables

    assert set(tasks.BuildOptions.__struct_fields__) == set(Variables.__struct_fields__)
    for name in ("build", "export", "dataset", "tune", "refresh", "schedule", "estimate"):
        arguments = copy.deepcopy(tasks.namespace[name]).get_arguments()  # invoke empties a task's help as it reads it
        assert {one.attr_name or one.name for one in arguments} >= set(Variables.__struct_fields__), name


def test_help_shows_choices_and_ranges() -> None:
    said = " ".join(invoke("--help", "tune").stdout.split())
    for shown in ("[a whole number from 0 to 1,000,000,000]", "[one of: keep, drop]", "[true or false]"):
        assert shown in said


def test_help_shows_the_kind_of_each_option() -> None:
    said = invoke("--help", "tune").stdout
    for shown in (
        "--limit=NUMBER",
        "--eval-fraction=NUMBER",
        "--format=CHOICE",
        "--redact-rules=FILE",
        "--decontaminate=PATH",
        "--split-date=DATE",
        "--match-parent=true|false",
        "--exclude-user=NUMBER",
        "--dataset=NAME",
        "--base-model=TEXT",
        "--target=CHOICE",
        "--full ",
    ):
        assert shown in said, shown
    assert "STRING" not in said


def test_options_of_numbers_choices_and_truth_values_are_converted_or_refused(
    capsys: pytest.CaptureFixture[str],
) -> None:
    import tasks

    @command
    def show(c: Context, settings: Settings, build: tasks.BuildOptions, chosen: tasks.SplitOptions) -> None:
        """Print the options."""
        print(build.given())

    show(Context(), match_parent="false", minimum_answer_score="-3", closed_questions="drop", preference_vote_gap="3")
    expected = {
        "match_parent": False,
        "preference_vote_gap": 3,
        "minimum_answer_score": -3,
        "closed_questions": "drop",
    }
    assert capsys.readouterr().out == f"{expected}\n"
    for wrong, said in (
        ({"match_parent": "no"}, "--match-parent takes true or false, not 'no'"),
        ({"minimum_answer_length": "x"}, "--minimum-answer-length takes a whole number, not 'x'"),
        ({"decisions": ""}, "--decisions must not be empty"),
        ({"python2_answers": "yes"}, "--python2-answers cannot be 'yes'. Choose one of: keep, drop"),
    ):
        with pytest.raises(Exit, match=said):
            show(Context(), **wrong)


@pytest.mark.parametrize("value", ["x", "1.5", str(1 << 63)])
def test_a_user_id_that_is_none_is_one_line(value: str) -> None:
    result = invoke("ingest", "missing.xml", "--exclude-user", "7", "--exclude-user", value)
    assert result.returncode != 0
    assert f"--exclude-user takes a whole number, not '{value}'" in result.stderr or "is not a user ID" in result.stderr
    assert len((result.stderr + result.stdout).strip().splitlines()) == 1


def test_an_option_that_can_be_repeated_gives_its_numbers() -> None:
    given: list[object] = []

    class Group(Options, frozen=True, kw_only=True):
        these: Annotated[list[int] | None, Meta(description="numbers")] = None

    @command
    def collect(c: Context, settings: Settings, group: Group, those: list[int] | None = None) -> None:
        """Collect."""
        given.append((group.given(), those))

    tasks = Collection(collect)
    for line in ("collect", "collect --these 7 --those 1 --these=-2 --those 3"):
        Executor(tasks).execute(*Parser(contexts=tasks.to_contexts()).parse_argv(line.split()))
    assert given == [({}, []), ({"these": [7, -2]}, [1, 3])]


@pytest.mark.parametrize("arguments", [["config"], ["--list"], ["--help", "tune"], ["config", "--target", "aws"]])
def test_an_output_that_nobody_reads_prints_no_error_about_it(arguments: list[str]) -> None:
    command = [str(Path(sys.executable).with_name("invoke")), *arguments]
    reading, writing = os.pipe()
    os.close(reading)
    result = subprocess.run(command, cwd=PROJECT_ROOT, stdout=writing, stderr=subprocess.PIPE, text=True, timeout=300)
    os.close(writing)
    assert result.stderr.startswith("error: --target: 'aws'" if "aws" in arguments else "")
    assert len(result.stderr.splitlines()) == ("aws" in arguments)
    assert arguments != ["config"] or result.returncode == 141


def test_another_pipe_that_breaks_is_not_taken_for_the_readers() -> None:
    @command
    def broken(c: Context, settings: Settings) -> None:
        """Talk to a worker that is gone."""
        raise BrokenPipeError("a worker's")

    with pytest.raises(BrokenPipeError, match="a worker's"):
        broken(Context())


@pytest.mark.parametrize(
    ("line", "completed"),
    [
        ("invoke tun", ["tune"]),
        ("invoke cloud.", ["cloud.check", "cloud.init"]),
        ("invoke tune --epo", ["--epochs"]),
        ("invoke evaluate --da", ["--data", "--dataset"]),
    ],
)
def test_bash_completes_commands_and_options(line: str, completed: list[str]) -> None:
    words = line.split()
    script = (
        'source <(invoke --print-completion-script bash); complete -p invoke >/dev/null || exit 1; COMP_WORDS=("$@"); '
        'COMP_CWORD=$(($# - 1)); _complete_invoke invoke "${!#}"; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    result = subprocess.run(
        [shutil.which("bash") or "bash", "-c", script, "bash", *words],
        cwd=PROJECT_ROOT,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (sorted(result.stdout.split()), result.stderr) == (completed, "")


def test_a_command_in_this_process_leaves_its_environment_as_it_was() -> None:
    before = dict(os.environ)
    assert invoke_here("config", TUNING_ACCESS_TOKEN="hidden-by-the-command").returncode == 0
    assert dict(os.environ) == before
