"""Test that the parts of pass one are read back in any order."""

import errno
import hashlib
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tests.marts import row, write_snapshot
from tuning.dataset.arrow import content_of
from tuning.dataset.dataset import FileFacts
from tuning.dataset.workspace.outputs import FolderOutputs
from tuning.dataset.workspace.parts import Column, Notes, Parts
from tuning.dataset.workspace.store import FolderStore

Row = tuple[int, int, bytes, bytes]  # part, offset, line, tail


def _parts(folder: Path, monkeypatch: pytest.MonkeyPatch, gap: int) -> tuple[Parts, list[Row]]:
    """Write three parts and return them with their rows."""
    monkeypatch.setattr(FolderStore, "gap", gap)
    parts, rows = Parts(FolderStore(folder)), []
    rng = random.Random(gap)  # noqa: S311
    for number in range(3):
        content = b""
        for _ in range(40):
            line, tail = rng.randbytes(rng.randrange(1, 30)), rng.randbytes(rng.randrange(9))
            rows.append((number, len(content), line, tail))
            content += line + tail
        parts.write(number, content, {}, Notes())
    return parts, rows


@pytest.mark.parametrize("gap", [-1, 0, 20, 1 << 20])
@pytest.mark.parametrize("count", [0, 1, 7, 120])
def test_rows_are_read_in_the_order_they_are_asked_for(
    gap: int, count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts, rows = _parts(tmp_path, monkeypatch, gap)
    chosen = random.Random(count).sample(rows, count)  # noqa: S311
    lines, tails = parts.read_many(*_columns(chosen))
    assert list(zip(lines.to_pylist(), tails.to_pylist(), strict=True)) == [(line, tail) for *_, line, tail in chosen]
    assert bytes(content_of(lines)) == b"".join(line for *_, line, _ in chosen)
    assert bytes(content_of(lines[1:])) == b"".join(line for *_, line, _ in chosen[1:])


def _columns(rows: list[Row]) -> list[Column]:
    places = [(part, offset, len(line), len(tail)) for part, offset, line, tail in rows]
    return list(np.array(places, dtype=np.int64).reshape(-1, 4).T)


def test_a_part_that_was_cut_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts, rows = _parts(tmp_path, monkeypatch, 0)
    data = tmp_path / "000001.data"
    data.write_bytes(data.read_bytes()[:-1])
    with pytest.raises(OSError, match=r"000001\.data ends before"):
        parts.read_many(*_columns(rows))


@pytest.mark.parametrize("least", [1, 200])
def test_what_was_read_of_spent_parts_is_cut_off(least: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tuning.dataset.workspace.store._CUT", least)
    _, rows = _parts(tmp_path, monkeypatch, 0)
    files = [tmp_path / f"{number:06d}.data" for number in range(3)]
    parts, whole = Parts(FolderStore(tmp_path), is_spent=True), [file.stat().st_size for file in files]
    for end in range(40, 0, -5):
        some = [rows[part * 40 + row] for part in (2, 0) for row in range(end - 5, end)]
        lines, tails = parts.read_many(*_columns(some))
        assert list(zip(lines.to_pylist(), tails.to_pylist(), strict=True)) == [(line, tail) for *_, line, tail in some]
        parts.were_read(*_columns(some)[:2])
        for part in (0, 2):
            left, read = files[part].stat().st_size, rows[part * 40 + end - 5][1]
            assert read <= left < read + least
        assert files[1].stat().st_size == whole[1]
    assert [parts.keys(number) is None for number in range(3)] == [True, False, True]


def test_parts_that_are_not_spent_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts, rows = _parts(tmp_path, monkeypatch, 0)
    parts.were_read(*_columns(rows)[:2])
    assert all(parts.keys(number) is not None for number in range(3))


def test_a_disk_that_is_full_stops_the_run(tmp_path: Path) -> None:
    """Every write to /dev/full fails."""
    outputs = FolderOutputs(tmp_path)
    (tmp_path / "train.jsonl").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left"), outputs.open("train.jsonl") as lines:
        lines.append(pa.py_buffer(b"line\n" * 100_000), 100_000)
    assert outputs.sources == {}


def test_facts_are_of_all_that_was_appended(tmp_path: Path) -> None:
    outputs, content = FolderOutputs(tmp_path), b""
    with outputs.open("train.jsonl") as lines:
        for number in range(50):
            some = b"%d\n" % number * number
            lines.append(pa.py_buffer(some), number)
            content += some
    assert (tmp_path / "train.jsonl").read_bytes() == content
    assert lines.facts == FileFacts(50 * 49 // 2, len(content), hashlib.sha256(content).hexdigest())


def test_pass_one_does_not_import_pandas(tmp_path: Path) -> None:
    """The import would take 0.2 seconds and 40 MB in each worker."""
    snapshot = write_snapshot(tmp_path / "snapshot", [row(number) for number in range(5)])
    code = """
import sys
from pathlib import Path
from tuning.dataset.funnel import Funnel
from tuning.dataset.options import resolve_options
from tuning.dataset.workspace.parallel import Workers
from tuning.dataset.workspace.parts import Parts
from tuning.dataset.rows.pass_one import run_pass_one
from tuning.dataset.snapshot.snapshot import open_snapshot
from tuning.dataset.workspace.store import FolderStore
snapshot, folder = open_snapshot(Path(sys.argv[1])), Path(sys.argv[2])
for preset, limit in (("", 0), ("seed", 0), ("", 3), ("seed", 3)):
    parts = Parts(FolderStore(folder / f"parts{preset}{limit}"))
    index = run_pass_one(parts, snapshot, resolve_options(preset, limit=limit), Workers(1), Funnel(5))
    assert len(index) == (limit or 5)
    assert "pandas" not in sys.modules, (preset, limit)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, snapshot.folder, tmp_path], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_part_for_which_the_disk_has_no_space_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def half(path: Path, _: bytes) -> int:
        path.touch()
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", half)
    with pytest.raises(OSError, match="No space left"):
        FolderStore(tmp_path / "parts").write("000000.data", b"content")
    assert list((tmp_path / "parts").iterdir()) == []
