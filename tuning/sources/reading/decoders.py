"""Decompress streams piece by piece. A piece has at most PIECE bytes, however much the data expands."""

import bz2
import lzma
import struct
import zlib
from collections.abc import Callable, Iterator
from typing import Protocol

from backports import zstd

PIECE = 1 << 20  # bytes
# A method can keep this much decompressed data in memory. 7-Zip's strongest preset needs 256 MB.
MOST_MEMORY = 256 << 20
_MANY_STREAMS, _LEAST = 10_000, 100  # streams, and bytes in each on average: tools write 64 KB or more
# What the libraries raise for damaged data.
DAMAGED = (lzma.LZMAError, zlib.error, zstd.ZstdError, EOFError, OSError, ValueError, struct.error)


class RefusedError(Exception):
    """Report a method of compression that is not supported, or that needs too much memory."""


class Decoder(Protocol):
    """Describe a decompressor as in the modules bz2 and lzma."""

    @property
    def eof(self) -> bool: ...  # noqa: D102
    @property
    def needs_input(self) -> bool: ...  # noqa: D102
    @property
    def unused_data(self) -> bytes: ...  # noqa: D102
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...  # noqa: D102


def decompress(make: Callable[[], Decoder], pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the decompressed bytes of `pieces`. Streams can follow each other, and zeros after a stream are skipped.

    `make` returns a new decoder for each stream. Raises EOFError if the data is cut off, and ValueError if there are
    many tiny streams, because each takes time: a file of some MB could keep a command busy for hours.
    """
    decoder = make()
    is_ended = False
    streams = size = 0
    while True:
        data = b""
        if decoder.eof:
            data = decoder.unused_data.lstrip(b"\0")
            while not data and (piece := next(pieces, b"")):
                data = piece.lstrip(b"\0")
            if not data:
                return
            decoder = make()
            streams += 1
            if streams > _MANY_STREAMS and size < streams * _LEAST:
                raise ValueError(f"it has {streams:,} streams with less than {_LEAST} bytes each")
        elif decoder.needs_input and not is_ended:
            data = next(pieces, b"")
            is_ended = not data
        output = decoder.decompress(data, PIECE)
        if output:
            size += len(output)
            yield output
        elif is_ended and not decoder.eof:
            raise EOFError("the data is cut off")


class Inflater:
    """Decompress Deflate data. `wbits` is that of the module zlib: 31 for gzip, -15 for the bare data."""

    def __init__(self, wbits: int) -> None:
        self._object = zlib.decompressobj(wbits)

    @property
    def eof(self) -> bool:
        """Return whether the stream has ended."""
        return self._object.eof

    @property
    def unused_data(self) -> bytes:
        """Return the bytes after the end of the stream."""
        return self._object.unused_data

    @property
    def needs_input(self) -> bool:
        """Return whether all data was used."""
        return not self._object.unconsumed_tail

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """Return at most `max_length` decompressed bytes."""
        return self._object.decompress(self._object.unconsumed_tail + data, max_length)


class Inflater64:
    """Decompress Deflate64 data. The library does not bound its output, so it gets little input at a time."""

    unused_data = b""
    eof = False
    _LITTLE = 1 << 10  # Deflate64 expands at most about a thousand times

    def __init__(self) -> None:
        import inflate64

        self._object = inflate64.Inflater()
        self._rest = b""

    @property
    def needs_input(self) -> bool:
        """Return whether all data was used."""
        return not self._rest

    def decompress(self, data: bytes, max_length: int) -> bytes:  # noqa: ARG002  # the library has no limit
        """Return the decompressed bytes of the next KB of input."""
        self._rest += data
        output, self._rest = self._object.inflate(self._rest[: self._LITTLE]), self._rest[self._LITTLE :]
        return bytes(output)


class Brotli:
    """Decompress Brotli data."""

    unused_data = b""

    def __init__(self) -> None:
        import brotli  # type: ignore[import-untyped]

        self._decoder = brotli.Decompressor()

    @property
    def eof(self) -> bool:
        """Return whether the stream has ended."""
        return bool(self._decoder.is_finished())

    @property
    def needs_input(self) -> bool:
        """Return whether all data was used."""
        return bool(self._decoder.can_accept_more_data())

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """Return at most about `max_length` decompressed bytes."""
        import brotli

        try:
            return bytes(self._decoder.process(data, output_buffer_limit=max_length))
        except brotli.error as error:
            raise ValueError(str(error)) from None


def bzip2() -> Decoder:
    """Return a decoder of bzip2 data."""
    return bz2.BZ2Decompressor()


def zstandard() -> Decoder:
    """Return a decoder of Zstandard data, whose window has at most 128 MB."""
    return zstd.ZstdDecompressor()


def check_memory(method: str, size: int) -> None:
    """Raise RefusedError if a method keeps more than MOST_MEMORY bytes of data in memory."""
    if size > MOST_MEMORY:
        raise RefusedError(f"{method} needs {size >> 20} MB of memory, more than {MOST_MEMORY >> 20} MB")
