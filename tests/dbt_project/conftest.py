"""The project compiled once per target, and one warehouse of invented rows that the whole folder shares."""

from collections.abc import Iterator

import pytest

from tests.dbt_project import invented_source
from tests.dbt_project.compiled_project import Compiled, compile_project
from tests.dbt_project.running_dbt import Dbt, copy_of_the_project
from tests.homes import free_port
from tuning.settings import Settings
from tuning.warehouse import emulator


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


@pytest.fixture(scope="session")
def invented_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A home whose raw tables hold the invented site."""
    settings = Settings(home=tmp_path_factory.mktemp("invented") / "home", bigquery_port=free_port())
    invented_source.load(settings, settings.home / "parquet")
    yield settings
    emulator.stop(settings)


@pytest.fixture(scope="session")
def invented(invented_home: Settings, tmp_path_factory: pytest.TempPathFactory) -> Dbt:
    """dbt on a copy of the project whose deny list holds invented posts; nothing is built yet."""
    folder = tmp_path_factory.mktemp("project")
    return Dbt(invented_home, copy_of_the_project(folder / "dbt_project", invented_source.DENIED), folder / "built")


@pytest.fixture(scope="session")
def statuses(invented: Dbt) -> dict[str, str]:
    """The status of each node after `dbt build`, first of the instructions in an empty dataset, then of the rest.

    A build runs seed, models, unit tests before their models, and data tests after them.
    """
    invented.succeed("build", "--selector", "instructions")
    first = invented.results()
    invented.succeed("build", "--exclude", "+python_qa_instructions")
    return first | invented.results()


@pytest.fixture(scope="session")
def built(invented: Dbt, statuses: dict[str, str]) -> Dbt:
    """All models, built and tested."""
    assert statuses
    return invented
