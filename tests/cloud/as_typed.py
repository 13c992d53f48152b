"""Processes of their own, as a person starts them: nothing is patched, the servers are found by the environment."""

import os
import subprocess
import sys
from pathlib import Path

import tuning
from tuning.settings import PREFIX, Settings, variable


def variables(settings: Settings) -> dict[str, str]:
    """The environment variables that give these settings."""
    default = Settings()
    values = {name: getattr(settings, name) for name in Settings.__struct_fields__}
    return {variable(name): str(value) for name, value in values.items() if value != getattr(default, name)}


def environment(settings: Settings) -> dict[str, str]:
    """The environment of a person whose settings these are."""
    others = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    return others | variables(settings)


def start(settings: Settings, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        arguments,
        cwd=Path(tuning.__file__).parent.parent,
        env=environment(settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


ARGUMENTS = """
import os, sys

def note(event, given):
    if event in ("subprocess.Popen", "os.exec", "os.posix_spawn", "os.system"):
        with open(os.environ["ARGUMENTS_LOG"], "a") as file:
            print(*given[:2], file=file)

sys.addaudithook(note)
"""


def note_arguments(folder: Path) -> dict[str, str]:
    """An environment in which every Python process, and those that it starts, note in ``folder/arguments`` with what
    arguments they start others."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(ARGUMENTS)
    return {"PYTHONPATH": str(folder), "ARGUMENTS_LOG": str(folder / "arguments")}


def start_invoke(settings: Settings, *arguments: str) -> subprocess.Popen[str]:
    """The installed ``invoke`` of this environment."""
    return start(settings, str(Path(sys.executable).with_name("invoke")), *arguments)
