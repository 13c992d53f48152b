"""The project compiled once per target, and one warehouse with invented rows that the whole folder shares."""

import pytest
from compiled_project import Compiled, compile_project


@pytest.fixture(scope="session")
def compiled_for_gcp(tmp_path_factory: pytest.TempPathFactory) -> Compiled:
    return compile_project(tmp_path_factory.mktemp("compiled"), "gcp")


@pytest.fixture(scope="session")
def compiled_for_local(tmp_path_factory: pytest.TempPathFactory) -> Compiled:
    return compile_project(tmp_path_factory.mktemp("compiled"), "local")


@pytest.fixture(params=["local", "gcp"])
def compiled(request: pytest.FixtureRequest) -> Compiled:
    found: Compiled = request.getfixturevalue(f"compiled_for_{request.param}")
    return found
