"""Split archives: all parts, or the name of the one that is missing."""

import os
import random
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from tests.sources.dumps import archive, document, question
from tuning.errors import TuningError
from tuning.sources.dump import open_dump
from tuning.sources.reading.volumes import Volumes
from tuning.sources.report import IngestReport

Convert = Callable[..., IngestReport]
PARTS = (1, 2, 3, 4)


def split(folder: Path, name: str = "so.7z", parts: Iterable[int] = PARTS) -> Path:
    """Write an archive in four parts, but only `parts` of them. Returns the first part."""
    noise = random.Random(5)  # noqa: S311
    posts = document([question(number, Note=noise.randbytes(200).hex()) for number in range(1, 100)])
    whole = archive(folder / "whole", Posts=posts)
    content = whole.read_bytes()
    whole.unlink()
    size = len(content) // 4 + 1
    for number in parts:
        (folder / f"{name}.{number:03}").write_bytes(content[(number - 1) * size : number * size])
    return folder / f"{name}.001"


@pytest.mark.parametrize("given", ["so.7z.001", "so.7z.003", "so.7z"])
def test_every_name_of_a_split_archive_means_all_of_it(tmp_path: Path, convert: Convert, given: str) -> None:
    split(tmp_path)
    assert convert(tmp_path / given).rows["posts_questions"] == 99


def test_a_folder_with_a_split_table_is_read(tmp_path: Path, convert: Convert) -> None:
    folder = tmp_path / "dump"
    folder.mkdir()
    split(folder, "STACKOVERFLOW.COM-POSTS.7Z")
    archive(folder / "stackoverflow.com-Users.7z", Users=document([], root="users"))
    report = convert(folder)
    assert (report.rows["posts_questions"], report.origin.site) == (99, "stackoverflow.com")


@pytest.mark.parametrize("missing", PARTS)
def test_a_missing_part_is_named(tmp_path: Path, missing: int) -> None:
    split(tmp_path, parts=[number for number in PARTS if number != missing])
    given = tmp_path / ("so.7z.002" if missing == 1 else "so.7z.001")
    with pytest.raises(TuningError, match=rf"the part so\.7z\.00{missing} is missing"):
        open_dump(given)


def test_a_part_that_is_cut_off_or_a_pipe_is_named(tmp_path: Path) -> None:
    first = split(tmp_path)
    second = tmp_path / "so.7z.002"
    second.write_bytes(second.read_bytes()[:-10])
    with pytest.raises(TuningError, match=r"the part so\.7z\.002 is cut off: the parts have [\d,]+ of [\d,]+ bytes"):
        open_dump(first)
    second.unlink()
    os.mkfifo(second)
    with pytest.raises(TuningError, match=r"the part so\.7z\.002 is missing"):
        open_dump(first)


def test_an_archive_that_is_cut_off_says_how_much_is_there(tmp_path: Path) -> None:
    path = archive(tmp_path / "so.7z", Posts=document([question(1)]))
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(TuningError, match=r"so\.7z is cut off: it has (\d+) of \d+ bytes"):
        open_dump(path)


def test_parts_are_read_as_one_file_from_any_position(tmp_path: Path) -> None:
    content = bytes(range(100))
    paths = []
    for number, start in enumerate((0, 30, 30, 90)):  # the second part is empty
        paths.append(tmp_path / str(number))
        paths[-1].write_bytes(content[start : (30, 30, 90, 100)[number]])
    with Volumes(paths) as volumes:
        assert volumes.seek(0, 2) == 100
        for start in (0, 29, 30, 89, 95, 100, 3):
            volumes.seek(start)
            assert volumes.readall() == content[start:]
