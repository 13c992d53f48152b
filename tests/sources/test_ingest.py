"""A whole dump into Parquet: what is counted, and that nothing else than the rows matters."""

import os
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.sources.dumps import answer, archive, document, posts_file, question, row
from tuning.errors import TuningError
from tuning.settings import Settings
from tuning.sources import tables as parquet_tables
from tuning.sources.dump import open_dump
from tuning.sources.load import staging
from tuning.sources.report import IngestReport

Convert = Callable[..., IngestReport]
Table = Callable[[str], list[dict[str, Any]]]


@pytest.mark.parametrize(
    ("name", "questions", "answers", "users", "links", "dangling"),
    [
        ("cardano.stackexchange.com.7z", 1042, 1496, 3988, 104, 0),
        ("stackoverflow.com-first-days.7z", 173, 447, 0, 0, 38),
        ("stackoverflow-python-bodies.7z", 9625, 26963, 0, 0, 88),
    ],
)
def test_real_dumps_are_read_to_the_last_row(
    real_data: Path, convert: Convert, name: str, questions: int, answers: int, users: int, links: int, dangling: int
) -> None:
    report = convert(real_data / name)
    assert report.rows == {"posts_questions": questions, "posts_answers": answers, "users": users, "post_links": links}
    assert report.dangling_accepted == dangling
    assert not any(report.dropped(table) for table in report.rows)
    assert report.licensed == (0 if "first-days" in name else questions + answers)  # 2008's file states no licence
    assert report.other_license == 0


def test_the_values_of_a_real_dump_are_those_of_its_xml(real_data: Path, convert: Convert, table: Table) -> None:
    convert(real_data / "cardano.stackexchange.com.7z")
    parts = open_dump(real_data / "cardano.stackexchange.com.7z").parts()
    posts = [one.attrib for one in ElementTree.fromstring(b"".join(next(parts).chunks))]  # noqa: S314
    for name, kind in (("posts_questions", "1"), ("posts_answers", "2")):
        expected = [one for one in posts if one["PostTypeId"] == kind]
        found = table(name)
        assert [one["body"] for one in found] == [one["Body"] for one in expected]
        assert [one["score"] for one in found] == [int(one["Score"]) for one in expected]
        written = [one["creation_date"].strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] for one in found]
        assert written == [one["CreationDate"] for one in expected]
        assert [one["owner_user_id"] for one in found] == [
            int(one["OwnerUserId"]) if "OwnerUserId" in one else None for one in expected
        ]


def test_the_same_rows_have_the_same_digest_however_they_come(tmp_path: Path, convert: Convert) -> None:
    rows = [text for n in range(1, 3000, 2) for text in (question(n), answer(n + 1, n))]
    paths = [posts_file(tmp_path, *rows)]
    (tmp_path / "crlf.xml").write_bytes(document(rows, newline="\r\n", bom=True))
    (tmp_path / "line.xml").write_bytes(document(rows, newline=""))
    paths += [tmp_path / "crlf.xml", tmp_path / "line.xml", archive(tmp_path / "dump.7z", Posts=document(rows))]
    digests = {convert(path, workers=workers).origin.digest for path in paths for workers in (1, 2, 5)}
    assert len(digests) == 1
    changed = posts_file(tmp_path, *rows[:-1], answer(3000, 1), name="changed.xml")
    assert convert(changed).origin.digest not in digests


def test_the_parquet_files_do_not_depend_on_the_workers(real_data: Path, convert: Convert, tmp_path: Path) -> None:
    contents = []
    for workers in (1, 3):
        convert(real_data / "stackoverflow-python-bodies.7z", workers=workers)
        contents.append({path.name: path.read_bytes() for path in (tmp_path / "parquet").iterdir()})
    assert contents[0] == contents[1]


def test_row_groups_are_bounded(
    real_data: Path, convert: Convert, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet_tables, "ROW_GROUP", 1 << 20)
    convert(real_data / "stackoverflow-python-bodies.7z")
    metadata = pq.read_metadata(tmp_path / "parquet" / "posts_answers.parquet")
    sizes = [metadata.row_group(number).total_byte_size for number in range(metadata.num_row_groups)]
    assert len(sizes) > 10
    assert max(sizes) < 5 << 20


def test_an_id_counts_once_for_questions_and_answers_together(tmp_path: Path, convert: Convert, table: Table) -> None:
    rows = [question(1), question(2), answer(2, 1), answer(3, 1), answer(3, 2), question(1)]
    report = convert(posts_file(tmp_path, *rows))
    assert report.rows["posts_questions"] + report.rows["posts_answers"] == 3
    assert report.dropped("posts_questions") == {"duplicate Id": 1}
    assert report.dropped("posts_answers") == {"duplicate Id": 2}


def test_the_report_names_what_was_read_kept_dropped_and_why(tmp_path: Path, convert: Convert) -> None:
    rows = [
        question(1, AcceptedAnswerId=77, ContentLicense="CC BY-SA 3.0"),
        question(2).replace("Title=", "Topic="),
        answer(3, 1),
        answer(4, 1).replace("Body=", "Text="),
        answer(5, 1).replace('PostTypeId="2"', 'PostTypeId="5"'),
    ]
    report = convert(posts_file(tmp_path, *rows), site="cardano")
    *lines, digest, terms = report.lines()
    assert lines == [
        "Posts.xml: Cardano Stack Exchange (https://cardano.stackexchange.com), CC BY-SA",
        "  questions: 2 read, 1 kept",
        "    1 dropped: no Title",
        "  answers: 2 read, 1 kept",
        "    1 dropped: no Body",
        "  users: 0 read, 0 kept",
        "  post links: 0 read, 0 kept",
        "  1 tag wikis read but not loaded",
        "  1 accepted answers are missing from the file",
        "  the licence derived from the date differs from the stated licence for 1 of 1 posts",
        "  the dump has no post links, so the duplicates that the site knows can be in both splits: put PostLinks.xml"
        " beside Posts.xml",
    ]
    assert digest.endswith(report.origin.digest)
    assert "July 2024" in terms


def test_the_report_names_what_no_build_keeps_and_what_was_mended(tmp_path: Path, convert: Convert) -> None:
    rows = [
        question(1, OwnerUserId=-1),  # owned by the community
        question(1_000_000_001, OwnerUserId=-1),
        answer(1_000_000_010, 1, OwnerUserId=-1),
        answer(3, 1, OwnerUserId=-2),
        answer(4, 1, OwnerUserId=12, ContentLicense="MIT"),
        answer(6, 1, ContentLicense="CC BY-NC-SA 4.0"),
        answer(7, 1, ContentLicense="cc-by-nd 3.0"),
        answer(5, 1, OwnerUserId=13).replace("Like", "&#x0E;&#xD83D;&#xDE04;"),
    ]
    (tmp_path / "Users.xml").write_bytes(document([row(Id=13, DisplayName="Ada")], root="users"))
    report = convert(posts_file(tmp_path, *rows), exclude_user=[12, 99])
    lines = report.lines()
    assert lines[1:8] == [
        "  questions: 2 read, 2 kept",
        "    1 left out of every build: not posts of the site (fabricated rows)",
        "  answers: 6 read, 6 kept",
        "    1 left out of every build: by bots",
        "    1 left out of every build: by users to exclude",
        "    1 left out of every build: not posts of the site (fabricated rows)",
        "    2 left out of every build: under a licence that forbids commercial use or changes (NC, ND)",
    ]
    assert report.origin.exclude_user == "12,99"
    assert "  3 posts state another license than CC BY-SA: it stays as stated" in lines
    assert (
        "  2 characters that XML forbids were mended in 1 rows (replaced by U+FFFD: 1; surrogate pairs joined: 1)"
        in lines
    )
    assert "  also read: Users.xml" in lines
    assert lines[-1].startswith("Names of authors are missing (3), but the licence (CC BY-SA) asks for them: the users")


def test_missing_names_are_the_last_word_with_what_to_do(tmp_path: Path, convert: Convert) -> None:
    path = posts_file(tmp_path, question(1, OwnerUserId=5), answer(2, 1, OwnerDisplayName="gone"))
    assert convert(path).lines()[-1] == (
        "Names of authors are missing (1), but the licence (CC BY-SA) asks for them. To get them, put Users.xml beside"
        " Posts.xml. Then run `invoke ingest` again."
    )
    named = path.rename(tmp_path / "mine.xml")
    assert "put the site's Users.xml and the posts, as Posts.xml, into one folder" in convert(named).lines()[-1]
    folder = tmp_path / "folder"
    folder.mkdir()
    named.rename(folder / "Posts.xml")
    assert "put the site's Users.xml into the folder folder" in convert(folder).lines()[-1]
    (folder / "Users.xml").write_bytes(document([row(Id=5, DisplayName="Ada")], root="users"))
    assert convert(folder).warning == ""


def test_rows_that_are_not_xml_are_counted_as_posts(tmp_path: Path, convert: Convert) -> None:
    report = convert(posts_file(tmp_path, question(1), '<row Id="2" PostTypeId="1" Body="&nothing;" />'))
    assert "  1 posts dropped: not well-formed XML" in report.lines()


def test_a_dump_without_questions_is_refused(tmp_path: Path, convert: Convert) -> None:
    with pytest.raises(TuningError, match="has no question to load"):
        convert(posts_file(tmp_path, answer(2, 1)))
    with pytest.raises(TuningError, match="no question with a tag containing rust"):
        convert(posts_file(tmp_path, question(1)), tag="rust")


@pytest.mark.cloud
def test_nothing_is_loaded_into_the_public_dataset() -> None:
    with pytest.raises(TuningError, match="TUNING_RAW_DATABASE"), staging(Settings(target="gcp")):
        raise AssertionError("staging must not begin")


def test_what_a_killed_ingest_left_is_gone_with_the_next(tmp_path: Path, settings: Settings) -> None:
    code = f"""
import time
from pathlib import Path
from tuning.settings import Settings
from tuning.sources.load import staging
with staging(Settings(home=Path({str(settings.home)!r}))) as folder:
    (folder / "half.parquet").write_bytes(b"PAR1")
    print("ready", flush=True)
    time.sleep(600)
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert (settings.home / "sources" / "half.parquet").exists()
    started = time.monotonic()
    with staging(settings) as folder:
        assert list(folder.iterdir()) == []
    assert not (settings.home / "sources").exists()
    assert time.monotonic() - started < 60  # the lock went with its holder
