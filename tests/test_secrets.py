"""No process but the one that a person starts has a secret in its environment, and no file of a home has it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tuning.errors import TuningError
from tuning.settings import describe, load_settings

PLANTED = "planted-" + "token-of-this-test"


def test_a_secret_comes_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "token"
    file.write_text(f"{PLANTED}\n")
    settings = load_settings(environ={"TUNING_ACCESS_TOKEN_FILE": str(file), "TUNING_JUDGE_KEY_FILE": str(file)})
    assert (settings.access_token, settings.judge_key) == (PLANTED, PLANTED)
    monkeypatch.setenv("TUNING_ACCESS_TOKEN_FILE", str(file))
    rows = {name: (value, origin) for name, value, origin, _ in describe()}
    assert rows["access_token"] == ("********", "TUNING_ACCESS_TOKEN_FILE")


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"TUNING_ACCESS_TOKEN_FILE": "/no/such/file"}, "cannot read /no/such/file (No such file or directory)"),
        ({"TUNING_JUDGE_KEY_FILE": "/dev/zero"}, "cannot read /dev/zero (a pipe or device, not a file)"),
        ({"TUNING_BUCKET_FILE": "/etc/hostname"}, "unknown setting TUNING_BUCKET_FILE"),
    ],
)
def test_a_file_that_is_not_there_or_not_of_a_secret_is_one_line(environ: dict[str, str], said: str) -> None:
    with pytest.raises(TuningError) as refused:
        load_settings(environ=environ)
    assert said in str(refused.value)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_neither_this_process_nor_its_children_show_the_secret_and_children_can_read_it() -> None:
    child = (
        "import os; from pathlib import Path; from tuning.settings import load_settings;"
        "print(Path('/proc/self/environ').read_text(), load_settings().access_token)"
    )
    script = (
        "import os, subprocess, sys; from pathlib import Path; from tuning.settings import hide_secrets, load_settings;"
        "hide_secrets(); settings = load_settings(); file = os.environ['TUNING_ACCESS_TOKEN_FILE'];"
        "print(len(settings.access_token), oct(os.stat(file).st_mode)[-3:]);"
        "print(Path('/proc/self/environ').read_text().count(settings.access_token));"
        f"out = subprocess.run([sys.executable, '-c', {child!r}], capture_output=True, text=True, check=True).stdout;"
        "print(out.count(settings.access_token), out.strip().endswith(settings.access_token))"
    )
    environ = os.environ | {"TUNING_ACCESS_TOKEN": PLANTED}
    done = subprocess.run([sys.executable, "-c", script], env=environ, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [f"{len(PLANTED)} 600", "0", "1 True"]
