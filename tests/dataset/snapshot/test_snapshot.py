"""A snapshot's digest depends on its rows, not on how the files divide and order them."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.marts import BUILD, row, write_snapshot
from tuning.dataset.create import create_dataset
from tuning.dataset.options import DatasetOptions
from tuning.dataset.snapshot.snapshot import digest_rows, open_snapshot, parquet_files
from tuning.errors import TuningError
from tuning.settings import Settings

ROWS = [row(number) for number in range(1_500)]


@pytest.mark.parametrize("change", [Path.unlink, lambda path: shutil.copy(path, path.with_name("part-999.parquet"))])
def test_a_file_that_is_gone_or_too_many_is_seen_by_the_rows(tmp_path: Path, change: Callable[[Path], object]) -> None:
    snapshot = write_snapshot(tmp_path / "snapshot", [row(number) for number in range(40)], files=2)
    change(snapshot.folder / "part-000.parquet")
    changed = open_snapshot(snapshot.folder)
    said = rf"the files in {snapshot.folder} have (20|60) rows, but 40 were written\. Delete this folder"
    with pytest.raises(TuningError, match=said):
        create_dataset(Settings(home=tmp_path / "home"), changed, DatasetOptions(), 1)


def test_order_files_and_row_groups_do_not_change_the_digest(tmp_path: Path) -> None:
    plain = write_snapshot(tmp_path / "plain", ROWS)
    spread = write_snapshot(tmp_path / "spread", ROWS[::-1], files=5)
    assert (plain.rows, plain.digest) == (1_500, spread.digest)
    path = tmp_path / "one" / "part.parquet"
    path.parent.mkdir()
    table = pq.read_table(plain.files[0])
    pq.write_table(table.select(table.column_names[::-1]), path, row_group_size=100, compression="zstd")
    assert digest_rows([path]) == (1_500, plain.digest)


@pytest.mark.parametrize(
    "change",
    [
        {"answer_body": "<p>other</p>"},
        {"tags": ["python", "pandas"]},
        {"question_author_name": None},
        {"answer_score": 4},
        {"linked_question_ids": [1]},
    ],
)
def test_any_change_of_a_value_changes_the_digest(tmp_path: Path, change: dict[str, object]) -> None:
    rows = ROWS[:20]
    before = write_snapshot(tmp_path / "before", rows).digest
    after = write_snapshot(tmp_path / "after", [*rows[:7], {**rows[7], **change}, *rows[8:]]).digest
    assert before != after


def test_a_row_more_or_twice_changes_the_digest(tmp_path: Path) -> None:
    rows = ROWS[:20]
    digests = [
        write_snapshot(tmp_path / str(at), one).digest
        for at, one in enumerate([rows, rows[:-1], [*rows, rows[0]], [*rows, rows[0], rows[0]]])
    ]
    assert len(set(digests)) == 4


def test_a_finished_snapshot_opens_as_it_was_made_and_keeps_no_invocation_for_the_manifest(tmp_path: Path) -> None:
    made = write_snapshot(tmp_path / "snapshot", ROWS[:5], build={"source": "Posts.xml"})
    opened = open_snapshot(tmp_path / "snapshot")
    assert opened == made
    assert opened.build["invocation_id"] == BUILD["invocation_id"]
    assert opened.recorded_build()["source"] == "Posts.xml"
    assert "invocation_id" not in opened.recorded_build()


def test_an_unfinished_snapshot_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TuningError, match="contains no finished snapshot"):
        open_snapshot(tmp_path)
    assert parquet_files(tmp_path) == []
