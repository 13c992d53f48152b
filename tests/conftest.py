"""Fixtures that every folder of tests shares."""

import os
from pathlib import Path

import hypothesis
import pytest

from tuning.settings import PREFIX, PROJECT_ROOT, Settings

# The property tests: the same examples on every machine. `HYPOTHESIS_PROFILE=hard` looks for new ones, for longer.
_PHASES = [phase for phase in hypothesis.Phase if phase is not hypothesis.Phase.explain]  # explaining takes minutes
_SHARED = hypothesis.settings(deadline=None, database=None, phases=_PHASES)
hypothesis.settings.register_profile("quick", _SHARED, max_examples=60, derandomize=True)
hypothesis.settings.register_profile("hard", _SHARED, max_examples=1_000, print_blob=True)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))


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
