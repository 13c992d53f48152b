"""A home that an earlier version of the project made."""

import tarfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tests.homes import free_port
from tuning.settings import Settings
from tuning.warehouse import emulator


@pytest.fixture
def old_home(settings: Settings) -> Path:
    """The home that commit 3a226a4 made with `invoke sample --rows 60`, `invoke tune --base-model tiny --limit 50
    --steps 2` and `invoke promote v1 --force`. To make it small, all weights are 0 and dbt's files are left out.
    """
    with tarfile.open(Path(__file__).with_name("old_home.tar.xz")) as archive:
        archive.extractall(settings.home.parent, filter="data")
    (settings.home.parent / "old_home").rename(settings.home)
    return settings.home


@pytest.fixture
def with_warehouse(settings: Settings) -> Iterator[Settings]:
    """The home, with a port of its own for its local BigQuery, which is stopped after the test."""
    settings = msgspec.structs.replace(settings, bigquery_port=free_port())
    yield settings
    emulator.stop(settings)
