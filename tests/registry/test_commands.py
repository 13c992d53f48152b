"""The registry's tasks as a person types them."""

import signal
import subprocess
import sys

import pytest

from tests.invoked import invoke_here
from tuning.registry import registry
from tuning.settings import PROJECT_ROOT

# A rollback that is killed when its line is in the journal.
KILLED = """
import os, signal
from tuning.registry import registry
from tuning.settings import load_settings

def killed(*given):
    change(*given)
    os.kill(os.getpid(), signal.SIGKILL)

change, registry.change = registry.change, killed
registry.rollback(load_settings({}))
"""


def invoke(*arguments: str) -> tuple[int, str]:
    """Status and what was printed; TUNING_HOME is the test's own."""
    result = invoke_here(*arguments)
    return result.returncode, (result.stdout + result.stderr).strip()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["predict", "How do I sort?"], "error: there is no champion yet."),
        (["predict", "--file", "README.md"], "error: --file needs --output"),
        (
            ["predict", "--max-tokens", "0", "x"],
            "error: --max-tokens takes a whole number from 1 to 1,000,000, not '0'",
        ),
        (["predict"], 'error: the question is empty. Ask one: invoke predict "How do I …"'),
        (["predict", "--model", "v1"], "error: the question is empty."),
        (["promote"], "error: promote needs a version. See `invoke --help promote`"),
        (["promote", "--reason", "a trial"], "error: promote needs a version."),
        (["promote", "--halp", "v1"], "error: '--halp' is no version. See `invoke --help promote`"),
        (["predict", "--halp", "a question"], "error: '--halp' is no question. See `invoke --help predict`"),
        (["evaluate"], "error: there is no champion yet."),
        (["evaluate", "--examples", "few"], "error: --examples takes a whole number, not 'few'"),
        (["promote", "v7"], "error: there is no model 'v7'."),
        (["rollback"], "error: there is no champion to roll back."),
        (["report"], "error: there are no runs and no datasets in"),
    ],
)
def test_without_models_each_task_says_in_one_line_what_is_missing(arguments: list[str], said: str):
    status, printed = invoke(*arguments)
    assert status != 0
    assert printed.startswith(said)
    assert len(printed.splitlines()) == 1


def test_promoting_listing_and_rolling_back(settings, version, model_files):
    registry.register(settings, version("k1", "worse"), model_files)
    assert invoke("promote", "v1")[1].startswith("error: v1 may not be released (worse: loss does not improve).")
    assert invoke("promote", "v1", "--force")[1] == "error: --force needs --reason, which is recorded."
    assert invoke("promote", "v1", "--force", "--reason", "a trial") == (0, "v1 is now champion")
    again = invoke("promote", "v1", "--force", "--reason", "I read answers")
    assert again == (0, "v1 is champion already: the history has the reason, and nothing else changed")
    assert invoke("promote", "v1") == (0, "v1 is champion already: nothing changed")
    assert "* v1 " in invoke("models")[1]
    assert "promoted by force  v1     champion: v1 (a trial)" in invoke("models", "--history")[1]
    undone = '`invoke promote v1 --force --reason "…"`'
    assert invoke("rollback", "--reason", "over") == (
        0,
        f"v1 is no longer champion; there is none now. {undone} undoes this",
    )
    said = f"v1 is rolled back already: nothing changed, and there is no champion. {undone} undoes this"
    assert invoke("rollback") == (0, said)
    assert "no version is the champion; files in " in invoke("models")[1]
    status, said = invoke("predict", "How do I sort?")
    assert (status, said) == (1, f"error: there is no champion, because v1 was rolled back. {undone} undoes that")


def test_a_rollback_that_is_killed_after_its_line_and_typed_again_goes_back_once(settings, version, model_files):
    for name in ("v1", "v2", "v3"):
        registry.register(settings, version(name), model_files)
        registry.promote(settings, name, force=True, reason="a trial")
    assert subprocess.run([sys.executable, "-c", KILLED], cwd=PROJECT_ROOT, timeout=60).returncode == -signal.SIGKILL
    already = "v3 is rolled back already: nothing changed. `invoke rollback v2` also undoes the one before"
    for again in (["rollback"], ["rollback", "v3"], ["rollback", "--version", "v3"]):
        assert invoke(*again) == (0, already)
    assert registry.champion(settings).name == "v2"
    assert invoke("rollback", "v2") == (0, "v2 is no longer champion; the champion is now v1")


def test_compile_writes_where_it_is_told(tmp_path):
    status, printed = invoke("compile", "--output", str(tmp_path / "p.yaml"))
    assert (status, printed) == (0, f"compiled {tmp_path / 'p.yaml'}")
    assert "tune-python-qa" in (tmp_path / "p.yaml").read_text()


def test_hello_prints_the_seeds_greeting_last():
    assert invoke("hello")[1].splitlines()[-1] == "Hello, World!. How are you?"
    assert invoke("hello", "--recipient", "World!")[1].splitlines()[-1] == "Hello, World!!. How are you?"
