"""The bytes of ``Posts.xml`` (and of its like) as blocks of whole rows, after a look at what stands around them."""

import re
from collections.abc import Iterator

from lxml import etree

from tuning.errors import TuningError

BLOCK = 256 << 10  # bytes: lxml is fastest on trees that fit the processor's cache
_LONGEST_ROW = 16 << 20  # bytes; a post's text has at most 30,000 characters
_BOM = b"\xef\xbb\xbf"
_ENCODING = re.compile(rb"""<\?xml[^>]*\sencoding\s*=\s*["']([^"']*)["']""")
_OTHER_THAN_ROW = re.compile(rb"<(?!row\s)")
_ROW_END = re.compile(rb">\s*</row\s*>")
_MEND = "Get the file again, or check what made it"


def blocks(chunks: Iterator[bytes], name: str, root: str) -> Iterator[bytes]:
    """`raw_blocks`, each as `plain_rows`."""
    for block in raw_blocks(chunks, name, root):
        # A plain search for "<!" takes three times as long.
        yield plain_rows(block, name) if _OTHER_THAN_ROW.search(block) else block


def plain_rows(block: bytes, name: str) -> bytes:
    """The block with its rows written ``<row … />``, one ``<`` to a row.

    Raises TuningError for any ``<!`` among them: a document type (the door to entity bombs and to files of the host), a
    comment or CDATA, none of which dumps have.
    """
    if b"<!" in block or b"<?" in block:
        raise TuningError(f"{name} has a declaration, comment or CDATA among its rows, which no dump has", _MEND)
    return _ROW_END.sub(b"/>", block)


def raw_blocks(chunks: Iterator[bytes], name: str, root: str) -> Iterator[bytes]:
    """Blocks that begin with ``<row`` and hold whole rows only, in the file's order.

    As ``<`` never stands raw inside an attribute, ``<row`` is always a row's beginning, wherever the lines break.
    Raises TuningError where the file is not UTF-8 XML with the element `root` around its rows, and where it is cut off.
    """
    rest = b""
    started = False
    for chunk in _slices(chunks):
        rest += chunk
        if not started:
            start = rest.find(b"<row")
            if start < 0 and len(rest) < BLOCK:
                continue
            if start < 0:
                raise TuningError(f"{name} has no row in its first {len(rest)} bytes: it is not a dump's", _MEND)
            _check_prolog(rest[:start], name, root, end=f"</{root}>".encode())
            started, rest = True, rest[start:]
        cut = rest.rfind(b"<row")
        if cut > 0:
            yield rest[:cut]
            rest = rest[cut:]
        elif len(rest) > _LONGEST_ROW:
            raise TuningError(f"{name} has a row longer than {_LONGEST_ROW >> 20} MB", _MEND)
    if started:
        yield _without_end(rest, name, root)
    else:
        _check_prolog(rest, name, root, end=b"")  # no row at all


def _slices(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The same bytes in pieces of a block's size at most."""
    for chunk in chunks:
        if len(chunk) <= BLOCK:
            yield chunk
        else:
            yield from (chunk[start : start + BLOCK] for start in range(0, len(chunk), BLOCK))


def _without_end(block: bytes, name: str, root: str) -> bytes:
    row, tag, after = block.rpartition(f"</{root}".encode())
    if not tag or not re.fullmatch(rb"\s*>\s*", after):
        raise TuningError(f"{name} is cut off: </{root}> does not stand at its end", _MEND)
    return row


def _check_prolog(prolog: bytes, name: str, root: str, end: bytes) -> None:
    """What stands before the first row: byte-order mark, XML declaration, the root's start tag. `end` closes it."""
    if prolog.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\x00" in prolog:
        raise TuningError(f"{name} is not UTF-8", "Convert it to UTF-8")
    encoding = _ENCODING.search(prolog)
    if encoding and encoding[1].lower() not in (b"utf-8", b"us-ascii"):
        raise TuningError(f"{name} is {encoding[1].decode('ascii', 'replace')}, not UTF-8", "Convert it to UTF-8")
    if b"<!" in prolog.replace(b"<!--", b""):
        raise TuningError(f"{name} has a document type declaration, which no dump has: it is refused", _MEND)
    parser = etree.XMLPullParser(("start",), resolve_entities=False, no_network=True, encoding="utf-8")
    try:
        parser.feed(prolog.removeprefix(_BOM))
        for _, element in parser.read_events():
            if element.getparent() is None and element.tag != root:
                raise TuningError(f"{name} holds <{str(element.tag)[:40]}>, not <{root}>", _MEND)
        parser.feed(end)
        parser.close()
    except etree.XMLSyntaxError as error:
        raise TuningError(f"{name} is not the XML of a dump, or is cut off ({error.msg})", _MEND) from None
