"""One running warehouse for the tests that only use it; those about starting and stopping make their own."""

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from google.cloud import bigquery

from tests.homes import free_port
from tuning.settings import Settings
from tuning.sources.load_sample import load_sample
from tuning.warehouse import emulator
from tuning.warehouse.client import connect
from tuning.warehouse.dbt import BuildResult, Variables, build


@pytest.fixture(scope="session")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Settings of a home whose server runs for the whole session."""
    settings = Settings(home=tmp_path_factory.mktemp("warehouse") / "home", bigquery_port=free_port())
    emulator.ensure(settings)
    yield settings
    emulator.stop(settings)


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Settings, BuildResult]]:
    """A home whose warehouse has 40 questions of the sample and the marts built from them."""
    settings = Settings(home=tmp_path_factory.mktemp("built") / "home", bigquery_port=free_port())
    load_sample(settings, 40)
    yield settings, build(settings, Variables(), unit_tests=False)
    emulator.stop(settings)


@pytest.fixture
def client(warehouse: Settings) -> bigquery.Client:
    return connect(warehouse)


@pytest.fixture
def new_home(tmp_path: Path) -> Iterator[Callable[..., Settings]]:
    """Make settings of further homes, each with a free port unless given one; their servers are stopped at the end."""
    made: list[Settings] = []

    def make(name: str = "home", **given: object) -> Settings:
        settings = msgspec.structs.replace(
            Settings(home=tmp_path / name, bigquery_port=free_port()),
            **given,
        )
        made.append(settings)
        return settings

    yield make
    for settings in made:
        emulator.stop(settings)
