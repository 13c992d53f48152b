"""Decompress the folders of a 7z archive in bounded memory. In 7z, a folder is a stream with the bytes of some members.

py7zr reads the archive's header, after a check that it stays small. Its own extraction holds up to some 100 MB per
step, and with some methods all data.
"""

import io
import itertools
import lzma
import struct
import zlib
from collections.abc import Callable, Iterator
from typing import IO, Any

import bcj
import py7zr
from py7zr.archiveinfo import HeaderStreamsInfo
from py7zr.exceptions import PasswordRequired

from tuning.sources.reading.decoders import (
    Brotli,
    Decoder,
    Inflater,
    Inflater64,
    RefusedError,
    bzip2,
    check_memory,
    decompress,
    zstandard,
)
from tuning.sources.reading.pipe import Put

_READ = 1 << 18  # bytes of compressed data that are read at a time
# Bytes of a header, enough for some hundred members. py7zr takes up to 500 times this in memory, and time that grows
# with the square.
_MOST_HEADER = 16 << 10
# An archive's first bytes: the signature, where the header begins, counted from the end of these bytes, and its size.
_START = struct.Struct("<6s6xQQ4x")
_ENCODED_HEADER = b"\x17"
# The methods: https://github.com/ip7z/7zip/blob/main/DOC/Methods.txt
_COPY, _LZMA, _LZMA2, _DELTA = b"\x00", b"\x03\x01\x01", b"\x21", b"\x03"
_AES = b"\x06\xf1\x07\x01"
_PPMD = b"\x03\x04\x01"  # refused: pyppmd 1.3.1 decodes in a thread of its own, and can end this process
_METHODS: dict[bytes, Callable[[bytes], Decoder]] = {
    b"\x04\x01\x08": lambda _: Inflater(-15),
    b"\x04\x01\x09": lambda _: Inflater64(),
    b"\x04\x02\x02": lambda _: bzip2(),
    b"\x04\xf7\x11\x01": lambda _: zstandard(),
    b"\x04\xf7\x11\x02": lambda _: Brotli(),
}
# Filters for programs, which 7-Zip also uses for other files: liblzma's number, and a decoder for other methods.
_FILTERS: dict[bytes, tuple[int, Any]] = {
    b"\x03\x03\x01\x03": (lzma.FILTER_X86, bcj.BCJDecoder),
    b"\x04": (lzma.FILTER_X86, bcj.BCJDecoder),
    b"\x03\x03\x02\x05": (lzma.FILTER_POWERPC, bcj.PPCDecoder),
    b"\x03\x03\x05\x01": (lzma.FILTER_ARM, bcj.ARMDecoder),
    b"\x03\x03\x07\x01": (lzma.FILTER_ARMTHUMB, bcj.ARMTDecoder),
    b"\x03\x03\x08\x05": (lzma.FILTER_SPARC, bcj.SparcDecoder),
}


def check_header(file: IO[bytes]) -> None:
    """Check an archive's header before py7zr reads it, because py7zr's own limits allow gigabytes.

    Raises RefusedError if the header is large or compressed with a method that no tool uses for it. Raises
    PasswordRequired if it is encrypted, and one of DAMAGED or an error of py7zr if it is damaged.
    """
    file.seek(0)
    signature, position, size = _START.unpack(file.read(_START.size))
    if signature != py7zr.properties.MAGIC_7Z:
        return  # py7zr says so
    _check_header_size(size)
    file.seek(_START.size + position)
    header = io.BytesIO(file.read(size))
    if header.read(1) != _ENCODED_HEADER:
        return
    folders = HeaderStreamsInfo.retrieve(header).unpackinfo.folders
    coders = [coder for folder in folders for coder in folder.coders]
    if any(coder["method"] == _AES for coder in coders):
        raise PasswordRequired(coders, "the header is encrypted")
    for coder in coders:
        if coder["method"] not in (_COPY, _LZMA, _LZMA2):
            raise _unsupported(coder["method"])
    _check_header_size(sum(size for folder in folders for size in folder.unpacksizes))


def _check_header_size(size: int) -> None:
    if size > _MOST_HEADER:
        raise RefusedError(
            f"its list of members has {size:,} bytes, but that of a dump has less than {_MOST_HEADER >> 10} KB"
        )


def unpack(
    file: IO[bytes],
    archive: py7zr.SevenZipFile,
    names: frozenset[str],
    put: Put,
    skipped: Callable[[float], None],
) -> None:
    """Pass the name and the bytes of each member in `names` to `put`, in the archive's order.

    Members before them in the same folder are decompressed too. `skipped` is called with the sizes of their pieces.

    Raises RefusedError for a method that is not supported. Raises one of DAMAGED, ArithmeticError, LookupError or
    TypeError if the data is damaged.
    """
    for folder, members in _needed(archive, names):
        pieces = _Bytes(_decoded(file, archive, folder)) if members and folder is not None else None
        for member in members:
            is_wanted = member.filename in names
            if is_wanted:
                put(member.filename)
            if pieces is None:
                continue
            checksum = 0
            for piece in pieces.take(member.uncompressed):
                checksum = zlib.crc32(piece, checksum)
                if is_wanted:
                    put(piece)
                else:
                    skipped(len(piece))
            if member.crc32 is not None and checksum != member.crc32:
                raise ValueError(f"the checksum of {member.filename} differs")


def unpacked_size(archive: py7zr.SevenZipFile, names: frozenset[str]) -> int:
    """Return how many bytes `unpack` decompresses, as the archive declares it."""
    return sum(int(member.uncompressed) for _, members in _needed(archive, names) for member in members)


def _needed(archive: py7zr.SevenZipFile, names: frozenset[str]) -> Iterator[tuple[Any, list[Any]]]:
    """Yield each folder and its members up to the last one in `names`. The bytes of later ones are not needed."""
    for folder, group in itertools.groupby(archive.files, key=lambda member: member.folder):
        members = list(group)
        while members and members[-1].filename not in names:
            members.pop()
        yield folder, members


class _Bytes:
    """Divide pieces among members. A declared size only decides where a member ends."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = b""

    def take(self, size: int) -> Iterator[bytes]:
        """Yield the next `size` bytes. Raises EOFError if there are fewer."""
        while size > 0:
            piece = self._rest or next(self._pieces, b"")
            if not piece:
                raise EOFError("the data is cut off")
            taken, self._rest = piece[:size], piece[size:]
            size -= len(taken)
            yield taken


def _decoded(file: IO[bytes], archive: py7zr.SevenZipFile, folder: Any) -> Iterator[bytes]:
    streams = archive.header.main_streams
    index = next(number for number, one in enumerate(streams.unpackinfo.folders) if one is folder)
    before = sum(len(one.packed_indices) for one in streams.unpackinfo.folders[:index])
    packed = streams.packinfo
    start = archive.afterheader + packed.packpos + packed.packpositions[before]
    pieces = _read(file, start, packed.packsizes[before])
    coders = _in_order(folder)
    if sum(coder["method"] in (_LZMA, _LZMA2, *_METHODS) for coder, _ in coders) > 1:  # each one takes memory
        raise RefusedError("several methods of compression, one after the other, are not supported")
    while coders:
        (coder, size), *coders = coders
        method, properties = coder["method"], coder["properties"] or b""
        if method in (_LZMA, _LZMA2):
            filters = [_lzma_filter(method, properties)]
            # With LZMA, liblzma would keep back the last bytes of these filters, because it does not see the end.
            while coders and (native := _native_filter(coders[0][0], is_last_byte_seen=method == _LZMA2)):
                filters.insert(0, native)
                coders.pop(0)
            pieces = decompress(_lzma_maker(filters), pieces)
        elif method in _METHODS:
            pieces = decompress(_maker(_METHODS[method], properties), pieces)
        elif method in _FILTERS:
            pieces = _filtered(_FILTERS[method][1](size), pieces)
        elif method != _COPY:
            raise _unsupported(method)
    return pieces


def _in_order(folder: Any) -> list[tuple[dict[str, Any], int]]:
    """Return each coder and the size of its output, beginning with the one that reads the packed stream."""
    if len(folder.packed_indices) != 1 or any(
        (one["numinstreams"], one["numoutstreams"]) != (1, 1) for one in folder.coders
    ):
        raise RefusedError("the method BCJ2 is not supported")
    after = {bond.outcoder: bond.incoder for bond in folder.bindpairs}
    number: int | None = folder.packed_indices[0]
    order: list[tuple[dict[str, Any], int]] = []
    while number is not None and len(order) < len(folder.coders):
        order.append((folder.coders[number], folder.unpacksizes[number]))
        number = after.get(number)
    return order


def _lzma_filter(method: bytes, properties: bytes) -> dict[str, int]:
    if method == _LZMA2:
        bits = properties[0]
        size = (2 | bits & 1) << (bits // 2 + 11)
        check_memory("LZMA2", size)
        return {"id": lzma.FILTER_LZMA2, "dict_size": size}
    packed, size = struct.unpack("<BL", properties[:5])
    check_memory("LZMA", size)
    lc, lp, pb = packed % 9, packed // 9 % 5, packed // 45
    return {"id": lzma.FILTER_LZMA1, "dict_size": max(size, 4096), "lc": lc, "lp": lp, "pb": pb}


def _native_filter(coder: dict[str, Any], *, is_last_byte_seen: bool) -> dict[str, int] | None:
    if coder["method"] == _DELTA:
        return {"id": lzma.FILTER_DELTA, "dist": coder["properties"][0] + 1}
    if coder["method"] in _FILTERS and is_last_byte_seen:
        return {"id": _FILTERS[coder["method"]][0]}
    return None


def _lzma_maker(filters: list[dict[str, int]]) -> Callable[[], Decoder]:
    return lambda: lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=filters)


def _maker(make: Callable[[bytes], Decoder], properties: bytes) -> Callable[[], Decoder]:
    return lambda: make(properties)


def _filtered(decoder: Any, pieces: Iterator[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        if filtered := bytes(decoder.decode(piece)):
            yield filtered


def _read(file: IO[bytes], position: int, size: int) -> Iterator[bytes]:
    while size > 0:
        file.seek(position)  # the next folder may have moved the position
        piece = file.read(min(size, _READ))
        if not piece:
            return
        position += len(piece)
        size -= len(piece)
        yield piece


def _unsupported(method: bytes) -> RefusedError:
    return RefusedError(f"the method {'PPMd' if method == _PPMD else method.hex()} is not supported")
