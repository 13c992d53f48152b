"""A dump as a file, a folder or a 7z, and archives that are refused."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import py7zr
import pytest

from tests.sources.dumps import answer, archive, document, posts_file, question, row
from tuning.errors import TuningError
from tuning.sources.archive import read_archive
from tuning.sources.dump import open_dump
from tuning.sources.report import IngestReport

Convert = Callable[..., IngestReport]

POSTS = document([question(1), answer(2, 1)], bom=True, newline="\r\n")
USERS = document([row(Id=-1, DisplayName="Community")], root="users")
LINK = row(Id=5, CreationDate="2021-01-01T00:00:00", PostId=1, RelatedPostId=3, LinkTypeId=3)
LINKS = document([LINK], root="postlinks")


def test_users_and_links_are_read_where_they_are(
    tmp_path: Path, convert: Convert, table: Callable[[str], list[dict[str, Any]]]
) -> None:
    folder = tmp_path / "dump"
    folder.mkdir()
    for name, content in (("Posts", POSTS), ("Users", USERS), ("PostLinks", LINKS), ("Votes", b"not read")):
        (folder / f"{name}.xml").write_bytes(content)
    archived = archive(tmp_path / "dump.7z", Users=USERS, Posts=POSTS, PostLinks=LINKS, Tags=b"not read")
    digests = set()
    for path in (folder, archived):
        report = convert(path)
        assert report.rows == {"posts_questions": 1, "posts_answers": 1, "users": 1, "post_links": 1}
        assert [one["display_name"] for one in table("users")] == ["Community"]
        assert [one["related_post_id"] for one in table("post_links")] == [3]
        digests.add(report.origin.digest)
    assert len(digests) == 1


def test_a_file_alone_is_only_its_posts(tmp_path: Path, convert: Convert) -> None:
    (tmp_path / "Users.xml").write_bytes(USERS)
    report = convert(posts_file(tmp_path, question(1), name="anything.xml"))
    assert report.rows == {"posts_questions": 1, "posts_answers": 0, "users": 0, "post_links": 0}
    assert report.notes == ("the dump has no users and no post links",)


def test_the_archives_of_the_largest_site_are_read_together(tmp_path: Path, convert: Convert) -> None:
    folder = tmp_path / "so"
    folder.mkdir()
    archive(folder / "stackoverflow.com-Posts.7z", Posts=POSTS)
    archive(folder / "stackoverflow.com-Users.7z", Users=USERS)
    archive(folder / "stackoverflow.com-Votes.7z", Votes=b"not read")
    assert convert(folder).rows == {"posts_questions": 1, "posts_answers": 1, "users": 1, "post_links": 0}


def test_two_dumps_in_one_folder_are_refused(tmp_path: Path) -> None:
    (tmp_path / "Posts.xml").write_bytes(POSTS)
    archive(tmp_path / "stackoverflow.com-Posts.7z", Posts=POSTS)
    with pytest.raises(TuningError, match="more than one file of posts"):
        open_dump(tmp_path)


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for path, message in ((tmp_path / "no.7z", "does not exist"), (tmp_path / "empty", "has no Posts.xml")):
        with pytest.raises(TuningError, match=message):
            open_dump(path)
    with pytest.raises(TuningError, match=r"has no Posts\.xml"):
        open_dump(archive(tmp_path / "users.7z", Users=USERS))


def test_what_is_no_archive_is_said(tmp_path: Path) -> None:
    path = tmp_path / "posts.7z"
    path.write_bytes(b"PK not a 7z at all, but long enough to hold a header")
    with pytest.raises(TuningError, match="not a readable 7z archive"):
        open_dump(path)


@pytest.mark.parametrize("position", [0.3, 0.6, 0.9])
def test_a_damaged_archive_is_said_to_be_one(
    tmp_path: Path, real_data: Path, convert: Convert, position: float
) -> None:
    content = bytearray((real_data / "stackoverflow.com-first-days.7z").read_bytes())
    content[int(len(content) * position)] ^= 0xFF
    path = tmp_path / "damaged.7z"
    path.write_bytes(content)
    with pytest.raises(TuningError, match=r"not a readable 7z archive|cut off"):
        convert(path)


@pytest.mark.parametrize(
    "name", ["../Posts.xml", "/etc/Posts.xml", "folder/Posts.xml", "C:\\Posts.xml", "..\\Posts.xml"]
)
def test_an_archive_with_paths_is_refused(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = archive(tmp_path / "dump.7z", Posts=POSTS)
    # py7zr writes no such names itself: put it where the name is read.
    monkeypatch.setattr(py7zr.py7zr.ArchiveFile, "filename", property(lambda self: name))
    with pytest.raises(TuningError, match=r"contains a path, .* Only files at the top level"):
        open_dump(path)


def test_an_archive_with_a_link_is_refused(tmp_path: Path) -> None:
    secret = tmp_path / "Secret.xml"
    secret.write_bytes(POSTS)
    (tmp_path / "Posts.xml").symlink_to(secret)
    path = tmp_path / "dump.7z"
    with py7zr.SevenZipFile(path, "w", dereference=False) as file:
        file.write(tmp_path / "Posts.xml", "Posts.xml")
    with pytest.raises(TuningError, match=r"contains a link, 'Posts\.xml'"):
        open_dump(path)


def test_members_come_in_pieces_and_the_rest_of_one_can_be_left(tmp_path: Path) -> None:
    large = b"x" * (40 << 20)
    path = archive(tmp_path / "dump.7z", Posts=large, Users=USERS)
    pieces = {}
    for name, chunks in read_archive(path, frozenset({"Posts.xml", "Users.xml"})):
        pieces[name] = [next(chunks)] if name == "Posts.xml" else list(chunks)
    assert b"".join(pieces["Users.xml"]) == USERS
    assert len(pieces["Posts.xml"][0]) == 1 << 20


def test_a_reader_that_stops_early_stops_the_thread(tmp_path: Path) -> None:
    path = archive(tmp_path / "dump.7z", Posts=b"x" * (64 << 20))
    before = threading.active_count()
    members = read_archive(path, frozenset({"Posts.xml"}))
    next(members)
    assert threading.active_count() == before + 1
    members.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before


def test_bytes_that_have_gone_by_are_an_error_and_not_waited_for(tmp_path: Path) -> None:
    path = archive(tmp_path / "dump.7z", Posts=POSTS)
    ((_, chunks),) = read_archive(path, frozenset({"Posts.xml"}))
    with pytest.raises(RuntimeError, match="must be read before the next"):
        next(chunks)
