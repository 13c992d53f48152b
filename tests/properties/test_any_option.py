"""Any value of any option or setting is accepted and stays as it is, or refused with one line that says the rule."""

import math
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, get_origin, get_type_hints

import pytest
from hypothesis import example, given
from hypothesis import settings as rules
from hypothesis import strategies as st
from invoke.collection import Collection

from tests.properties.any_text import any_text, attempt, lines_of, undecoded_text
from tests.test_hostile_options import WRITES, options, outcome, tasks_of
from tuning.command_line.options import Options
from tuning.errors import TuningError
from tuning.settings import Settings, load_settings, variable
from tuning.values import convert, describe_kind, is_repeatable

numbers = st.one_of(
    st.integers().map(str),
    st.floats().map(str),
    st.integers(10**17, 10**40).map(str),
    st.from_regex(r"[+-]?[0-9_]{1,20}(\.[0-9_]*)?([eE][+-]?[0-9]{1,4})?", fullmatch=True),
    st.text(st.characters(categories=["Nd"]), min_size=1, max_size=20),
)
values = st.one_of(
    any_text, numbers, undecoded_text, st.sampled_from(["true", "false", "True", "keep", "hf", "python"])
)
SECRETS = {"access_token", "judge_key"}


def bodies(collection: Collection) -> Iterator[Any]:
    for task in collection.tasks.values():
        yield getattr(task.body, "__wrapped__", task.body)
    for inner in collection.collections.values():
        yield from bodies(inner)


def kinds() -> list[Any]:
    """The kinds of all options and settings."""
    import tasks

    hints: list[Any] = list(get_type_hints(Settings, include_extras=True).values())
    for body in bodies(tasks.namespace):
        for hint in get_type_hints(body, include_extras=True).values():
            if isinstance(hint, type) and issubclass(hint, Options):
                hints += get_type_hints(hint, include_extras=True).values()
            elif get_origin(hint) is Annotated:
                hints.append(hint)
    return list({str(hint): hint for hint in hints}.values())


KINDS = kinds()
TASKS = dict(tasks_of(import_module("tasks").namespace))


def converted(kind: Any, value: object) -> Any:
    """The value as this kind. Raises TuningError as a command does."""
    try:
        return convert(value, kind)
    except ValueError as error:
        raise TuningError(f"--option {error}") from None


@given(st.sampled_from(KINDS), values)
def test_a_value_is_converted_and_stays_or_the_error_says_the_rule(kind: Any, value: str) -> None:
    result, line = attempt(lambda: converted(kind, [value] if is_repeatable(kind) else value))
    if line:
        assert re.match(r"--option (takes|cannot (be|contain)|names) ", line)
        assert describe_kind(kind) in line or re.search("UTF-8|null character|names|a (whole )?number|Choose", line)
        return
    assert convert(result, kind) == result
    if isinstance(result, int | float) and not isinstance(result, bool):
        assert math.isfinite(result)
        assert convert(str(result), kind) == result


@given(st.sampled_from(Settings.__struct_fields__), values)
def test_a_setting_is_accepted_or_named_in_one_line_and_no_secret_is_shown(field: str, value: str) -> None:
    settings, line = attempt(lambda: load_settings(environ={variable(field): value}))
    assert not line or variable(field) in line or field == "home"
    assert len(line) < 2000
    assert field not in SECRETS or len(value) < 12 or value not in line
    if settings and value:
        again = load_settings(environ={variable(field): str(getattr(settings, field))})
        assert getattr(again, field) == getattr(settings, field)


@given(any_text.filter(lambda text: "=" not in text and "\0" not in text))
def test_an_unknown_setting_is_named_in_one_line(name: str) -> None:
    with pytest.raises(TuningError, match=r"unknown setting|is now|cannot read|the environment variable") as caught:
        load_settings(environ={f"TUNING_{name}_X": "1"})
    assert lines_of(str(caught.value)) == 1


@given(undecoded_text.filter(lambda text: "\0" not in text))
@example("~nobody-here/token")
@example("x" * 300)
@example("/")
def test_the_file_of_a_secret_is_read_or_named_in_one_line(path: str) -> None:
    _, line = attempt(lambda: load_settings(environ={"TUNING_JUDGE_KEY_FILE": path}))
    assert not line or "TUNING_JUDGE_KEY" in line


def test_any_value_on_the_command_line_is_accepted_or_refused_with_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none"))
    needed = {name: [one.name for one in task.get_arguments(True) if one.positional] for name, task in TASKS.items()}

    @rules(max_examples=rules().max_examples // 3)  # each takes a tenth of a second
    @given(st.sampled_from([one for one in options() if one[0] not in WRITES]), values)
    def check(option: tuple[str, str], value: str) -> None:
        name, field = option
        others = [f"--{one}=x" for one in needed[name] if one != field]
        target = [] if field == "target" else ["--target=gcp"]
        said = outcome(name, [*others, f"--{field.replace('_', '-')}={value}", *target])
        assert lines_of(said) <= 1
        assert len(said) < 5000

    check()
    assert not (tmp_path / "home").exists()


def test_the_kinds_are_those_of_the_command_line() -> None:
    assert len(KINDS) > 40
