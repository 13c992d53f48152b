"""Fixtures that every folder of tests shares."""

import gc
import inspect
import os
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from xdist.scheduler import LoadFileScheduling

from tests.cloud.servers import validated
from tuning.settings import PREFIX, PROJECT_ROOT, Settings

# The property tests: the same examples on every machine. `HYPOTHESIS_PROFILE=hard` looks for new ones, for longer.
_PHASES = [phase for phase in hypothesis.Phase if phase is not hypothesis.Phase.explain]  # explaining takes minutes
_SHARED = hypothesis.settings(deadline=None, database=None, phases=_PHASES)
hypothesis.settings.register_profile("quick", _SHARED, max_examples=60, derandomize=True)
hypothesis.settings.register_profile("hard", _SHARED, max_examples=1_000, print_blob=True)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))


CLOUD = PROJECT_ROOT / "tests" / "cloud"

# The files of each of these folders share a build or a compiled project, which one process makes once for all of them.
IN_ONE_PROCESS = ("tests/dbt_project", "tests/warehouse")

_find_module, _without_module = inspect.getmodule, set[str]()


def _find_module_once(asked: Any, filename: str | None = None) -> Any:
    """Return what `inspect.getmodule` does, but search only once for the module of a file or text that is none.

    It looks through all modules: thousands in this process. kfp and dbt ask for the whole stack a hundred times in a
    test, and there are always such files in it, as one of pytest-xdist.
    """
    name = asked.f_code.co_filename if inspect.isframe(asked) else None
    if name in _without_module:
        return None
    found = _find_module(asked, filename)
    if name is not None and found is None:
        _without_module.add(name)
    return found


inspect.getmodule = _find_module_once


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test sees the developer's own settings or writes into the project's var/."""
    for name in [name for name in os.environ if name.startswith(PREFIX) and name != "TUNING_TEST_DATA"]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("TUNING_HOME", str(tmp_path / "home"))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real Stack Exchange dumps; a test that needs it skips, with this reason, where it is absent."""
    folder = Path(os.environ.get("TUNING_TEST_DATA") or PROJECT_ROOT.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no real data in {folder}; TUNING_TEST_DATA names its folder")
    return folder


def pytest_collection_finish() -> None:
    """Spare the garbage collector what lives until the end: millions of objects in modules and tests."""
    gc.collect()
    gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of what is for Google Cloud. Those in other folders say so themselves, or use its dbt project.

    The folders that one process runs come first: at the end they would leave the other process without work.
    """
    for item in items:
        if CLOUD in item.path.parents or "compiled_for_gcp" in getattr(item, "fixturenames", ()):
            item.add_marker("cloud")
    items.sort(key=lambda item: not item.nodeid.startswith(IN_ONE_PROCESS))


class Scheduling(LoadFileScheduling):
    """Give whole files to the processes, and some folders as if they were one file."""

    def _split_scope(self, nodeid: str) -> str:
        return next((folder for folder in IN_ONE_PROCESS if nodeid.startswith(folder)), super()._split_scope(nodeid))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Scheduling | None:
    return Scheduling(config, log) if config.getoption("dist") == "loadfile" else None


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """A process of pytest-xdist has ended."""
    validated.counts.append(getattr(node, "workeroutput", {}).get("validated", 0))


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    config = session.config
    if hasattr(config, "workeroutput"):
        config.workeroutput["validated"] = sum(validated.counts)
    elif exitstatus == pytest.ExitCode.OK and validated.shortfall(_has_all(config)):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if any(validated.counts):
        terminalreporter.write_line(f"{validated.line()} {validated.shortfall(_has_all(config))}".rstrip())


def _has_all(config: pytest.Config) -> bool:
    """Whether the run has all cloud tests: it names no files, and selects by the markers `cloud` and `hard` at most."""
    folders = {Path(argument).resolve() for argument in config.args}
    narrowed = any(config.getoption(name, False) for name in ("keyword", "lf", "deselect", "ignore", "collectonly"))
    return (
        folders <= {CLOUD, CLOUD.parent} and config.getoption("markexpr") in ("", "cloud", "not hard") and not narrowed
    )
