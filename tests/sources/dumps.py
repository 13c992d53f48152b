"""Small invented dumps: rows as Stack Exchange writes them, in a file, a folder or a 7z."""

from collections.abc import Iterable
from pathlib import Path
from xml.sax.saxutils import quoteattr

import py7zr

ESCAPES = {"\n": "&#xA;", "\r": "&#xD;"}


def row(**attributes: object) -> str:
    """``<row Id="1" … />`` with what an attribute must not hold escaped."""
    text = "".join(f" {name}={quoteattr(str(value), ESCAPES)}" for name, value in attributes.items())
    return f"  <row{text} />"


def question(number: int, tags: str = "<python>", **more: object) -> str:
    accepted = {"AcceptedAnswerId": more.pop("AcceptedAnswerId")} if "AcceptedAnswerId" in more else {}
    return row(
        Id=number,
        PostTypeId=1,
        **accepted,
        CreationDate="2020-05-01T10:00:00.000",
        Score=3,
        Body=f"<p>How does {number} work?</p>\n",
        Title=f"Question {number}",
        Tags=tags,
        **more,
    )


def answer(number: int, parent: int, **more: object) -> str:
    return row(
        Id=number,
        PostTypeId=2,
        ParentId=parent,
        CreationDate="2020-05-02T10:00:00.000",
        Score=1,
        Body=f"<p>Like {number}, with <code>a &lt; b</code></p>\n",
        **more,
    )


def document(rows: Iterable[str], root: str = "posts", newline: str = "\n", bom: bool = False) -> bytes:
    lines = ['<?xml version="1.0" encoding="utf-8"?>', f"<{root}>", *rows, f"</{root}>"]
    return (b"\xef\xbb\xbf" if bom else b"") + newline.join(lines).encode()


def posts_file(folder: Path, *rows: str, name: str = "Posts.xml") -> Path:
    path = folder / name
    path.write_bytes(document(rows))
    return path


def archive(path: Path, **members: bytes) -> Path:
    """A 7z with members such as ``Posts=b'…'`` as ``Posts.xml``."""
    with py7zr.SevenZipFile(path, "w") as file:
        for name, content in members.items():
            file.writestr(content, f"{name}.xml")
    return path
