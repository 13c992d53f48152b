"""Tables that are compressed one by one, and what their files can be like."""

import bz2
import gzip
import lzma
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from backports import zstd

from tuning.errors import TuningError
from tuning.sources.reading import decoders
from tuning.sources.reading.compressed import read_file

COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "zst": zstd.compress,
    "xz": lambda content: lzma.compress(content, preset=0),
}
CONTENT = b"<posts>\n" + b"".join(b'<row Id="%d" Body="%d" />\n' % (n, n**9) for n in range(9_000)) + b"</posts>"
HALF = len(CONTENT) // 2

each = pytest.mark.parametrize("ending", COMPRESS)


def read(path: Path, content: bytes) -> bytes:
    path.write_bytes(content)
    return b"".join(read_file(path))


@each
def test_a_compressed_file_is_read_as_its_content(tmp_path: Path, ending: str) -> None:
    assert read(tmp_path / f"Posts.xml.{ending}", COMPRESS[ending](CONTENT)) == CONTENT


@each
def test_the_first_bytes_decide_and_not_the_name(tmp_path: Path, ending: str) -> None:
    assert read(tmp_path / "Posts.xml", COMPRESS[ending](CONTENT)) == CONTENT
    assert read(tmp_path / f"Posts.xml.{ending}", CONTENT) == CONTENT


@each
def test_streams_in_a_row_are_one_file_and_zeros_at_the_end_are_nothing(tmp_path: Path, ending: str) -> None:
    streams = COMPRESS[ending](CONTENT[:HALF]) + COMPRESS[ending](CONTENT[HALF:])
    assert read(tmp_path / "two", streams) == CONTENT
    assert read(tmp_path / "padded", streams + bytes(1 << 20)) == CONTENT


@each
def test_many_tiny_streams_are_refused_because_each_takes_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    monkeypatch.setattr(decoders, "_MANY_STREAMS", 50)
    assert read(tmp_path / "large", COMPRESS[ending](bytes(999)) * 60) == bytes(999 * 60)
    for content in (b"", b"x"):
        with pytest.raises(TuningError, match="it has 51 streams with less than 100 bytes each"):
            read(tmp_path / "tiny", COMPRESS[ending](content) * 60)


def test_a_frame_to_skip_comes_first_as_pzstd_writes_it(tmp_path: Path) -> None:
    frame = b"\x50\x2a\x4d\x18\x04\x00\x00\x00size"
    assert read(tmp_path / "Posts.xml.zst", frame + zstd.compress(CONTENT)) == CONTENT


@each
@pytest.mark.parametrize("end", [-1, -9, 0.5, 20])
def test_a_file_that_is_cut_off_is_said_to_be(tmp_path: Path, ending: str, end: float) -> None:
    whole = COMPRESS[ending](CONTENT)
    with pytest.raises(TuningError, match=rf"Posts\.xml\.{ending} is cut off or damaged: .* Download the file again"):
        read(tmp_path / f"Posts.xml.{ending}", whole[: int(end * len(whole)) if end == 0.5 else int(end)])


@each
def test_other_bytes_after_the_end_are_said(tmp_path: Path, ending: str) -> None:
    with pytest.raises(TuningError, match="is cut off or damaged"):
        read(tmp_path / "Posts.xml", COMPRESS[ending](CONTENT) + b"and more of another kind")


@each
def test_a_file_that_expands_a_thousand_times_needs_little_memory(tmp_path: Path, ending: str) -> None:
    size = 32 << 20
    path = tmp_path / "Posts.xml"
    path.write_bytes(COMPRESS[ending](bytes(size)))
    tracemalloc.start()
    try:
        assert sum(map(len, read_file(path))) == size
        assert tracemalloc.get_traced_memory()[1] < size // 2
    finally:
        tracemalloc.stop()


def test_a_file_that_may_not_be_read_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(TuningError, match=r"Posts\.xml cannot be read \(Permission denied\)"):
        read_file(tmp_path / "Posts.xml")


def test_a_file_that_takes_too_much_memory_says_so(tmp_path: Path) -> None:
    content = bytearray(lzma.compress(CONTENT, preset=0))
    start, end = 12, 12 + (content[12] + 1) * 4 - 4  # the header of the block, without its checksum
    content[start + 4] = 36  # the size of the dictionary: 1 GB
    content[end : end + 4] = zlib.crc32(content[start:end]).to_bytes(4, "little")
    with pytest.raises(TuningError, match=r"Posts\.xml\.xz needs more than \d+ MB of memory.*smaller dictionary"):
        read(tmp_path / "Posts.xml.xz", bytes(content))
