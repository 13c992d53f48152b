"""Every method of compression that 7z files come with: the same bytes, in little memory."""

import io
import random
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import py7zr
import pytest
from py7zr import properties as method

from tests.sources.dumps import document, question
from tuning.errors import TuningError
from tuning.sources.archive import archive_sizes, read_archive
from tuning.sources.reading import decoders
from tuning.sources.reading.decoders import PIECE

LZMA, LZMA2 = ({"id": one, "preset": 1} for one in (method.FILTER_LZMA, method.FILTER_LZMA2))
X86, DELTA = {"id": method.FILTER_X86}, {"id": method.FILTER_DELTA, "dist": 4}
PPMD = {"id": method.FILTER_PPMD, "order": 6, "mem": 24}
METHODS = {
    "LZMA2": [LZMA2],
    "LZMA": [LZMA],
    "LZMA2 for programs": [X86, LZMA2],
    "LZMA for programs": [X86, LZMA],
    "LZMA2 for ARM": [{"id": method.FILTER_ARM}, LZMA2],
    "LZMA2 of differences": [DELTA, LZMA2],
    "LZMA of differences": [DELTA, LZMA],
    "bzip2": [{"id": method.FILTER_BZIP2}],
    "bzip2 for programs": [X86, {"id": method.FILTER_BZIP2}],
    "Deflate": [{"id": method.FILTER_DEFLATE}],
    "Deflate64": [{"id": method.FILTER_DEFLATE64}],
    "Zstandard": [{"id": method.FILTER_ZSTD, "level": 3}],
    "Brotli": [{"id": method.FILTER_BROTLI, "level": 1}],
    "none": [{"id": method.FILTER_COPY}],
}


def packed(path: Path, filters: list[dict[str, int]], **members: bytes) -> Path:
    with py7zr.SevenZipFile(path, "w", filters=filters) as file:
        for name, content in members.items():
            file.writef(io.BytesIO(content), f"{name}.xml")
    return path


def unpacked(path: Path, *names: str) -> dict[str, bytes]:
    return {name: b"".join(pieces) for name, pieces in read_archive(path, frozenset(f"{one}.xml" for one in names))}


@pytest.mark.parametrize("filters", METHODS.values(), ids=METHODS.keys())
def test_members_come_out_as_they_went_in(tmp_path: Path, filters: list[dict[str, int]]) -> None:
    posts = document([question(number, Note=random.Random(number).randbytes(90).hex()) for number in range(1000)])  # noqa: S311
    users = b"<users></users>"
    path = packed(tmp_path / "a.7z", filters, Comments=b"skipped" * 9999, Posts=posts, Users=users, Tags=b"not needed")
    assert unpacked(path, "Posts", "Users") == {"Posts.xml": posts, "Users.xml": users}
    assert archive_sizes(path)["Posts.xml"] == len(posts)


@pytest.mark.parametrize("name", ["LZMA2", "LZMA for programs", "bzip2", "Deflate", "Zstandard", "Brotli", "none"])
def test_an_archive_that_expands_a_thousand_times_needs_little_memory(tmp_path: Path, name: str) -> None:
    size = 48 << 20
    path = packed(tmp_path / "a.7z", METHODS[name], Posts=bytes(size))
    tracemalloc.start()
    try:
        sizes = [len(piece) for _, pieces in read_archive(path, frozenset({"Posts.xml"})) for piece in pieces]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert sum(sizes) == size
    assert max(sizes) <= 2 * PIECE  # Brotli's library takes its limit for about this much
    assert peak < size // 2  # mostly the pieces in the queue


@pytest.mark.parametrize(("filters", "message"), [([LZMA2], "LZMA2 needs"), ([LZMA], "LZMA needs")])
def test_a_method_that_needs_too_much_memory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, filters: list[dict[str, int]], message: str
) -> None:
    path = packed(tmp_path / "a.7z", filters, Posts=b"<posts />")
    monkeypatch.setattr(decoders, "MOST_MEMORY", 512 << 10)
    with pytest.raises(TuningError, match=rf"a\.7z cannot be unpacked here: {message} \d+ MB .* Unpack it with 7-Zip"):
        unpacked(path, "Posts")


def test_ppmd_is_refused(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.7z", [PPMD], Posts=b"<posts />")
    with pytest.raises(TuningError, match=r"the method PPMd is not supported\. Unpack it with 7-Zip"):
        unpacked(path, "Posts")


@pytest.mark.parametrize("header_encryption", [True, False])
def test_a_password_is_named_as_the_reason(tmp_path: Path, header_encryption: bool) -> None:
    path = tmp_path / "a.7z"
    with py7zr.SevenZipFile(path, "w", password="secret", header_encryption=header_encryption) as file:
        file.writestr(b"<posts />", "Posts.xml")
    with pytest.raises(TuningError, match=r"a\.7z is protected with a password\. Unpack it with 7-Zip"):
        archive_sizes(path)


def test_a_name_that_occurs_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.7z"
    with py7zr.SevenZipFile(path, "w") as file:
        for content in (b"<posts />", b"<posts></posts>"):
            file.writestr(content, "Posts.xml")
    with pytest.raises(TuningError, match=r"a\.7z contains 'Posts\.xml' twice"):
        archive_sizes(path)


def test_damage_anywhere_is_one_line(tmp_path: Path) -> None:
    whole = packed(tmp_path / "a.7z", [LZMA2], Posts=document([question(1)]), Users=b"<users />").read_bytes()
    chance = random.Random(3)  # noqa: S311
    outcomes = set()
    for _ in range(200):
        content = bytearray(whole)
        content[chance.randrange(6, len(content))] ^= 1 << chance.randrange(8)
        (tmp_path / "damaged.7z").write_bytes(content)
        outcomes.add(_outcome(lambda: unpacked(tmp_path / "damaged.7z", *archive_sizes(tmp_path / "damaged.7z"))))
    assert outcomes <= {"read", "TuningError"}
    assert "TuningError" in outcomes


def _outcome(read: Callable[[], object]) -> str:
    try:
        read()
    except Exception as error:  # any other than TuningError is what the test looks for
        return type(error).__name__
    return "read"


@pytest.mark.parametrize("filters", METHODS.values(), ids=METHODS.keys())
def test_damaged_data_of_any_method_is_one_line(tmp_path: Path, filters: list[dict[str, int]]) -> None:
    posts = document([question(number, Note=random.Random(number).randbytes(90).hex()) for number in range(200)])  # noqa: S311
    whole = packed(tmp_path / "a.7z", filters, Posts=posts).read_bytes()
    end = 32 + int.from_bytes(whole[12:20], "little")  # the data is between the first 32 bytes and the header
    chance = random.Random(3)  # noqa: S311
    for _ in range(20):
        content = bytearray(whole)
        content[chance.randrange(32, end - 99)] ^= 1 << chance.randrange(8)
        (tmp_path / "damaged.7z").write_bytes(content)
        assert _outcome(lambda: unpacked(tmp_path / "damaged.7z", "Posts")) == "TuningError"
