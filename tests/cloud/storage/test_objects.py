"""Transfers to and from Cloud Storage: the same bytes at both ends, whatever breaks on the way."""

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest
import requests

import tuning.gcs.upload
from tests.cloud.servers.broken_line import BrokenLine
from tuning.errors import TuningError
from tuning.gcs.object_file import client
from tuning.gcs.storage import find_storage, put_files
from tuning.settings import Settings
from tuning.storage import sha256_of

URI = "gs://bucket/folder/data.jsonl"
MEGABYTE = 1 << 20


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two and a half parts of an upload."""
    monkeypatch.setattr(tuning.gcs.upload, "PART", MEGABYTE)
    path = tmp_path / "data.jsonl"
    path.write_bytes(os.urandom(MEGABYTE * 5 // 2))
    return path


def remote_sha256(settings: Settings, uri: str = URI) -> str:
    with find_storage(settings).open(uri) as file:
        return hashlib.sha256(file.read()).hexdigest()


def test_what_is_uploaded_and_fetched_again_has_the_same_sha256(cloud: Settings, source: Path, tmp_path: Path) -> None:
    stored = find_storage(cloud).put(source, URI)
    assert stored.sent
    assert stored.size == MEGABYTE * 5 // 2
    assert remote_sha256(cloud) == sha256_of(source)
    find_storage(cloud).get(URI, tmp_path / "fetched")
    assert sha256_of(tmp_path / "fetched") == sha256_of(source)


def test_an_empty_file_is_uploaded_too(cloud: Settings, tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(b"")
    assert find_storage(cloud).put(tmp_path / "empty", URI).sent
    assert remote_sha256(cloud) == sha256_of(tmp_path / "empty")


def test_nothing_is_sent_twice(cloud: Settings, source: Path, tmp_path: Path) -> None:
    find_storage(cloud).put(source, URI)
    assert find_storage(cloud).put(source, URI).sent is False
    find_storage(cloud).get(URI, tmp_path / "fetched")
    assert find_storage(cloud).get(URI, tmp_path / "fetched").sent is False


def test_a_changed_file_replaces_the_object(cloud: Settings, source: Path) -> None:
    find_storage(cloud).put(source, URI)
    source.write_bytes(b"other")
    assert find_storage(cloud).put(source, URI).sent
    assert remote_sha256(cloud) == sha256_of(source)


@pytest.mark.parametrize("arrives", [False, True], ids=["before the server has the part", "after the server has it"])
def test_a_broken_line_goes_on_where_the_server_is(
    cloud: Settings, source: Path, monkeypatch: pytest.MonkeyPatch, arrives: bool
) -> None:
    line = BrokenLine(monkeypatch, whole_parts=1, times=1, arrives=arrives)
    find_storage(cloud).put(source, URI)
    assert remote_sha256(cloud) == sha256_of(source)
    assert len(line.parts) == (3 if arrives else 4)


def test_an_upload_that_fails_half_way_leaves_no_object_and_the_next_sends_all(
    cloud: Settings, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.MonkeyPatch.context() as first:
        first.setattr("tuning.gcs.access.GIVE_UP_AFTER", 0.05)
        BrokenLine(first, whole_parts=1, times=10**6, arrives=False)
        with pytest.raises(TuningError, match=r"uploading data\.jsonl to gs://bucket/folder/data\.jsonl"):
            find_storage(cloud).put(source, URI)
    assert list(find_storage(cloud).addresses("gs://bucket/")) == []  # a part of a file is no object
    find_storage(cloud).put(source, URI)
    assert remote_sha256(cloud) == sha256_of(source)


def test_somebody_elses_object_that_appears_meanwhile_is_not_overwritten(
    cloud: Settings, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = tuning.gcs.upload._Transfer

    def other_first(*arguments: Any) -> Any:
        client(cloud).bucket("bucket").blob("folder/data.jsonl").upload_from_string(b"theirs")
        return begin(*arguments)

    monkeypatch.setattr(tuning.gcs.upload, "_Transfer", other_first)
    with pytest.raises(TuningError, match="conditionNotMet"):
        find_storage(cloud).put(source, URI)
    with find_storage(cloud).open(URI) as file:
        assert file.read() == b"theirs"


def test_a_download_cut_half_way_fetches_only_the_rest(
    cloud: Settings, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find_storage(cloud).put(source, URI)
    blob = client(cloud).bucket("bucket").get_blob("folder/data.jsonl")
    target = tmp_path / "down" / "data.jsonl"
    target.parent.mkdir()
    (target.parent / f".data.jsonl.{blob.generation}.part").write_bytes(source.read_bytes()[:MEGABYTE])
    ranges: list[str] = []
    request = requests.Session.request

    def look(session: Any, method: str, url: str, *args: Any, **options: Any) -> Any:
        ranges.append(dict(options.get("headers") or {}).get("range", ""))
        return request(session, method, url, *args, **options)

    monkeypatch.setattr(requests.Session, "request", look)
    find_storage(cloud).get(URI, target)
    assert sha256_of(target) == sha256_of(source)
    assert [asked for asked in ranges if asked] == [f"bytes={MEGABYTE}-"]
    assert [path.name for path in target.parent.iterdir()] == ["data.jsonl"]


def test_a_download_whose_beginning_is_another_files_is_refused(cloud: Settings, source: Path, tmp_path: Path) -> None:
    find_storage(cloud).put(source, URI)
    generation = client(cloud).bucket("bucket").get_blob("folder/data.jsonl").generation
    (tmp_path / f".fetched.{generation}.part").write_bytes(b"x" * 100)
    with pytest.raises(TuningError, match="is damaged: its checksum differs"):
        find_storage(cloud).get(URI, tmp_path / "fetched")
    assert not (tmp_path / "fetched").exists()
    find_storage(cloud).get(URI, tmp_path / "fetched")
    assert sha256_of(tmp_path / "fetched") == sha256_of(source)


def test_a_folder_goes_up_with_its_manifest_last_and_comes_down_whole(cloud: Settings, tmp_path: Path) -> None:
    folder = tmp_path / "dataset"
    (folder / "deep").mkdir(parents=True)
    files = {name: folder / name for name in ("train.jsonl", "manifest.json", "deep/eval.jsonl")}
    for name, path in files.items():
        path.write_text(name)
    stored = put_files(cloud, files, "gs://bucket/datasets/1", last="manifest.json")
    assert stored[-1].uri == "gs://bucket/datasets/1/manifest.json"
    uris = list(find_storage(cloud).addresses("gs://bucket/datasets/1/"))
    assert uris == [f"gs://bucket/datasets/1/{name}" for name in ("deep/eval.jsonl", "manifest.json", "train.jsonl")]
    for uri in uris:
        name = uri.removeprefix("gs://bucket/datasets/1/")
        find_storage(cloud).get(uri, tmp_path / "down" / name)
        assert (tmp_path / "down" / name).read_text() == name


def test_locally_an_object_is_a_file_under_the_home(settings: Settings, source: Path, tmp_path: Path) -> None:
    assert find_storage(settings).put(source, URI).sent
    assert find_storage(settings).put(source, URI).sent is False
    assert sha256_of(settings.gcs_dir / "bucket" / "folder" / "data.jsonl") == sha256_of(source)
    assert list(find_storage(settings).addresses("gs://bucket/folder/")) == [URI]
    find_storage(settings).get(URI, tmp_path / "fetched")
    assert sha256_of(tmp_path / "fetched") == sha256_of(source)


def test_a_missing_object_is_named(cloud: Settings, settings: Settings, tmp_path: Path) -> None:
    for where in (cloud, settings):
        with pytest.raises(TuningError, match="there is no gs://bucket/none"):
            find_storage(where).get("gs://bucket/none", tmp_path / "fetched")
