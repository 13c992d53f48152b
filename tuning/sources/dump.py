"""A Stack Exchange dump as people have it: ``Posts.xml``, a folder, or a ``.7z``; read as streams of bytes."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tuning.errors import TuningError
from tuning.sources.archive import archive_sizes, read_archive
from tuning.sources.rows import BLOCK
from tuning.sources.sites import Site, site_of_file

# What we read of a dump, by the file's name without its ending: the table it becomes and the XML's outer element.
PARTS = {"posts": "posts", "users": "users", "postlinks": "post_links"}
# "Posts.xml", or "stackoverflow.com-Posts.7z" as the largest site is handed out.
_PART_FILE = re.compile(r"(?:.+-)?(posts|users|postlinks)\.(xml|7z)", re.IGNORECASE)


@dataclass(frozen=True)
class Part:
    """One XML file of a dump. `kind` is a key of PARTS; `chunks` must be read to its end before the next part's."""

    kind: str
    name: str
    chunks: Iterator[bytes]

    def read(self, advance: Callable[[float], None]) -> Iterator[bytes]:
        """The chunks, saying of each how many bytes it had."""
        for chunk in self.chunks:
            advance(len(chunk))
            yield chunk


@dataclass(frozen=True)
class Dump:
    """A dump that was looked at but not read. `size` is in bytes of XML; `kinds` are the keys of PARTS that it has."""

    path: Path
    files: tuple[Path, ...]
    size: int
    kinds: frozenset[str]
    site: Site | None  # as the name of the file or folder says

    def parts(self) -> Iterator[Part]:
        for file in self.files:
            if _is_xml(file):
                yield Part(_kind(file.name), file.name, _read_file(file))
            else:
                for name, chunks in read_archive(file, frozenset(_members(file))):
                    yield Part(_kind(name), name, chunks)


def open_dump(path: Path) -> Dump:
    """Look at what `path` holds. Raises TuningError where it is no dump or has no posts."""
    if not path.exists():
        raise TuningError(f"{path} does not exist", "Give a Posts.xml, a folder with one, or a .7z of a dump")
    files = _files_of_folder(path) if path.is_dir() else (path,)
    size = 0
    kinds: list[str] = []
    for file in files:
        members = {file.name: file.stat().st_size} if _is_xml(file) else _members(file)
        kinds += map(_kind, members)
        size += sum(members.values())
    twice = next((kind for kind in kinds if kinds.count(kind) > 1), None)
    if twice:
        raise TuningError(f"{path} has more than one file of {twice}", "Leave one dump in it")
    if "posts" not in kinds:
        raise TuningError(f"{path} has no Posts.xml", "Give a Posts.xml, a folder with one, or a .7z of a dump")
    site = site_of_file(path.name) or (None if path.is_dir() else site_of_file(path.absolute().parent.name))
    return Dump(path, files, size, frozenset(kinds), site)


def _files_of_folder(folder: Path) -> tuple[Path, ...]:
    return tuple(sorted(file for file in folder.iterdir() if file.is_file() and _PART_FILE.fullmatch(file.name)))


def _members(archive: Path) -> dict[str, int]:
    """The archive's files that we read, with their sizes in bytes."""
    return {
        name: size
        for name, size in archive_sizes(archive).items()
        if _PART_FILE.fullmatch(name) and name.lower().endswith(".xml")
    }


def _is_xml(file: Path) -> bool:
    return file.suffix.lower() == ".xml"


def _kind(name: str) -> str:
    match = _PART_FILE.fullmatch(name)
    return match[1].lower() if match else "posts"  # a file named by the person is taken for posts: rows.py looks inside


def _read_file(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(BLOCK):
            yield chunk
