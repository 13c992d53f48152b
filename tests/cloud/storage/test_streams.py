"""Bytes sent to Cloud Storage as they come: what arrives is what was written, whatever breaks on the way."""

import hashlib
import os
import signal
import sys
from collections.abc import Iterator
from typing import Any

import pytest

import tuning.gcs.upload
from tests.cloud.as_typed import start
from tests.cloud.servers.broken_line import BrokenLine
from tests.cloud.servers.storage_bridge import Gate, Record
from tuning.errors import TuningError
from tuning.gcs.access import google_errors
from tuning.gcs.bucket import object_files
from tuning.gcs.object_file import ObjectFile, blob_at, client, look, read_range
from tuning.gcs.storage import find_storage
from tuning.gcs.upload import Stream
from tuning.settings import Settings

URI = "gs://bucket/datasets/1/train.jsonl"
PART = 1 << 20


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuning.gcs.upload, "PART", PART)


def pieces(size: int, seed: int = 0) -> Iterator[bytes]:
    """`size` bytes in pieces of about a tenth of a part."""
    for begin in range(0, size, 100_003):
        yield hashlib.shake_128(f"{seed} {begin}".encode()).digest(min(100_003, size - begin))


def send(settings: Settings, content: Iterator[bytes], generation: int = 0) -> Stream:
    with google_errors(f"writing {URI}"):
        stream = Stream(settings, blob_at(settings, URI), generation)
        for piece in content:
            stream.write(piece)
            assert len(stream._kept) <= PART + 100_003
        stream.close()
    return stream


def arrived(settings: Settings) -> bytes:
    with find_storage(settings).open(URI) as file:
        return file.read()


@pytest.mark.parametrize("size", [0, 1, PART, 2 * PART, PART * 5 // 2])
def test_what_is_written_arrives_with_its_checksum_in_parts(cloud: Settings, storage_record: Record, size: int) -> None:
    stream = send(cloud, pieces(size))
    assert arrived(cloud) == b"".join(pieces(size))
    (stored,) = object_files(cloud, URI)
    assert (stored.crc32c, stored.size) == (stream.crc32c, size)
    assert len(storage_record.parts) == -(-size // PART)
    assert all(span.endswith("/*") for span in storage_record.parts[:-1])
    assert not cloud.home.exists()  # an upload keeps nothing here, above all not its address


@pytest.mark.parametrize("whole_parts", [0, 1, 2])
@pytest.mark.parametrize("arrives", [False, True], ids=["before the server has the part", "after the server has it"])
def test_a_broken_line_goes_on_where_the_server_is(
    cloud: Settings, monkeypatch: pytest.MonkeyPatch, arrives: bool, whole_parts: int
) -> None:
    line = BrokenLine(monkeypatch, whole_parts=whole_parts, times=2, arrives=arrives)
    send(cloud, pieces(PART * 5 // 2))
    assert line.times == (1 if arrives and whole_parts == 2 else 0)  # the last part is not sent again
    assert arrived(cloud) == b"".join(pieces(PART * 5 // 2))


def test_a_server_that_is_busy_is_asked_again(cloud: Settings, storage_record: Record) -> None:
    storage_record.refused_parts = 3
    send(cloud, pieces(PART * 5 // 2))
    assert storage_record.refused_parts == 0
    assert arrived(cloud) == b"".join(pieces(PART * 5 // 2))


def test_somebody_elses_object_is_not_overwritten(cloud: Settings) -> None:
    blob_at(cloud, URI).upload_from_string(b"theirs")
    with pytest.raises(TuningError, match=r"writing gs://bucket/datasets/1/train\.jsonl: .*conditionNotMet"):
        send(cloud, pieces(PART))
    assert arrived(cloud) == b"theirs"
    send(cloud, pieces(PART), generation=object_files(cloud, URI)[0].generation)
    assert arrived(cloud) == b"".join(pieces(PART))


def test_a_server_that_lost_bytes_is_an_error_and_the_next_upload_begins_anew(
    cloud: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = Stream(cloud, blob_at(cloud, URI), 0)
    stream.write(bytes(PART + 1))
    stream._transfer.sent = 5
    with pytest.raises(TuningError, match="the server lost a part of the upload"):
        stream.close()
    send(cloud, pieces(PART))
    assert arrived(cloud) == b"".join(pieces(PART))


SEND = """
import hashlib
import tuning.gcs.upload
from tuning.gcs.object_file import blob_at
from tuning.settings import load_settings
from tuning.gcs.upload import Stream
tuning.gcs.upload.PART = 1 << 20
stream = Stream(load_settings(), blob_at(load_settings(), "gs://bucket/datasets/1/train.jsonl"), 0)
for begin in range(0, 3_500_000, 100_003):
    stream.write(hashlib.shake_128(f"0 {begin}".encode()).digest(min(100_003, 3_500_000 - begin)))
stream.close()
"""


def test_of_a_process_that_is_killed_while_it_writes_nothing_stays_and_the_next_sends_all(
    cloud: Settings, storage_record: Record
) -> None:
    storage_record.gate = Gate(parts=2)
    first = start(cloud, sys.executable, "-c", SEND)
    try:
        assert storage_record.gate.reached.wait(timeout=60), first.communicate(timeout=10)
        first.send_signal(signal.SIGKILL)
        assert first.communicate(timeout=60) == ("", "")  # not even the address of the upload
    finally:
        first.kill()
        storage_record.gate.open.set()
        storage_record.gate = None
    assert list(find_storage(cloud).addresses("gs://bucket/")) == []
    send(cloud, pieces(3_500_000))
    assert arrived(cloud) == b"".join(pieces(3_500_000))


@pytest.fixture
def stored(cloud: Settings) -> ObjectFile:
    """Three lines of some size."""
    blob_at(cloud, URI).upload_from_string(b"a" * PART + b"\n" + b"b" * 10 + b"\n" + b"c" * PART)
    return object_files(cloud, URI)[0]


def test_a_file_in_storage_is_read_as_one_here(stored: ObjectFile, storage_record: Record) -> None:
    with stored.open("rb") as file:
        assert [line[:1] for line in file] == [b"a", b"b", b"c"]
    assert storage_record.read(stored.size) == stored.size
    assert read_range(stored, PART, 4) == b"\nbbb"
    assert read_range(stored, PART, 0) == b""


def test_a_file_that_was_replaced_is_not_read(cloud: Settings, stored: ObjectFile) -> None:
    blob_at(cloud, URI).upload_from_string(b"another")
    with pytest.raises(TuningError, match="was deleted or replaced"):
        read_range(stored, 0, 1)
    with pytest.raises(TuningError, match="was deleted or replaced"), stored.open():
        pass


def test_a_copy_is_made_by_the_server_once(cloud: Settings, stored: ObjectFile, storage_record: Record) -> None:
    storage_record.seen.clear()
    copy = "gs://bucket/notebook/1/train.jsonl"
    assert find_storage(cloud).put(stored, copy).sent
    assert find_storage(cloud).put(stored, copy).sent is False
    assert find_storage(cloud).put(stored, URI).sent is False
    assert [path.rpartition("/o/")[2] for method, path, _ in storage_record.writes] == ["notebook/1/train.jsonl"]
    assert not any("/download/" in path for _, path, _ in storage_record.seen)
    assert object_files(cloud, copy)[0].crc32c == stored.crc32c


def test_a_copy_replaces_only_what_it_found_and_copies_only_what_is_there(
    cloud: Settings, stored: ObjectFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = "gs://bucket/notebook/1/train.jsonl"

    def other_first(*arguments: Any) -> Any:
        found = look(*arguments)
        client(cloud).bucket("bucket").blob("notebook/1/train.jsonl").upload_from_string(os.urandom(5))
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tuning.gcs.bucket.look", other_first)
        with pytest.raises(TuningError, match="Another process is writing the same object"):
            find_storage(cloud).put(stored, copy)
    blob_at(cloud, URI).delete()
    with pytest.raises(TuningError, match=r"train\.jsonl was deleted or replaced"):
        find_storage(cloud).put(stored, copy)
