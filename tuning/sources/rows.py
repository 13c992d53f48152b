"""Split the bytes of ``Posts.xml`` and similar files into blocks of whole rows, and check the XML around the rows."""

import re
from collections.abc import Iterator

from lxml import etree

from tuning.errors import TuningError

BLOCK = 256 << 10  # bytes: lxml is fastest on trees that fit the processor's cache
_LONGEST_ROW = 16 << 20  # bytes; far above any post, whose text has at most 30,000 characters
_BOM = b"\xef\xbb\xbf"
_ENCODING = re.compile(rb"""\s*<\?xml[^>]*\sencoding\s*=\s*["']([^"']*)["']""")
# The bytes are already UTF-8, so a wrong declaration of one of these does not matter.
_KNOWN_ENCODINGS = (b"utf8", b"usascii", b"ascii", b"utf16", b"utf16le", b"utf16be", b"unicode", b"ucs2")
_OTHER_THAN_ROW = re.compile(rb"<(?!row\s)")
_ROW_END = re.compile(rb">\s*</row\s*>")
_HINT = "Download the file again, or check the tool that wrote it"


def blocks(chunks: Iterator[bytes], name: str, root: str) -> Iterator[bytes]:
    """Yield the blocks of `raw_blocks`, each converted by `plain_rows`. Raises TuningError for the same reasons."""
    for block in raw_blocks(chunks, name, root):
        # Use the pattern: a search for the substring "<!" takes three times as long.
        yield plain_rows(block, name) if _OTHER_THAN_ROW.search(block) else block


def plain_rows(block: bytes, name: str) -> bytes:
    """Return the block with each row written as ``<row … />``, so that each row contains one ``<``.

    Raises TuningError if the block contains a document type, a comment, CDATA or a processing instruction. Dumps
    contain none of these, and a document type can expand without limit or read files of this machine.
    """
    if b"<!" in block or b"<?" in block:
        raise TuningError(f"{name} has a declaration, comment or CDATA among its rows. Dumps contain only rows", _HINT)
    return _ROW_END.sub(b"/>", block)


def raw_blocks(chunks: Iterator[bytes], name: str, root: str) -> Iterator[bytes]:
    """Yield blocks that start with ``<row`` and contain only whole rows, in the file's order.

    XML does not allow ``<`` inside an attribute, so ``<row`` always starts a row, no matter where lines break. Raises
    TuningError if the file is not XML with the root element `root`, if it is cut off, or if a row is too long.
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
                raise TuningError(f"{name} has no row in its first {len(rest)} bytes, so it is not from a dump", _HINT)
            _check_prolog(rest[:start], name, root, end=f"</{root}>".encode())
            started, rest = True, rest[start:]
        cut = rest.rfind(b"<row")
        if cut > 0:
            yield rest[:cut]
            rest = rest[cut:]
        elif len(rest) > _LONGEST_ROW:
            raise TuningError(f"{name} has a row longer than {_LONGEST_ROW >> 20} MB", _HINT)
    if started:
        yield _without_end(rest, name, root)
    else:
        _check_prolog(rest, name, root, end=b"")  # the file has no row


def _slices(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the same bytes in pieces of at most BLOCK bytes."""
    for chunk in chunks:
        if len(chunk) <= BLOCK:
            yield chunk
        else:
            yield from (chunk[start : start + BLOCK] for start in range(0, len(chunk), BLOCK))


def _without_end(block: bytes, name: str, root: str) -> bytes:
    row, tag, after = block.rpartition(f"</{root}".encode())
    if not tag or not re.fullmatch(rb"\s*>\s*", after):
        raise TuningError(f"{name} is cut off: it does not end with </{root}>", _HINT)
    return row


def _check_prolog(prolog: bytes, name: str, root: str, end: bytes) -> None:
    """Check the byte-order mark, the XML declaration and the root's start tag. `end` is the root's end tag.

    If `prolog` is the whole file, `end` is empty. Raises TuningError if one of these is not that of a dump.
    """
    encoding = _ENCODING.match(prolog.removeprefix(_BOM))
    if encoding and re.sub(rb"[-_]", b"", encoding[1].lower()) not in _KNOWN_ENCODINGS:
        raise TuningError(f"{name} is {encoding[1].decode('ascii', 'replace')}, not UTF-8", "Convert it to UTF-8")
    if b"<!" in prolog.replace(b"<!--", b""):
        raise TuningError(f"{name} has a document type declaration, which is not allowed in a dump", _HINT)
    parser = etree.XMLPullParser(("start",), resolve_entities=False, no_network=True, encoding="utf-8")
    try:
        parser.feed(prolog.removeprefix(_BOM))
        for _, element in parser.read_events():
            if element.getparent() is None and element.tag != root:
                raise TuningError(f"{name} has the root element <{str(element.tag)[:40]}>, not <{root}>", _HINT)
        parser.feed(end)
        parser.close()
    except etree.XMLSyntaxError as error:
        raise TuningError(f"{name} is not an XML file of a dump, or it is cut off ({error.msg})", _HINT) from None
