"""Read a Stack Exchange dump as byte streams. A dump is a ``Posts.xml``, a folder or a ``.7z`` archive.

Each file of a dump can be compressed, and an archive can be split into parts.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tuning.errors import TuningError
from tuning.sources.archive import archive_sizes, bytes_to_unpack, read_archive
from tuning.sources.reading.compressed import SEVEN_ZIP, form_of, read_file
from tuning.sources.reading.encoding import as_utf8
from tuning.sources.reading.volumes import whole_name
from tuning.sources.sites import Site, site_of_file

# The files to read: the file name without its extension, in lower case, and the table that it is loaded into (posts are
# loaded into two tables). The file name is also the name of the XML's root element.
PARTS = {"posts": "posts", "users": "users", "postlinks": "post_links"}
# "Posts.xml", or "stackoverflow.com-Posts.7z": the largest site is published as one archive for each table.
_PART_FILE = re.compile(
    r"(?P<dump>.+-)?(?P<kind>posts|users|postlinks)(?P<ending>(\.xml)?\.(xml|7z|7z\.\d{3,}|gz|bz2|zst|xz))",
    re.IGNORECASE,
)
_HINT = "Give a Posts.xml, a folder with one, or a .7z archive of a dump"


@dataclass(frozen=True)
class Part:
    """Represent one XML file of a dump. `kind` is a key of PARTS.

    The chunks are UTF-8, whatever the file's encoding. Read all of them before the next part.
    """

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
    """Describe a dump before it is read. `kinds` are the keys of PARTS that it contains."""

    path: Path
    files: tuple[Path, ...]  # of a split archive, one part; without `path`, if that is a folder
    size: int | None  # bytes to decompress or read, as the files declare it, or None if a file does not
    kinds: frozenset[str]
    site: Site | None  # from the name of the file or folder

    def parts(self, skipped: Callable[[float], None] = lambda _: None) -> Iterator[Part]:
        """Yield the XML files of the dump. Raises TuningError if an archive cannot be read.

        `skipped` is called, in another thread, with sizes of bytes that were decompressed and are not needed.
        """
        for file in self.files:
            if _is_archive(file):
                for name, chunks in read_archive(file, frozenset(_members(file)), skipped):
                    yield Part(_kind(name), name, as_utf8(chunks, name))
            else:
                yield Part(_kind(file.name), file.name, as_utf8(read_file(file), file.name))


def open_dump(path: Path) -> Dump:
    """Check what `path` contains. A single file is completed by the users and post links of the same dump beside it.

    Raises TuningError if it is not one dump with posts.
    """
    if not path.exists() and (first := path.with_name(f"{path.name}.001")).exists():
        path = first
    if not path.exists():
        raise TuningError(f"{path} does not exist", _HINT)
    if not path.is_dir() and not path.is_file():
        raise TuningError(f"{path} is a pipe or device, not a file or folder", "Give a file. It can be compressed")
    files = _files_of_folder(path) if path.is_dir() else (path,)
    contents = {file: _members(file) for file in files}
    if path.is_file():
        kinds = {_kind(name) for name in contents[path]}
        contents |= {file: _members(file) for file in _siblings(path, PARTS.keys() - kinds)}
    names = [name for members in contents.values() for name in members]
    for kind in PARTS:
        same = [file.name for file, members in contents.items() for name in members if _kind(name) == kind]
        if len(same) > 1:
            raise TuningError(f"{path} has more than one file of {kind}: {', '.join(same)}", "Keep only one of them")
    kinds = {_kind(name) for name in names}
    if "posts" not in kinds:
        raise TuningError(f"{path} has no Posts.xml", _HINT)
    sizes = [_size(file, members) for file, members in contents.items()]
    size = None if None in sizes else sum(size or 0 for size in sizes)
    return Dump(path, tuple(contents), size, frozenset(kinds), _site(path, tuple(contents)))


def how_to_add(dump: Dump, name: str) -> str:
    """Return what to do so that a file such as ``Users.xml``, which `dump` lacks, is read with it."""
    if dump.path.is_dir():
        return f"put the site's {name} into the folder {dump.path.name}"
    if own := _PART_FILE.fullmatch(dump.path.name):
        return f"put {own['dump'] or ''}{name} beside {dump.path.name}"
    return f"put the site's {name} and the posts, as Posts.xml, into one folder, and give the folder"


def _files_of_folder(folder: Path) -> tuple[Path, ...]:
    """Return the files to read. Raises TuningError if their names say that they are of two dumps."""
    files = _part_files(folder)
    dumps = {match["dump"].lower(): file.name for file, match in files if match["dump"]}
    if len(dumps) > 1:
        raise TuningError(
            f"{folder} has files of more than one dump: {', '.join(sorted(dumps.values()))}",
            "Keep the files of only one dump in it, or give the file with the posts",
        )
    return tuple(file for file, _ in files)


def _siblings(path: Path, kinds: set[str]) -> tuple[Path, ...]:
    """Return the files of `kinds` beside `path` whose names have the same beginning, so that they are of its dump.

    If there are several of a kind, the one with the ending of `path` is chosen, or else the first one by name.
    """
    own = _PART_FILE.fullmatch(path.name)
    if own is None or own["kind"].lower() != "posts":
        return ()
    ending = whole_name(own["ending"]).lower()
    chosen: dict[str, Path] = {}
    for file, match in sorted(_part_files(path.parent), key=lambda one: whole_name(one[1]["ending"]).lower() != ending):
        if (match["dump"] or "").lower() == (own["dump"] or "").lower() and match["kind"].lower() in kinds:
            chosen.setdefault(match["kind"].lower(), file)
    return tuple(chosen[kind] for kind in PARTS if kind in chosen)


def _part_files(folder: Path) -> list[tuple[Path, re.Match[str]]]:
    """Return the files whose names are those of a dump's files, by name, with the parts of their names.

    Of a split archive, only the first part is returned.
    """
    found: dict[str, tuple[Path, re.Match[str]]] = {}
    try:
        files = sorted(folder.iterdir())
    except OSError as error:
        raise TuningError(
            f"{folder} cannot be read ({error.strerror})", "Check the permissions of the folder"
        ) from None
    for file in files:
        match = _PART_FILE.fullmatch(file.name)
        if match and file.is_file():
            found.setdefault(whole_name(file.name), (file, match))
    return list(found.values())


def _members(file: Path) -> dict[str, int | None]:
    """Return the XML files to read in a file, with their declared sizes in bytes, or None without a declaration."""
    if _is_archive(file):
        return {name: size for name, size in archive_sizes(file).items() if _is_part_xml(name)}
    return {file.name: None if form_of(file) else file.stat().st_size}


def _size(file: Path, members: dict[str, int | None]) -> int | None:
    return bytes_to_unpack(file, frozenset(members)) if _is_archive(file) else members[file.name]


def _is_archive(file: Path) -> bool:
    return whole_name(file.name) != file.name or form_of(file) == SEVEN_ZIP or file.suffix.lower() == ".7z"


def _is_part_xml(name: str) -> bool:
    match = _PART_FILE.fullmatch(name)
    return match is not None and match["ending"].lower() == ".xml"


def _kind(name: str) -> str:
    match = _PART_FILE.fullmatch(name)
    return match["kind"].lower() if match else "posts"  # a file with another name is read as posts; rows.py checks it


def _site(path: Path, files: Sequence[Path]) -> Site | None:
    """Return the site that the names of the dump's files, of `path` or of the folder around `path` state."""
    folder = path if path.is_dir() else path.absolute().parent
    names = [file.name for file in files if _kind(file.name) == "posts"]
    return next((site for name in (*names, path.name, folder.name) if (site := site_of_file(name))), None)
