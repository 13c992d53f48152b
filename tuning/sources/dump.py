"""Read a Stack Exchange dump as byte streams. A dump is a ``Posts.xml``, a folder or a ``.7z`` archive."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tuning.errors import TuningError
from tuning.sources.archive import archive_sizes, read_archive
from tuning.sources.rows import BLOCK
from tuning.sources.sites import Site, site_of_file

# The files to read: the file name without its extension, in lower case, and the table that it is loaded into (posts are
# loaded into two tables). The file name is also the name of the XML's root element.
PARTS = {"posts": "posts", "users": "users", "postlinks": "post_links"}
# "Posts.xml", or "stackoverflow.com-Posts.7z": the largest site is published as one archive for each table.
_PART_FILE = re.compile(r"(?:.+-)?(posts|users|postlinks)\.(xml|7z)", re.IGNORECASE)


@dataclass(frozen=True)
class Part:
    """Represent one XML file of a dump. `kind` is a key of PARTS. Read all its chunks before the next part."""

    kind: str
    name: str
    chunks: Iterator[bytes]

    def read(self, advance: Callable[[float], None]) -> Iterator[bytes]:
        """Yield the chunks. Before each one, call `advance` with its size in bytes."""
        for chunk in self.chunks:
            advance(len(chunk))
            yield chunk


@dataclass(frozen=True)
class Dump:
    """Describe a dump before it is read. `size` is in bytes of XML. `kinds` are the keys of PARTS that it contains."""

    path: Path
    files: tuple[Path, ...]
    size: int
    kinds: frozenset[str]
    site: Site | None  # from the name of the file or folder

    def parts(self) -> Iterator[Part]:
        """Yield the XML files of the dump. Raises TuningError if an archive cannot be read."""
        for file in self.files:
            if _is_xml(file):
                yield Part(_kind(file.name), file.name, _read_file(file))
            else:
                for name, chunks in read_archive(file, frozenset(_members(file))):
                    yield Part(_kind(name), name, chunks)


def open_dump(path: Path) -> Dump:
    """Check what `path` contains. Raises TuningError if it is not one dump with posts."""
    if not path.exists():
        raise TuningError(f"{path} does not exist", "Give a Posts.xml, a folder with one, or a .7z archive of a dump")
    files = _files_of_folder(path) if path.is_dir() else (path,)
    size = 0
    kinds: list[str] = []
    for file in files:
        members = {file.name: file.stat().st_size} if _is_xml(file) else _members(file)
        kinds += map(_kind, members)
        size += sum(members.values())
    twice = next((kind for kind in kinds if kinds.count(kind) > 1), None)
    if twice:
        raise TuningError(f"{path} has more than one file of {twice}", "Keep the files of only one dump in it")
    if "posts" not in kinds:
        raise TuningError(f"{path} has no Posts.xml", "Give a Posts.xml, a folder with one, or a .7z archive of a dump")
    site = site_of_file(path.name) or (None if path.is_dir() else site_of_file(path.absolute().parent.name))
    return Dump(path, files, size, frozenset(kinds), site)


def _files_of_folder(folder: Path) -> tuple[Path, ...]:
    return tuple(sorted(file for file in folder.iterdir() if file.is_file() and _PART_FILE.fullmatch(file.name)))


def _members(archive: Path) -> dict[str, int]:
    """Return the sizes in bytes of the archive members to read, by name."""
    return {
        name: size
        for name, size in archive_sizes(archive).items()
        if _PART_FILE.fullmatch(name) and name.lower().endswith(".xml")
    }


def _is_xml(file: Path) -> bool:
    return file.suffix.lower() == ".xml"


def _kind(name: str) -> str:
    match = _PART_FILE.fullmatch(name)
    return match[1].lower() if match else "posts"  # an XML file with another name is read as posts; rows.py checks it


def _read_file(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(BLOCK):
            yield chunk
