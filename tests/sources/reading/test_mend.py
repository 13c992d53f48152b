"""Characters that XML forbids: which they are, what they become, and that nothing else changes."""

import time

import pytest
from lxml import etree

from tuning.sources.reading.mend import mend


def mended(text: bytes) -> tuple[str, int, int]:
    done = mend(b'<row a="' + text + b'" />')
    parsed = etree.fromstring(done.row, etree.XMLParser(resolve_entities="internal"))
    return str(parsed.get("a")), done.replaced, done.joined


FORBIDDEN = [*(n for n in range(0x20) if n not in (9, 10, 13)), 0xD800, 0xDBFF, 0xDC00, 0xDFFF, 0xFFFE, 0xFFFF]


@pytest.mark.parametrize("number", [*FORBIDDEN, 0x110000, 10**30])
def test_a_reference_to_a_forbidden_character_is_replaced(number: int) -> None:
    for reference in (f"&#{number};", f"&#x{number:x};", f"&#x{number:X};", f"&#000{number};"):
        assert mended(f"a{reference}b".encode()) == ("a\ufffdb", 1, 0)


@pytest.mark.parametrize("number", FORBIDDEN)
def test_a_forbidden_character_itself_is_replaced(number: int) -> None:
    assert mended(b"a" + chr(number).encode("utf-8", "surrogatepass") + b"b") == ("a\ufffdb", 1, 0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"&#55357;&#56836;", ("\U0001f604", 0, 1)),
        (b"&#xD83D;&#xDE04;", ("\U0001f604", 0, 1)),
        (b"&#xD83D;&#56836;", ("\U0001f604", 0, 1)),
        (b"\xed\xa0\xbd\xed\xb8\x84", ("\U0001f604", 0, 1)),
        (b"&#56836;&#55357;", ("\ufffd\ufffd", 2, 0)),
        (b"&#55357; &#56836;", ("\ufffd \ufffd", 2, 0)),
        (b"&#55357;&#55357;&#56836;&#56836;", ("\ufffd\U0001f604\ufffd", 2, 1)),
        (b"\xed\xa0\xbd\xff", ("\ufffd\ufffd", 2, 0)),
    ],
)
def test_the_halves_of_a_pair_become_its_character(text: bytes, expected: tuple[str, int, int]) -> None:
    assert mended(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [(b"caf\xe9", ("caf\ufffd", 1, 0)), (b"\xe2\x82x", ("\ufffdx", 1, 0)), (b"\xc3", ("\ufffd", 1, 0))],
)
def test_bytes_that_are_not_utf_8_are_replaced(text: bytes, expected: tuple[str, int, int]) -> None:
    assert mended(text) == expected


def test_everything_else_stays() -> None:
    allowed = "&#9;&#10;&#xD;&#34;&#x26;&lt;&amp;#0;&#xFFFD;&#x1FFFE;&#x10FFFF;&#127;\t漢😀\x7f\x85"
    row = f'<row a="{allowed}" />'.encode()
    assert mend(row).row == row
    assert (mend(row).replaced, mend(row).joined) == (0, 0)


@pytest.mark.parametrize("text", [b"&#1", b"&#", b"&#x", b"&#11111", b"\xff", b"\xed\xa0\xbd", b"&#55357;", b"\x00"])
def test_the_time_is_linear_on_any_row(text: bytes) -> None:
    row = text * (200_000 // len(text))
    started = time.perf_counter()
    mend(row)
    assert time.perf_counter() - started < 5
