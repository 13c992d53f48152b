"""Convert UTF-16 to UTF-8. The dumps of spring 2024 were UTF-16, without a byte-order mark."""

import codecs
from collections.abc import Iterator

from tuning.errors import TuningError

_UTF_16_LE, _UTF_16_BE = "utf-16-le", "utf-16-be"


def as_utf8(chunks: Iterator[bytes], name: str) -> Iterator[bytes]:
    """Yield the chunks in UTF-8. The first bytes decide, because a declaration can be wrong.

    A lone surrogate becomes three bytes that are not valid UTF-8, so that the parser counts it as a forbidden
    character. Raises TuningError if the file is UTF-32, or UTF-16 that ends in the middle of a character.
    """
    start = b""
    for chunk in chunks:
        start += chunk
        if len(start) >= 4:
            break
    encoding = _encoding(start, name)
    yield from _converted(_chain(start, chunks), encoding, name) if encoding else _chain(start, chunks)


def _encoding(start: bytes, name: str) -> str:
    """Return the encoding if it is UTF-16, else an empty string. XML starts with a byte-order mark, "<" or a space."""
    first = [bool(byte) for byte in start[:4]]
    if start[:4] in (b"\xff\xfe\0\0", b"\0\0\xfe\xff") or first in ([True, False, False, False], [False] * 3 + [True]):
        raise TuningError(f"{name} is UTF-32", "Convert it to UTF-8, for example with `iconv -f UTF-32 -t UTF-8`")
    if start.startswith(codecs.BOM_UTF16_LE) or first[:2] == [True, False]:
        return _UTF_16_LE
    if start.startswith(codecs.BOM_UTF16_BE) or first[:2] == [False, True]:
        return _UTF_16_BE
    return ""


def _converted(chunks: Iterator[bytes], encoding: str, name: str) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(encoding)("surrogatepass")
    for chunk in chunks:
        yield decoder.decode(chunk).encode("utf-8", "surrogatepass")
    try:
        rest = decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        raise TuningError(f"{name} is cut off in the middle of a character", "Download the file again") from None
    yield rest.encode("utf-8", "surrogatepass")


def _chain(start: bytes, chunks: Iterator[bytes]) -> Iterator[bytes]:
    if start:
        yield start
    yield from chunks
