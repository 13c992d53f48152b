"""Headers of 7z archives that py7zr would expand to gigabytes, or decode with a library that can end the process."""

import io
import lzma
import struct
import zlib
from pathlib import Path

import py7zr
import pytest
from backports import zstd
from py7zr.archiveinfo import write_uint64

from tuning.errors import TuningError
from tuning.sources.archive import archive_sizes, read_archive

LZMA, PPMD, ZSTD = b"\x03\x01\x01", b"\x03\x04\x01", b"\x04\xf7\x11\x01"
LZMA_FILTER = {"id": lzma.FILTER_LZMA1, "preset": 0, "dict_size": 1 << 20}
EMPTY = b"\x01\x00"  # a header without members


def number(value: int) -> bytes:
    buffer = io.BytesIO()
    write_uint64(buffer, value)
    return buffer.getvalue()


def archive(path: Path, packed: bytes, header: bytes) -> Path:
    start = struct.pack("<QQL", len(packed), len(header), zlib.crc32(header))
    path.write_bytes(b"7z\xbc\xaf\x27\x1c\0\4" + struct.pack("<L", zlib.crc32(start)) + start + packed + header)
    return path


def compressed_header(path: Path, method: bytes, properties: bytes, packed: bytes, size: int) -> Path:
    """An archive whose header is compressed, and declares `size` bytes."""
    coder = bytes([len(method) | 0x20]) + method + number(len(properties)) + properties
    pack_info = b"\x06" + number(0) + number(1) + b"\x09" + number(len(packed)) + b"\0"
    unpack_info = b"\x07\x0b" + number(1) + b"\0" + number(1) + coder + b"\x0c" + number(size) + b"\0"
    return archive(path, packed, b"\x17" + pack_info + unpack_info + b"\0")


def lzma_header(path: Path, header: bytes) -> Path:
    packed = lzma.compress(header, lzma.FORMAT_RAW, filters=[LZMA_FILTER])
    return compressed_header(path, LZMA, lzma._encode_filter_properties(LZMA_FILTER), packed, len(header))


def members(count: int) -> bytes:
    names = b"".join(f"{one}.xml".encode("utf-16le") + b"\0\0" for one in range(count))
    empty = b"\xff" * ((count + 7) // 8)
    name_property = b"\x11" + number(len(names) + 1) + b"\0" + names
    return b"\x01\x05" + number(count) + b"\x0e" + number(len(empty)) + empty + name_property + b"\0\0"


def test_a_header_with_some_hundred_members_is_read(tmp_path: Path) -> None:
    for path in (archive(tmp_path / "a.7z", b"", members(400)), lzma_header(tmp_path / "b.7z", members(400))):
        assert len(archive_sizes(path)) == 400


@pytest.mark.parametrize("count", [5_000, 100_000])
def test_a_long_list_of_members_is_refused_before_it_is_read(tmp_path: Path, count: int) -> None:
    for path in (archive(tmp_path / "a.7z", b"", members(count)), lzma_header(tmp_path / "b.7z", members(count))):
        with pytest.raises(TuningError, match=r"cannot be unpacked here: its list of members has [\d,]+ bytes.*16 KB"):
            archive_sizes(path)


def test_a_header_that_says_it_has_eight_million_members_is_refused(tmp_path: Path) -> None:
    path = lzma_header(tmp_path / "a.7z", b"\x01\x05" + number((1 << 23) - 1) + bytes(9 << 20))
    assert path.stat().st_size < 4_000
    with pytest.raises(TuningError, match="its list of members has"):
        archive_sizes(path)


def test_a_header_that_expands_further_than_it_declares_stays_small(tmp_path: Path) -> None:
    packed = lzma.compress(EMPTY + bytes(64 << 20), lzma.FORMAT_RAW, filters=[LZMA_FILTER])
    properties = lzma._encode_filter_properties(LZMA_FILTER)
    assert archive_sizes(compressed_header(tmp_path / "a.7z", LZMA, properties, packed, len(EMPTY))) == {}


def test_a_header_with_ppmd_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    path = compressed_header(tmp_path / "a.7z", PPMD, b"\x06\0\0\0\1", b"\xff" * 500, 1000)
    with pytest.raises(TuningError, match=r"a\.7z cannot be unpacked here: the method PPMd is not supported"):
        archive_sizes(path)


def test_a_header_with_a_method_that_no_tool_uses_for_it_is_refused(tmp_path: Path) -> None:
    path = compressed_header(tmp_path / "a.7z", ZSTD, b"\1\5\3\0\0", zstd.compress(EMPTY), len(EMPTY))
    with pytest.raises(TuningError, match="the method 04f71101 is not supported"):
        archive_sizes(path)


def test_methods_of_compression_one_after_the_other_are_refused(tmp_path: Path) -> None:
    """Each would take up to 256 MB of memory."""
    filters = [{"id": py7zr.FILTER_BZIP2}, {"id": py7zr.FILTER_ZSTD, "level": 3}]
    with py7zr.SevenZipFile(tmp_path / "a.7z", "w", filters=filters) as file:
        file.writestr(b"<posts />", "Posts.xml")
    with pytest.raises(TuningError, match="several methods of compression, one after the other, are not supported"):
        [b"".join(pieces) for _, pieces in read_archive(tmp_path / "a.7z", frozenset({"Posts.xml"}))]
