"""Fixtures of the tests of sources."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tuning.sources.dump import open_dump
from tuning.sources.ingest import settle_site, write_tables
from tuning.sources.report import IngestReport


@pytest.fixture
def convert(tmp_path: Path) -> Callable[..., IngestReport]:
    """Ingest a dump as far as the Parquet files, in ``tmp_path / "parquet"``."""

    def run(
        path: Path, tag: str = "", site: str = "", workers: int | None = None, exclude_user: Sequence[int] = ()
    ) -> IngestReport:
        folder = tmp_path / "parquet"
        folder.mkdir(exist_ok=True)
        dump = open_dump(path)
        return write_tables(dump, settle_site(dump, site), tag, folder, workers, exclude_user)

    return run


@pytest.fixture
def table(tmp_path: Path) -> Callable[[str], list[dict[str, Any]]]:
    """The rows of a table that `convert` wrote."""
    return lambda name: pq.read_table(tmp_path / "parquet" / f"{name}.parquet").to_pylist()
