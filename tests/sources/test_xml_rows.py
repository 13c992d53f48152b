"""What stands around the rows of a dump, and what is refused before a parser sees it."""

from collections.abc import Iterator

import pytest

from tests.sources.dumps import answer, document, question
from tuning.errors import TuningError
from tuning.sources.rows import blocks


def read(content: bytes, piece: int = 1 << 20, root: str = "posts") -> bytes:
    """All blocks joined, the content arriving `piece` bytes at a time."""
    pieces: Iterator[bytes] = (content[start : start + piece] for start in range(0, len(content), piece))
    return b"".join(blocks(pieces, "Posts.xml", root))


ROWS = [question(1), answer(2, 1), question(3, Note="a > b /> c")]


@pytest.mark.parametrize("piece", [1, 7, 100, 1 << 20])
@pytest.mark.parametrize("newline", ["\n", "\r\n", ""])
@pytest.mark.parametrize("bom", [True, False])
def test_rows_come_whole_however_the_bytes_arrive(piece: int, newline: str, bom: bool) -> None:
    content = document(ROWS, newline=newline, bom=bom)
    assert read(content, piece).split() == "".join(ROWS).encode().split()


def test_every_block_begins_with_a_row_and_ends_before_one() -> None:
    content = document([question(number) for number in range(1, 2000)])
    found = list(blocks(iter([content]), "Posts.xml", "posts"))
    assert len(found) > 1
    assert all(block.startswith(b"<row ") for block in found)
    assert sum(block.count(b"<row ") for block in found) == 1999


def test_a_row_with_an_end_tag_is_a_row_too() -> None:
    assert read(b'<posts><row Id="1"></row><row Id="2"\n/></posts>') == b'<row Id="1"/><row Id="2"\n/>'


@pytest.mark.parametrize("encoding", ["UTF-8", "utf8", "us-ascii", "utf-16", "UTF-16LE"])
def test_a_declaration_of_another_unicode_encoding_does_not_matter(encoding: str) -> None:
    content = f"<?xml version='1.0' encoding='{encoding}'?><posts><row Id='1'/></posts>"
    assert read(content.encode()) == b"<row Id='1'/>"


def test_a_dump_without_rows_is_a_dump() -> None:
    assert read(document([])) == b""
    assert read(b"<posts />") == b""


@pytest.mark.parametrize(
    "content",
    [
        document(ROWS)[:-9],
        document(ROWS)[:-40],
        document(ROWS)[: len(document(ROWS)) // 2],
        document([])[:-4],
        b'<?xml version="1.0"?>',
    ],
)
def test_a_cut_off_file_is_said_to_be_cut_off(content: bytes) -> None:
    with pytest.raises(TuningError, match="cut off"):
        read(content)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'<!DOCTYPE posts [<!ENTITY a "aaaa">]><posts><row Id="1" Body="&a;"/></posts>', "document type"),
        (b'<!DOCTYPE posts SYSTEM "file:///etc/passwd"><posts><row Id="1"/></posts>', "document type"),
        (b'<!DOCTYPE posts SYSTEM "file:///etc/passwd"><posts/>', "document type"),
        (b'<posts><row Id="1"/><!DOCTYPE posts []><row Id="2"/></posts>', "declaration, comment or CDATA"),
        (b'<posts><row Id="1"/><!-- <row Id="2"/> --></posts>', "declaration, comment or CDATA"),
        (b'<posts><row Id="1"/><![CDATA[<row Id="2"/>]]></posts>', "declaration, comment or CDATA"),
        (b'<?xml version="1.0" encoding="utf-7"?><posts><row Id="1"/></posts>', "is utf-7, not UTF-8"),
        (b'<users><row Id="1"/></users>', "has the root element <users>, not <posts>"),
        (b'<posts><page><row Id="1"/></posts>', "not an XML file of a dump"),
        (b"plain text", "not an XML file of a dump"),
        (b"", "not an XML file of a dump"),
        (b"<posts>" + b"x" * (300 << 10), "no row in its first"),
    ],
)
def test_what_is_no_dump_is_refused(content: bytes, message: str) -> None:
    with pytest.raises(TuningError, match=message):
        read(content)


def test_a_row_without_end_does_not_fill_the_memory() -> None:
    endless = iter([b'<posts><row Id="1" Body="', *[b"x" * (1 << 20)] * 40])
    with pytest.raises(TuningError, match="a row longer than 16 MB"):
        list(blocks(endless, "Posts.xml", "posts"))
    assert next(endless, None) is not None
