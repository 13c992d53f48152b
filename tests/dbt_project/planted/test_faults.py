"""Each planted fault makes at least one test fail. `python -m tests.dbt_project.planted.plant_faults` prints them."""

from collections.abc import Iterator

import pytest

from tests.dbt_project.planted.faults import FAULTS, Fault
from tests.dbt_project.planted.plant_faults import Workshop, workshop

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    with workshop(tmp_path_factory.mktemp("workshop")) as made:
        yield made


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: str(fault.name))
def test_the_fault_is_caught(place: Workshop, fault: Fault) -> None:
    caught_by = place.caught_by(fault)
    print(f"{fault.name}: {', '.join(caught_by)}")
    assert caught_by


def test_the_project_as_it_is_passes_what_catches_the_faults(place: Workshop) -> None:
    """That it passes all unit tests, too, is a test of the build (`test_built.py`)."""
    assert place.caught_by(Fault("none", "README.md", "dbt", "dbt")) == []
