"""Every command in the guides for Google Cloud and for the notebook exists, with its options."""

import re
import shlex
import sys

import pytest
from invoke.exceptions import ParseError
from invoke.parser import Parser

from tuning.settings import PROJECT_ROOT, load_settings

CLOUD, NOTEBOOK = ((PROJECT_ROOT / "tuning" / name).read_text() for name in ("cloud/README.md", "NOTEBOOK.md"))
SECTIONS = CLOUD + NOTEBOOK
LINES = "\n".join(re.findall(r"```sh\n(.*?)```", SECTIONS, re.DOTALL)).replace("\\\n", " ").splitlines()
WRITTEN = [line for line in LINES if line.startswith("invoke ")]
INLINE = re.findall(r"`(invoke [^`]+)`", SECTIONS)


def test_the_commands_were_found() -> None:
    assert len(WRITTEN) >= 9
    assert len(INLINE) >= 12


@pytest.mark.parametrize("command", list(dict.fromkeys([*WRITTEN, *INLINE])))
def test_a_command_of_the_readme_parses(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(PROJECT_ROOT))
    from tasks import namespace

    words = shlex.split(command, comments=True)
    monkeypatch.setattr(sys, "argv", words)
    (parsed,) = Parser(contexts=namespace.to_contexts()).parse_argv(words[1:])
    assert parsed.missing_positional_args == []


def test_a_command_that_does_not_exist_would_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(PROJECT_ROOT))
    from tasks import namespace

    with pytest.raises(ParseError, match="no-such-option"):
        Parser(contexts=namespace.to_contexts()).parse_argv(["tune", "--no-such-option"])


def test_every_variable_that_is_set_there_is_a_setting() -> None:
    exported = [word for line in LINES if line.startswith("export ") for word in shlex.split(line)[1:]]
    assert len(exported) >= 6
    settings = load_settings(environ=dict(word.split("=", 1) for word in exported))
    assert (settings.project, settings.gemini_model) == ("my-project", "gemini-3.5-flash")
    named = {name for name in re.findall(r"TUNING_[A-Z_]+", SECTIONS) if not name.endswith("_")}
    load_settings(environ=dict.fromkeys(named, ""))
    assert {name.removeprefix("TUNING_").lower() for name in named} <= set(type(settings).__struct_fields__)
