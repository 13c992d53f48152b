"""Write and read the JSON files of a home.

A file that is missing, damaged or of a newer version of the project gives one line: the file, and what to do. Each file
names the version of its format. Files that earlier versions of the project wrote name none and have version 1.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from tuning.errors import TuningError
from tuning.paths import LARGEST, read_whole, refuse_pipe
from tuning.storage import Readable, json_bytes, write_bytes

FORMAT_VERSION = 1  # increase it when this version of the project writes files that earlier versions misread
_KEY = "format_version"
Kind = TypeVar("Kind")


def without_version(content: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return the content of a file without the version of its format."""
    return None if content is None else {name: value for name, value in content.items() if name != _KEY}


class _Head(msgspec.Struct):
    format_version: int = 1


def write_record(path: Path, value: object) -> None:
    """Write a struct or a dictionary as a JSON object, with the version of the format."""
    write_bytes(path, record_bytes(value))


def record_bytes(value: object) -> bytes:
    """Return what `write_record` writes."""
    return json_bytes({_KEY: FORMAT_VERSION, **msgspec.to_builtins(value)})


def encode_record(value: object) -> bytes:
    """Return a struct as a JSON object on one line, with the version of the format."""
    return msgspec.json.encode({_KEY: FORMAT_VERSION, **msgspec.to_builtins(value)}, order="deterministic")


def read_record(path: Path, kind: type[Kind], remedy: str) -> Kind:
    """Return the content of a JSON file.

    Raises TuningError if the file is missing, cannot be read, is damaged, or is of a newer version of the project.
    `remedy` says how to get the file again.
    """
    try:
        content = read_whole(path)
    except OSError as error:
        raise unreadable(path, error, remedy) from None
    return decode_record(content, kind, str(path), remedy)


def decode_record(content: bytes, kind: type[Kind], where: str, remedy: str) -> Kind:
    """Return the value of a JSON text that was read from `where`. Raises TuningError as `read_record` does."""
    try:
        with contextlib.suppress(msgspec.ValidationError):  # it has no version
            version = msgspec.json.decode(content, type=_Head).format_version
            if version > FORMAT_VERSION:
                raise TuningError(
                    f"{where} was written by a newer version of this project (format {version}, and this version reads "
                    f"formats up to {FORMAT_VERSION})",
                    "Update the project, or set TUNING_HOME to another folder",
                )
        return msgspec.json.decode(content, type=kind, dec_hook=_as_path)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, TypeError) as error:
        reason = str(error) if content.strip() else "it is empty"
        raise TuningError(f"{where} is damaged ({reason})", remedy) from None


def _as_path(wanted: type, value: Any) -> Any:
    return Path(value) if wanted is Path else value


def read_lines(source: Readable, kind: type[Kind], remedy: str) -> Iterator[Kind]:
    """Yield the value of each line of a JSON Lines file.

    Raises TuningError with the number of the line if one is damaged, and as `read_record` does if the file is missing
    or cannot be read.
    """
    decoder = msgspec.json.Decoder(kind)
    for number, line in numbered_lines(source, remedy):
        try:
            value = decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise TuningError(f"line {number} of {source} is damaged ({error})", remedy) from None
        yield value


def numbered_lines(source: Readable, remedy: str) -> Iterator[tuple[int, bytes]]:
    """Yield the lines of a file with their numbers, from 1. Raises TuningError if the file cannot be read."""
    with contextlib.ExitStack() as stack:
        try:
            if isinstance(source, Path):
                refuse_pipe(source)
            file = stack.enter_context(source.open("rb"))
        except OSError as error:
            raise unreadable(source, error, remedy) from None
        yield from enumerate(iter(lambda: file.readline(LARGEST), b""), start=1)  # a longer line is damaged


def unreadable(source: object, error: OSError, remedy: str) -> TuningError:
    """Return the line for a file that cannot be read. `remedy` says how to get it again."""
    if isinstance(error, FileNotFoundError):
        return TuningError(f"{source} is missing", remedy)
    if isinstance(error, PermissionError):
        return TuningError(f"you may not read {source}", "Change its permissions, or those of its folder")
    return TuningError(f"{source} cannot be read ({error.strerror})", remedy)
