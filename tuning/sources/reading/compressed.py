"""Recognize and read files that are compressed with gzip, bzip2, Zstandard or xz."""

import lzma
from collections.abc import Callable, Iterator
from pathlib import Path

from tuning.errors import TuningError
from tuning.sources.reading.decoders import DAMAGED, MOST_MEMORY, Decoder, Inflater, bzip2, decompress, zstandard
from tuning.sources.reading.pipe import read_ahead

_READ = 1 << 18  # bytes of one read
SEVEN_ZIP = "7z"
# The first bytes of a file: https://en.wikipedia.org/wiki/List_of_file_signatures
_FORMS = {
    b"7z\xbc\xaf\x27\x1c": SEVEN_ZIP,
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\x50\x2a\x4d\x18": "zstd",  # as pzstd writes it: a frame to skip comes first
    b"\xfd7zXZ\x00": "xz",
}
_OTHERS = {b"PK\x03\x04": "ZIP archive", b"Rar!": "RAR archive", b"\x04\x22\x4d\x18": "LZ4 file"}
_DECODERS: dict[str, Callable[[], Decoder]] = {
    "gzip": lambda: Inflater(31),
    "bzip2": bzip2,
    "zstd": zstandard,
    "xz": lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MOST_MEMORY + (64 << 20)),
}


def form_of(path: Path) -> str:
    """Return how the file is compressed, by its first bytes: a key of the decoders, SEVEN_ZIP, or an empty string.

    Raises TuningError if the file cannot be read, or is of a form that no dump has.
    """
    try:
        with path.open("rb") as file:
            start = file.read(8)
    except OSError as error:
        raise TuningError(f"{path} cannot be read ({error.strerror})", "Check the file and its permissions") from None
    if other := next((form for magic, form in _OTHERS.items() if start.startswith(magic)), ""):
        raise TuningError(f"{path.name} is a {other}, not a dump", "Unpack it, and give the folder with its Posts.xml")
    return next((form for magic, form in _FORMS.items() if start.startswith(magic)), "")


def read_file(path: Path) -> Iterator[bytes]:
    """Yield the content of a file, decompressed if it is compressed. Raises TuningError if it is damaged."""
    form = form_of(path)
    return read_ahead(_decompressed(path, form)) if form in _DECODERS else _read(path)


def _decompressed(path: Path, form: str) -> Iterator[bytes]:
    try:
        yield from decompress(_DECODERS[form], _read(path))
    except DAMAGED as error:
        if "memory usage limit" in str(error).lower():
            raise TuningError(
                f"{path.name} needs more than {MOST_MEMORY >> 20} MB of memory to be read",
                "Compress it again with a smaller dictionary, for example with `xz -6`",
            ) from None
        raise TuningError(
            f"{path.name} is cut off or damaged: its {form} data cannot be read ({error})", "Download the file again"
        ) from None


def _read(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_READ):
            yield chunk
