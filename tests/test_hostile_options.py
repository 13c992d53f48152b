"""Every option of every task and every setting, with values that a person or a program may give by mistake.

A value is either accepted or refused with one line, before any work is done. The target gcp without a project makes a
task end where its work would begin.
"""

import copy
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from invoke.collection import Collection
from invoke.exceptions import Exit
from invoke.executor import Executor
from invoke.parser import ParseError, Parser
from invoke.tasks import Task

from tuning.errors import TuningError
from tuning.settings import Settings, load_settings, variable

VALUES = (
    *("", " ", "0", "-1", "1.5", "1e400", "nan", "-inf", "9" * 23, "x" * 300, "x/" * 2500),
    *("a\0b", "a\udcffb", "a\nb", "\x1b[31m", "../../x", "/", "~nobody-here/x", "-x", "{{$.x}}", "*[?", "'\"`;\\"),
    *("/dev/zero", "fifo", "dangling", "folder", "file/x", "https://", ".a:b", "a=b"),
)
# Tasks that do all their work without Google Cloud.
WRITES = {"compile", "hello", "promote", "rollback"}


def tasks_of(collection: Collection, prefix: str = "") -> Iterator[tuple[str, "Task[Any]"]]:
    for name, task in collection.tasks.items():
        copied = copy.copy(task)
        copied.help = dict(task.help)  # invoke takes it away when it reads the arguments
        yield f"{prefix}{name}", copied
    for name, inner in collection.collections.items():
        yield from tasks_of(inner, f"{prefix}{name}.")


def options() -> list[tuple[str, str]]:
    """The tasks, each with each of its options that take a value."""
    import tasks

    return [
        (name, argument.name)
        for name, task in sorted(dict(tasks_of(tasks.namespace)).items())
        for argument in task.get_arguments(ignore_unknown_help=True)
        if argument.kind is not bool and argument.name
    ]


@pytest.fixture(autouse=True)
def odd_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with what is no plain file. Nothing outside it is written."""
    monkeypatch.chdir(tmp_path)
    os.mkfifo("fifo")
    Path("dangling").symlink_to("nowhere")
    Path("folder").mkdir()
    Path("file").touch()
    monkeypatch.setenv("TUNING_TEST_DATA", str(tmp_path / "none"))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none"))


def outcome(name: str, line: list[str]) -> str:
    """Run the task as the command line does. Return its one line, or '' if it succeeds."""
    import tasks

    task = dict(tasks_of(tasks.namespace))[name]
    collection = Collection(it=task)
    collection.configure({"ignore_unknown_help": True})
    try:
        Executor(collection).execute(*Parser(contexts=collection.to_contexts(True)).parse_argv(["it", *line]))
    except Exit as ended:
        return str(ended.message)
    except ParseError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("name", sorted({name for name, _ in options()}))
def test_a_value_is_accepted_or_refused_with_one_line(name: str, tmp_path: Path) -> None:
    import tasks

    required = [
        f"--{one.name}=x" for one in dict(tasks_of(tasks.namespace))[name].get_arguments(True) if one.positional
    ]
    for option in [option for task, option in options() if task == name]:
        for value in VALUES:
            given = f"--{option.replace('_', '-')}={value}"
            others = [one for one in required if one.partition("=")[0] != given.partition("=")[0]]
            target = [] if option == "target" else ["--target=gcp"]
            said = outcome(name, [*others, given, *target])
            assert len(said.splitlines()) <= 1, (given[:80], said)
            assert len(said) < 3000, (given[:80], said)
    assert name in WRITES or not (tmp_path / "home").exists()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("--limit=99999999999999999999999", "--limit takes a whole number from 0 to 1,000,000,000, not '9999"),
        ("--steps=0", "--steps takes a whole number from 1"),
        ("--epochs=nan", "--epochs takes a number, not 'nan'"),
        ("--epochs=1_0", "--epochs takes a number, not '1_0'"),
        ("--epochs=１", "--epochs takes a number, not '１'"),  # noqa: RUF001
        ("--epochs=0x1", "--epochs takes a number, not '0x1'"),
        ("--limit=1_0", "--limit takes a whole number, not '1_0'"),
        ("--limit= 1", "--limit takes a whole number, not ' 1'"),
        ("--budget=inf", "--budget takes a number, not 'inf'"),
        ("--budget=-1", "--budget takes a number of at least 0, not '-1'"),
        ("--eval-fraction=1", "--eval-fraction takes a number above 0 and below 1, not '1'"),
        ("--tuner=none", "--tuner takes hf, gemini or package.module:Class, not 'none'"),
        ("--base-model=a\udcff", "--base-model takes text in UTF-8, not 'a\\udcff'"),
        ("--base-model=a\0", "--base-model cannot contain a null character"),
        ("--dataset=../x", "--dataset takes a name of letters, digits and _.-, not '../x'"),
        ("--tag-pattern=(?=a)", "--tag-pattern '(?=a)' is not valid in RE2"),
        ("--decontaminate=fifo", "--decontaminate names 'fifo', which is a pipe or device, not a file"),
        ("--decontaminate=dangling", "--decontaminate names 'dangling', which is a link to nowhere, which does not"),
        ("--redact-rules=folder", "--redact-rules names 'folder', which is a folder, not a file"),
        ("--redact-rules=file/x", "--redact-rules names 'file/x', which cannot be read (Not a directory)"),
    ],
)
def test_the_line_says_what_the_option_takes(given: str, said: str) -> None:
    assert said in outcome("dataset" if "pattern" in given else "tune", [given, "--target=gcp"])


@pytest.mark.parametrize(
    ("task", "option"),
    [
        ("compile", "output"),
        ("dataset", "redact-rules"),
        ("evaluate", "output"),
        ("predict", "file"),
        ("predict", "output"),
        ("review", "decisions"),
        ("tune", "decontaminate"),
    ],
)
def test_an_empty_path_is_refused(task: str, option: str) -> None:
    assert f"error: --{option} must not be empty" in outcome(task, [f"--{option}=", "--target=gcp"])


def test_an_empty_folder_for_a_model_is_refused() -> None:
    said = outcome("export.model", ["--version=v1", "--output=", "--target=gcp"])
    assert said == "error: --output must not be empty. Give a value, or leave it out."


@pytest.mark.parametrize(
    ("task", "option"),
    [("dataset", "tokenizer"), ("tune", "base-model"), ("evaluate", "dataset"), ("evaluate", "judge")],
)
def test_an_empty_name_is_refused(task: str, option: str) -> None:
    said = outcome(task, [f"--{option}=", "--target=gcp"])
    assert said == f"error: --{option} must not be empty. Give a value, or leave it out."


def refusal(field: str, value: str) -> str:
    try:
        load_settings(environ={variable(field): value})
    except TuningError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("field", Settings.__struct_fields__)
def test_a_setting_is_accepted_or_refused_with_one_line(field: str) -> None:
    for value in VALUES:
        said = refusal(field, value)
        assert len(said.splitlines()) <= 1
        assert len(said) < 500
