import multiprocessing
from pathlib import Path

import pytest

from tuning.errors import TuningError
from tuning.settings import Settings
from tuning.storage import atomic_file, atomic_folder, local_path, locked, sha256_of, write_json


def test_a_file_whose_writer_fails_leaves_the_old_one_and_no_trace(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"old")
    with pytest.raises(ZeroDivisionError), atomic_file(path) as file:
        file.write(b"new" * (1 // 0))
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.txt"]


def test_a_file_appears_whole(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.txt"
    with atomic_file(path) as file:
        file.write(b"new")
        assert not path.exists()
    assert path.read_bytes() == b"new"


def test_a_folder_whose_writer_fails_leaves_the_old_one(tmp_path: Path) -> None:
    with atomic_folder(tmp_path / "out") as folder:
        (folder / "a").write_text("1")
    with pytest.raises(ZeroDivisionError), atomic_folder(tmp_path / "out") as folder:
        (folder / "a").write_text("2" * (1 // 0))
    assert (tmp_path / "out" / "a").read_text() == "1"
    assert [entry.name for entry in tmp_path.iterdir()] == ["out"]


def test_a_folder_is_replaced_as_a_whole(tmp_path: Path) -> None:
    for name in ("old", "new"):
        with atomic_folder(tmp_path / "out") as folder:
            (folder / name).write_text(name)
    assert [entry.name for entry in (tmp_path / "out").iterdir()] == ["new"]


def test_the_same_value_gives_the_same_json_bytes(tmp_path: Path) -> None:
    write_json(tmp_path / "a", {"b": 1, "a": [1.5, None]})
    write_json(tmp_path / "b", {"a": [1.5, None], "b": 1})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert sha256_of(tmp_path / "a") == sha256_of(tmp_path / "b")


def _hold(path: Path, held: "multiprocessing.synchronize.Event", release: "multiprocessing.synchronize.Event") -> None:
    with locked(path, "the test"):
        held.set()
        release.wait(30)


def test_a_lock_held_elsewhere_is_one_clear_line_and_its_holders_death_frees_it(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    held, release = context.Event(), context.Event()
    holder = context.Process(target=_hold, args=(tmp_path / "lock", held, release))
    holder.start()
    try:
        assert held.wait(30)
        with (
            pytest.raises(TuningError, match="the test is in use by another process"),
            locked(tmp_path / "lock", "the test", timeout=0),
        ):
            pass
    finally:
        holder.kill()
        holder.join()
    with locked(tmp_path / "lock", "the test", timeout=5):
        pass


def test_a_gs_address_is_a_file_under_home(settings: Settings) -> None:
    assert local_path(settings, "gs://tuning/a/b.parquet") == settings.home / "gcs" / "tuning" / "a" / "b.parquet"


@pytest.mark.parametrize("uri", ["tuning/a", "gs://", "gs://bucket", "gs://bucket/../../etc/passwd", "https://x/y"])
def test_an_address_that_is_not_gs_or_climbs_out_is_refused(settings: Settings, uri: str) -> None:
    with pytest.raises(TuningError):
        local_path(settings, uri)
