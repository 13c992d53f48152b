"""Read the blocks of code of the real pairs, and draw some of them by the hash of their key.

Keys are `ARCHIVE/POST/OFFSET`. POST is the post's id; where the source has none, it is the question's id and `question`
or `answer`. OFFSET is the position of `<pre` in the HTML of the post.
"""

import hashlib
import json
import re
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from html import unescape
from pathlib import Path

import py7zr
from lxml import etree

DUMP, PAIRS = "stackoverflow-python-bodies.7z", "real-python-pairs.7z"
_PRE = re.compile(r"<pre\b[^>]*>(.*?)</pre>", re.DOTALL | re.IGNORECASE)
_MARKUP = re.compile(r"<[^>]*>")


@dataclass(frozen=True)
class Block:
    """Hold one block of a post. `html` is the whole post."""

    key: str
    html: str
    start: int
    text: str

    @property
    def before(self) -> str:
        """Return up to 200 characters of the post's text before the block."""
        return _plain(self.html[: self.start])[-200:]


def read_posts(data: Path) -> Iterator[tuple[str, str]]:
    """Yield the key and the HTML of each question and accepted answer."""
    with tempfile.TemporaryDirectory() as folder:
        for archive, member in ((DUMP, "Posts.xml"), (PAIRS, "real-pairs/posts.jsonl")):
            with py7zr.SevenZipFile(data / archive) as packed:
                packed.extract(path=folder, targets=[member])
            posts = _dump_posts if archive == DUMP else _listed_posts
            for post, html in posts(Path(folder) / member):
                yield f"{archive}/{post}", html


def blocks_of(key: str, html: str) -> Iterator[Block]:
    """Yield the blocks of a post."""
    for found in _PRE.finditer(html):
        yield Block(f"{key}/{found.start()}", html, found.start(), _plain(found[1]).strip("\n"))


def draw(blocks: Iterable[Block], number: int, salt: str) -> list[Block]:
    """Return the blocks with the smallest salted hashes, in the order of the hashes."""
    return sorted(blocks, key=lambda block: hashlib.sha256(f"{salt}/{block.key}".encode()).digest())[:number]


def _dump_posts(path: Path) -> Iterator[tuple[str, str]]:
    bodies: dict[str, str] = {}
    accepted: dict[str, str] = {}
    for _, row in etree.iterparse(str(path), tag="row"):
        bodies[row.get("Id")] = row.get("Body") or ""
        if row.get("AcceptedAnswerId"):
            accepted[row.get("Id")] = row.get("AcceptedAnswerId")
        row.clear()
    for question, answer in accepted.items():
        if answer in bodies:
            yield question, bodies[question]
            yield answer, bodies[answer]


def _listed_posts(path: Path) -> Iterator[tuple[str, str]]:
    for line in path.read_text(encoding="utf-8").splitlines():
        post = json.loads(line)
        if post.get("BodyFormat", "HTML") == "HTML":
            kind = "question" if post["PostTypeId"] == 1 else "answer"
            site = post["Site"] + "-" if post.get("Site", "stackoverflow.com") != "stackoverflow.com" else ""
            yield f"{site}{post.get('ParentId') or post['Id']}-{kind}", post["Body"]


def _plain(html: str) -> str:
    return unescape(_MARKUP.sub("", html))
