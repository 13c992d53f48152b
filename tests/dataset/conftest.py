"""Real posts as a mart."""

from pathlib import Path
from typing import Any

import py7zr
import pytest

from tests.marts import rows_of_dump


@pytest.fixture(scope="session")
def real_rows(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """The 5,150 accepted Python pairs of stackoverflow-python-bodies.7z, by question id."""
    folder = tmp_path_factory.mktemp("posts")
    with py7zr.SevenZipFile(real_data / "stackoverflow-python-bodies.7z") as archive:
        archive.extractall(folder)
    return list(rows_of_dump(folder / "Posts.xml"))
