"""A snapshot whose files stay in Cloud Storage: read where they lie, only what is wanted, always the same files."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.cloud.servers.storage_bridge import Record
from tests.marts import BUILD, roles
from tuning.dataset.snapshot.snapshot import (
    FACTS,
    Snapshot,
    column_names,
    digest_rows,
    open_snapshot,
    read_batches,
    seal_snapshot,
)
from tuning.errors import TuningError
from tuning.gcs.bucket import object_files
from tuning.gcs.object_file import ObjectFile, client
from tuning.settings import Settings

ROWS, GROUP = 6_000, 2_000
PREFIX = "gs://bucket/snapshots/mart/part-"


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Two files with a narrow column between wide ones, which no compression makes small."""
    folder = tmp_path / "files"
    folder.mkdir()
    paths = []
    for number in range(2):
        ids = list(range(number * ROWS, (number + 1) * ROWS))
        columns = {name: [f"{(one * 2_654_435_761 + seed) % 2**64:020d}" * 10 for one in ids]
                   for seed, name in enumerate(("question_body", "answer_body"))}  # fmt: skip
        table = pa.table({"question_body": columns["question_body"], "question_id": ids,
                          "answer_body": columns["answer_body"]})  # fmt: skip
        paths.append(folder / f"part-{number}.parquet")
        pq.write_table(table, paths[-1], row_group_size=GROUP, compression="none", use_dictionary=False)
    return paths


@pytest.fixture
def stored(cloud: Settings, files: list[Path], storage_record: Record) -> list[ObjectFile]:
    """The same files in Cloud Storage."""
    for path in files:
        client(cloud).bucket("bucket").blob(f"snapshots/mart/{path.name}").upload_from_filename(str(path))
    found = object_files(cloud, PREFIX)
    storage_record.seen.clear()
    return found


@pytest.fixture
def snapshot(stored: list[ObjectFile], tmp_path: Path) -> Snapshot:
    folder = tmp_path / "snapshot"
    folder.mkdir()
    return seal_snapshot(folder, "instructions", BUILD, roles("instructions"), stored)


def test_rows_are_those_of_the_same_files_on_this_machine(stored: list[ObjectFile], files: list[Path]) -> None:
    assert digest_rows(stored) == digest_rows(files)
    assert column_names(stored) == column_names(files)
    assert list(read_batches(stored)) == list(read_batches(files))


def test_the_whole_of_a_file_is_asked_for_once_and_in_large_pieces(
    stored: list[ObjectFile], storage_record: Record
) -> None:
    (one, _) = stored
    rows = sum(batch.num_rows for batch in read_batches([one]))
    assert rows == ROWS
    assert storage_record.read(one.size) < one.size * 1.2
    assert len(storage_record.seen) < 20


def test_of_one_column_little_more_than_that_column_is_asked_for(
    stored: list[ObjectFile], storage_record: Record
) -> None:
    (one, _) = stored
    (group, footer) = (2**18, 2**18)
    assert sum(batch.num_rows for batch in read_batches([one], ["question_id"])) == ROWS
    assert storage_record.read(one.size) < ROWS // GROUP * (group + 1) + footer + 2**16
    assert storage_record.read(one.size) < one.size / 2


def test_only_addresses_are_kept_here(snapshot: Snapshot, cloud: Settings) -> None:
    assert [path.name for path in snapshot.folder.iterdir()] == [FACTS]
    text = (snapshot.folder / FACTS).read_text()
    assert all(str(file.generation) in text and file.crc32c in text for file in snapshot.files)
    assert cloud.access_token not in text
    assert cloud.access_token not in repr(snapshot)
    assert open_snapshot(snapshot.folder, cloud) == snapshot
    assert snapshot.rows == 2 * ROWS


def test_what_takes_the_place_of_a_file_is_not_read_in_its_stead(snapshot: Snapshot, cloud: Settings) -> None:
    blob = client(cloud).bucket("bucket").blob("snapshots/mart/part-1.parquet")
    blob.upload_from_string(blob.download_as_bytes())
    assert [file.exists() for file in snapshot.files] == [True, False]
    again = object_files(cloud, PREFIX)
    assert [file.crc32c for file in again] == [file.crc32c for file in snapshot.files]
    assert snapshot.marks() != [[file.uri, file.generation] for file in again]
    with pytest.raises(
        TuningError, match=r"part-1\.parquet was deleted or replaced\. Run `invoke dataset` to create it"
    ):
        list(read_batches(snapshot.files))


def test_a_file_that_is_replaced_while_it_is_read_is_one_clear_error(snapshot: Snapshot, cloud: Settings) -> None:
    batches = read_batches(snapshot.files[:1])
    next(batches)
    client(cloud).bucket("bucket").blob("snapshots/mart/part-0.parquet").upload_from_string(b"PAR1 of another")
    with pytest.raises(
        TuningError, match=r"part-0\.parquet was deleted or replaced\. Run `invoke dataset` to create it"
    ):
        list(batches)


def test_a_file_that_is_no_parquet_is_named(cloud: Settings, storage_api: str) -> None:
    client(cloud).bucket("bucket").blob("snapshots/mart/part-0.parquet").upload_from_string(b"not parquet at all")
    with pytest.raises(TuningError, match=r"gs://bucket/snapshots/mart/part-0\.parquet is not a complete Parquet file"):
        digest_rows(object_files(cloud, PREFIX))


def test_a_page_that_arrived_otherwise_than_it_was_written_is_found(cloud: Settings, tmp_path: Path) -> None:
    path = tmp_path / "part-0.parquet"
    table = pa.table({"answer_body": ["x" * 100] * 1_000})
    pq.write_table(table, path, compression="none", use_dictionary=False, write_page_checksum=True)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    client(cloud).bucket("bucket").blob("snapshots/mart/part-0.parquet").upload_from_string(bytes(content))
    with pytest.raises(TuningError, match=r"part-0\.parquet is not a complete Parquet file \(.*CRC"):
        digest_rows(object_files(cloud, PREFIX))


def test_a_connection_that_breaks_on_the_way_is_made_again(
    stored: list[ObjectFile], files: list[Path], storage_record: Record
) -> None:
    storage_record.broken_reads = 3
    assert digest_rows(stored) == digest_rows(files)
    assert storage_record.broken_reads == 0
