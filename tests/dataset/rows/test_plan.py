"""Of a snapshot, only what a dataset needs is read, and only once."""

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.dataset.folders import dropped
from tests.marts import preference_row, row, write_snapshot
from tuning.dataset.create import create_dataset
from tuning.dataset.options import resolve_options
from tuning.dataset.snapshot.columns import columns
from tuning.dataset.snapshot.snapshot import Snapshot
from tuning.settings import Settings

ROWS = 3_000  # several batches and row groups in each file


class Counting(io.FileIO):
    """A file that counts how often each byte is read. Reads of its end, which look for the footer, do not count."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.times = np.zeros(path.stat().st_size, dtype=np.uint8)

    def read(self, size: int | None = -1, /) -> bytes:
        begin = self.tell()
        content = super().read(size)
        if self.tell() < len(self.times):
            self.times[begin : begin + len(content)] += 1
        return content


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Path, Counting]]:
    """The files of snapshots that are opened from now on."""
    files = []

    @contextlib.contextmanager
    def count(source: Path) -> Iterator[tuple[Counting, int]]:
        with Counting(source) as file:
            files.append((source, file))
            yield file, 1 << 20

    monkeypatch.setattr("tuning.dataset.snapshot.snapshot.open_parts", count)
    return files


def times_read(snapshot: Snapshot, opened: list[tuple[Path, Counting]]) -> dict[str, set[int]]:
    """How often the bytes of each column were read, in all files and row groups together."""
    found: dict[str, set[int]] = {}
    for path in snapshot.files:
        assert isinstance(path, Path)
        times = np.sum([file.times for source, file in opened if source == path], axis=0)
        metadata = pq.read_metadata(path)
        for group in range(metadata.num_row_groups):
            for number in range(metadata.num_columns):
                chunk = metadata.row_group(group).column(number)
                begin = chunk.dictionary_page_offset or chunk.data_page_offset
                name = chunk.path_in_schema.split(".")[0]
                found.setdefault(name, set()).update(times[begin : begin + chunk.total_compressed_size].tolist())
    return found


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"limit": 500},
        {"preset": "seed"},
        {"preset": "seed", "limit": 500},
        {"format": "trl-preference"},
        {"format": "gemini-preference", "limit": 500},
        {"max_length": 300},
    ],
    ids=str,
)
def test_each_column_that_a_dataset_needs_is_read_once_and_no_other(
    given: dict[str, Any], tmp_path: Path, opened: list[tuple[Path, Counting]], tokenizer_folder: Path
) -> None:
    options = resolve_options(**given, tokenizer=tokenizer_folder if "max_length" in given else None)
    make, kind = (preference_row, "preferences") if options.is_preference else (row, "instructions")
    rows = [make(number, quality_reason=None if number % 7 else "score too low") for number in range(ROWS)]
    snapshot = write_snapshot(tmp_path / "snapshot", rows, files=2, kind=kind)
    opened.clear()
    create_dataset(Settings(home=tmp_path / "home"), snapshot, options, 1)
    times = times_read(snapshot, opened)
    needed = set(columns(snapshot.roles, options))
    assert {name for name in times if times[name] == {1}} == needed
    assert {name for name in times if times[name] == {0}} == times.keys() - needed


def test_a_limit_takes_rows_of_all_files_whatever_the_size_of_their_batches(tmp_path: Path) -> None:
    rows = [row(number, quality_reason="score too low" if number < 100 else None) for number in range(ROWS)]
    snapshot = write_snapshot(tmp_path / "snapshot", rows, files=7)
    dataset = create_dataset(Settings(home=tmp_path / "home"), snapshot, resolve_options(limit=ROWS - 150), 1)
    assert {name: dropped(dataset)[name] for name in ("score too low", "beyond --limit")} == {
        "score too low": 100,
        "beyond --limit": 50,
    }
