"""Rows that are written as usual are read as an XML parser reads them, and all others are left to it."""

import itertools
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.sources.dumps import answer, document, question
from tuning.sources.dump import open_dump
from tuning.sources.reading.plain_rows import read_plain
from tuning.sources.reading.xml_rows import parse_rows
from tuning.sources.rows import raw_blocks

WANTED = frozenset({"Id", "PostTypeId", "ParentId", "Title", "Body", "Score", "ContentLicense"})
PLAIN = b"""<row Id="1" Body="&lt;p&gt;a &amp;lt; b&#xA;&#xD;&#x9;&quot;&apos;'>/>\xc3\xa9" />\r\n  <row Id="2"/>\n"""
# Each of these breaks a rule of XML or is unusual, at some places or everywhere.
UNUSUAL = (
    *("\0", "\x0b", "\t", "\n", "\r", "\x7f", "\x85", "\ud800", "\ufffe", "\uffff", "\xa0", "\ufdef", "\U0001f604"),
    *(
        "&",
        "&#10;",
        "&#13;",
        "&#9;",
        "&#xa;",
        "&#xD;",
        "&nbsp;",
        "&#0;",
        "&#xD800;",
        "&lt",
        "&amp;#xA;",
        "&amp;amp;",
        "&#38;lt;",
    ),
    *('"', "'", "<", ">", "/>", "<row", "<row ", "</row>", "<!--", "<?", "<a/>", " A=", "=", ' A="', 'Id="', ' Body="'),
    *(" xmlns=", "é=", ":", " ", "\\", "x" * 50),
)


def check(block: bytes) -> bool:
    """Compare with the parser, unless the block is left to it, and return whether it is not."""
    found = read_plain(block, WANTED)
    if found is not None:
        counts: Any = {}
        rows = parse_rows(block, "posts", counts)
        assert found.to_pylist() == [{name: row.get(name) for name in found.column_names} for row in rows]
        assert set(found.column_names) == WANTED & {name for row in rows for name in row}
        assert counts == {}
    return found is not None


def encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


@pytest.mark.parametrize("name", ["stackoverflow-python-bodies.7z", "cardano.stackexchange.com.7z"])
def test_what_dumps_write_is_read_without_a_parser(real_data: Path, name: str) -> None:
    for part in open_dump(real_data / name).parts():
        blocks = list(raw_blocks(part.chunks, part.name, part.kind))
        assert [check(block) for block in blocks[:8]] == [True] * len(blocks[:8])


@pytest.mark.parametrize("newline", ["\n", "\r\n", ""])
def test_usual_rows_are_read_with_each_line_break(newline: str) -> None:
    content = document([question(1), answer(2, 1), question(3, Note="a  <b> & 'c'")], newline=newline)
    assert all(check(block) for block in raw_blocks(iter([content]), "Posts.xml", "posts"))


def test_each_unusual_piece_at_each_place_is_read_as_the_parser_reads_it() -> None:
    assert check(PLAIN)
    read = 0
    for at in range(len(PLAIN) + 1):
        for piece in UNUSUAL:
            read += check(PLAIN[:at] + encoded(piece) + PLAIN[at:])
            read += check(PLAIN[:at] + encoded(piece) + PLAIN[at + 1 :])
    assert read > len(PLAIN)  # many of them change only a value


@given(
    st.lists(
        st.sampled_from([*UNUSUAL, '<row Id="', '" Body="', '" />\n  ', "a", "&lt;", "&#xA;", "&amp;"]), max_size=12
    )
)
def test_any_pieces_are_read_as_the_parser_reads_them(pieces: list[str]) -> None:
    check(encoded('<row Id="1"' + "".join(pieces) + '" />'))


def test_names_that_are_long_or_many_are_left_to_the_parser() -> None:
    names = ["".join(letters) for letters in itertools.product("ABC", repeat=6)][:400]
    assert check(encoded("".join(f'<row Id="1" {name}="x"/>' for name in names[:140])))
    assert not check(encoded("".join(f'<row Id="1" {name}="x"/>' for name in names)))
    assert check(encoded(f'<row Id="1" {"A" * 40}="1" />'))
    assert not check(encoded(f'<row Id="1" {"A" * 41}="1" />'))
