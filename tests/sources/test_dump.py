"""A dump as a file, a folder or a 7z, and archives that are refused."""

import gzip
import os
import re
import threading
import time
import zipfile
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


def test_a_file_with_another_name_is_only_its_posts(tmp_path: Path, convert: Convert) -> None:
    (tmp_path / "Users.xml").write_bytes(USERS)
    report = convert(posts_file(tmp_path, question(1), name="anything.xml"))
    assert report.rows == {"posts_questions": 1, "posts_answers": 0, "users": 0, "post_links": 0}


def write(folder: Path, *names: str) -> Path:
    """Write a table of a dump under each name. Returns the path of the first one."""
    folder.mkdir(exist_ok=True)
    for name in names:
        kind = re.fullmatch(r"(?:.*-)?([a-z]+)\..*", name.lower())
        assert kind is not None
        content = {"posts": POSTS, "users": USERS, "postlinks": LINKS}[kind[1]]
        if name.lower().endswith(".7z"):
            archive(folder / name, **{kind[1]: content})
        else:
            (folder / name).write_bytes(gzip.compress(content) if name.lower().endswith(".gz") else content)
    return folder / names[0]


@pytest.mark.parametrize(
    ("names", "beside"),
    [
        (["stackoverflow.com-Posts.xml", "stackoverflow.com-Users.xml", "stackoverflow.com-PostLinks.xml"], [1, 2]),
        (["Posts.xml", "Users.xml", "PostLinks.xml"], [1, 2]),
        (["stackoverflow.com-Posts.7z", "stackoverflow.com-Users.7z", "stackoverflow.com-PostLinks.7z"], [1, 2]),
        (["STACKOVERFLOW.COM-POSTS.XML", "stackoverflow.com-users.xml.gz"], [1]),
        (["Posts.xml.gz", "Users.7z", "Users.xml", "Users.xml.gz"], [3]),
        (["stackoverflow.com-Posts.xml", "Users.xml", "superuser.com-Users.xml", "ja.stackoverflow.com-Users.7z"], []),
        (["Posts.xml", "stackoverflow.com-Users.xml"], []),
    ],
)
def test_a_file_finds_the_tables_of_its_dump_and_of_no_other(
    tmp_path: Path, convert: Convert, names: list[str], beside: list[int]
) -> None:
    path = write(tmp_path / "my dumps", *names)
    dump = open_dump(path)
    assert dump.files == (path, *(path.with_name(names[number]) for number in beside))
    kinds = {"Users": "users", "PostLinks": "post_links"}
    report = convert(path)
    loaded = {table for name, table in kinds.items() if any(name.lower() in names[n].lower() for n in beside)}
    assert {table for table in ("users", "post_links") if report.rows[table]} == loaded
    assert [note for note in report.notes if "also read" in note] == (
        [f"also read: {', '.join(names[number] for number in beside)}"] if beside else []
    )


def test_the_file_and_its_folder_are_the_same_dump(tmp_path: Path, convert: Convert) -> None:
    path = write(tmp_path / "so", "stackoverflow.com-Posts.xml", "stackoverflow.com-Users.xml")
    assert convert(path).origin.digest == convert(path.parent).origin.digest


def test_a_folder_with_the_tables_of_two_sites_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "mixed", "stackoverflow.com-Posts.xml", "superuser.com-Users.7z")
    with pytest.raises(
        TuningError, match=r"more than one dump: stackoverflow\.com-Posts\.xml, superuser\.com-Users\.7z"
    ):
        open_dump(path.parent)
    assert open_dump(path).files == (path,)


def test_the_name_of_a_table_says_its_site(tmp_path: Path) -> None:
    path = write(tmp_path / "dump", "cardano.stackexchange.com-Posts.xml")
    for given in (path, path.parent):
        site = open_dump(given).site
        assert site is not None
        assert site.host == "cardano.stackexchange.com"


def test_a_damaged_table_beside_the_posts_is_named(tmp_path: Path, convert: Convert) -> None:
    path = write(tmp_path / "so", "stackoverflow.com-Posts.xml")
    (tmp_path / "so" / "stackoverflow.com-Users.7z").write_bytes(b"")
    with pytest.raises(TuningError, match=r"stackoverflow\.com-Users\.7z is not a readable 7z archive"):
        open_dump(path)
    (tmp_path / "so" / "stackoverflow.com-Users.xml").write_bytes(USERS[:-9])
    with pytest.raises(TuningError, match=r"stackoverflow\.com-Users\.xml is cut off"):
        convert(path)


def test_a_pipe_or_device_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "Posts.xml"
    os.mkfifo(pipe)
    (tmp_path / "link.xml").symlink_to(pipe)
    for path in (pipe, tmp_path / "link.xml", Path("/dev/zero")):
        with pytest.raises(TuningError, match="is a pipe or device, not a file or folder"):
            open_dump(path)
    with pytest.raises(TuningError, match=r"has no Posts\.xml"):
        open_dump(tmp_path)


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
    with pytest.raises(
        TuningError, match=r"more than one file of posts: Posts\.xml, stackoverflow\.com-Posts\.7z\. Keep only one"
    ):
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


def test_progress_counts_what_is_decompressed_only_to_get_past_it(tmp_path: Path) -> None:
    """In a real dump, the history of all posts can come before the posts, and takes longer than they do."""
    posts = document([question(1)])
    path = archive(tmp_path / "a.7z", Comments=b"c" * 3_000_000, Posts=posts, Votes=b"v" * 1_000_000)
    counted: list[float] = []
    dump = open_dump(path)
    for part in dump.parts(counted.append):
        assert b"".join(part.read(counted.append)) == posts
    assert sum(counted) == dump.size == 3_000_000 + len(posts)
    assert len(counted) > 2


@pytest.mark.parametrize("start", [b"<?xml " * 43_000, b"<?xml encoding=" * 17_000])
def test_a_start_that_is_no_start_is_refused_at_once(tmp_path: Path, convert: Convert, start: bytes) -> None:
    (tmp_path / "Posts.xml").write_bytes(start + f"<posts>{question(1)}</posts>".encode())
    before = time.process_time()
    with pytest.raises(TuningError, match=r"Posts\.xml is not an XML file of a dump"):
        convert(tmp_path / "Posts.xml")
    assert time.process_time() - before < 5


def test_pieces_of_rows_cost_little_time_and_are_counted(tmp_path: Path, convert: Convert) -> None:
    (tmp_path / "Posts.xml").write_bytes(document([question(1), "<row " * 100_000]))
    before = time.process_time()
    assert convert(tmp_path / "Posts.xml").counts["posts", "not well-formed XML"] == 100_000
    assert time.process_time() - before < 5  # parsing each would take more than ten seconds


def test_an_archive_of_another_kind_is_named(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "Posts.zip", "w") as archive:
        archive.writestr("Posts.xml", document([]))
    with pytest.raises(TuningError, match=r"Posts\.zip is a ZIP archive, not a dump\. Unpack it"):
        open_dump(tmp_path / "Posts.zip")
