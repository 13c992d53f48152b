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


def test_the_first_hour_lasts_an_hour_and_expects_what_the_commands_print() -> None:
    rows = [line.strip("| ").split(" | ") for line in CLOUD.splitlines() if re.match(r"\| \d+ \|", line)]
    assert [int(row[0]) for row in rows] == list(range(1, len(rows) + 1))
    assert 45 <= sum(int(row[2]) for row in rows) <= 75
    assert sum(float(row[3].split()[0]) for row in rows) <= 3.5
    sources = "".join(path.read_text() for path in (PROJECT_ROOT / "tuning").rglob("*.py"))
    sources += (PROJECT_ROOT / "tasks.py").read_text()
    for row in rows:
        for said in re.findall(r"`([^`]+)`", row[4]):
            # what stands in the code: the parts around names and numbers
            parts = re.split(r"\bv1\b|\bID\b|gs://…|STOP|gemini", said)
            assert all(part.strip(" ()[]") in sources for part in parts), said


def test_every_variable_that_is_set_there_is_a_setting() -> None:
    exported = [word for line in LINES if line.startswith("export ") for word in shlex.split(line)[1:]]
    assert len(exported) >= 6
    settings = load_settings(environ=dict(word.split("=", 1) for word in exported))
    assert (settings.project, settings.gemini_model) == ("my-project", "gemini-3.5-flash")
    named = {name for name in re.findall(r"TUNING_[A-Z_]+", SECTIONS) if not name.endswith("_")}
    load_settings(environ=dict.fromkeys(named, ""))
    assert {name.removeprefix("TUNING_").lower() for name in named} <= set(type(settings).__struct_fields__)
