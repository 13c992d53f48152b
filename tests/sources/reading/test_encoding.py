"""UTF-16 in, UTF-8 out, whatever the declaration says."""

import codecs
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.sources.dumps import answer, document, question
from tuning.errors import TuningError
from tuning.sources.reading.encoding import as_utf8
from tuning.sources.report import IngestReport

TEXT = '<?xml version="1.0" encoding="utf-8"?>\n<posts>\n<row Title="Größe 😀 漢" />\r\n</posts>\n'
FORMS = {
    "little-endian": TEXT.encode("utf-16-le"),
    "little-endian with a mark": codecs.BOM_UTF16_LE + TEXT.encode("utf-16-le"),
    "big-endian": TEXT.encode("utf-16-be"),
    "big-endian with a mark": codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"),
    "UTF-8": TEXT.encode(),
    "UTF-8 with a mark": codecs.BOM_UTF8 + TEXT.encode(),
}


def pieces(content: bytes, size: int) -> Iterator[bytes]:
    return (content[start : start + size] for start in range(0, len(content), size))


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1 << 20])
@pytest.mark.parametrize("content", FORMS.values(), ids=FORMS.keys())
def test_the_same_text_comes_out_however_the_bytes_arrive(content: bytes, size: int) -> None:
    assert b"".join(as_utf8(pieces(content, size), "Posts.xml")).decode("utf-8-sig") == TEXT


def test_a_file_without_a_declaration_and_an_empty_one_are_read() -> None:
    assert b"".join(as_utf8(iter(["<posts />".encode("utf-16-be")]), "Posts.xml")) == b"<posts />"
    assert b"".join(as_utf8(iter([]), "Posts.xml")) == b""


@pytest.mark.parametrize("encoding", ["utf-32", "utf-32-le", "utf-32-be"])
def test_utf_32_is_refused_by_name(encoding: str) -> None:
    with pytest.raises(TuningError, match=r"Posts\.xml is UTF-32\. Convert it to UTF-8"):
        list(as_utf8(iter([TEXT.encode(encoding)]), "Posts.xml"))


@pytest.mark.parametrize("lost", [1, 3])
def test_half_a_character_at_the_end_is_said(lost: int) -> None:
    content = (TEXT + "😀").encode("utf-16-le")
    with pytest.raises(TuningError, match="is cut off in the middle of a character"):
        list(as_utf8(iter([content[:-lost]]), "Posts.xml"))


ROWS = [text for n in range(1, 900, 2) for text in (question(n, Note="Größe 😀"), answer(n + 1, n))]


@pytest.mark.parametrize("tag", ["", "python"])
def test_dumps_in_utf_16_load_row_for_row(
    tmp_path: Path, convert: Callable[..., IngestReport], table: Callable[[str], list[dict[str, Any]]], tag: str
) -> None:
    """The file is longer than the reader's first look. Each declaration is a wrong one in some of the files."""
    text = document(ROWS, newline="\r\n").decode()
    other = text.replace('"utf-8"', "'UTF-16'")
    contents = [
        *(text.encode(), codecs.BOM_UTF8 + other.encode()),
        *(each.encode(encoding) for each in (text, other) for encoding in ("utf-16", "utf-16-le", "utf-16-be")),
    ]
    digests = set()
    for number, content in enumerate(contents):
        path = tmp_path / f"{number}.xml"
        path.write_bytes(content)
        report = convert(path, tag=tag)
        digests.add(report.origin.digest)
        assert (report.rows["posts_questions"], report.rows["posts_answers"]) == (450, 450)
    assert len(digests) == 1
    assert table("posts_questions")[7]["title"] == "Question 15"
