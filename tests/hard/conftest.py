"""What the hard tests share: a small dump."""

from pathlib import Path

import pytest

from tests.hard.chain import REAL_DUMP, generated_dump, real_dump


@pytest.fixture(scope="session")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generated_dump(tmp_path_factory.mktemp("generated") / "dump")


@pytest.fixture(scope="session")
def dump(tmp_path_factory: pytest.TempPathFactory, generated: Path, request: pytest.FixtureRequest) -> Path:
    """The first posts of a real dump, or the generated dump where there is no real data."""
    try:
        data: Path = request.getfixturevalue("real_data")
    except pytest.skip.Exception:
        return generated
    if not (data / REAL_DUMP).exists():
        return generated
    return real_dump(data, tmp_path_factory.mktemp("real") / "dump")
