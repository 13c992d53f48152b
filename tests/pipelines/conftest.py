"""What the pipeline's tests share: a tuner that takes no time, visible to the steps' own processes."""

import pytest

from tests.pipelines.small_dataset import write_dataset
from tuning.dataset.dataset import Dataset
from tuning.settings import PROJECT_ROOT, Settings


@pytest.fixture(autouse=True)
def steps_find_the_tuner(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(PROJECT_ROOT))


@pytest.fixture
def dataset(settings: Settings) -> Dataset:
    return write_dataset(settings.datasets_dir / "d1")
