"""Real posts as plain text that does not depend on the Markdown converter, so that places in it stay valid.

Code blocks are between fences, inline code is between backticks, and links are `[text](address)`.
"""

import json
import tempfile
from collections.abc import Container, Iterator
from html.parser import HTMLParser
from pathlib import Path

import py7zr
from lxml import etree

BODIES, PAIRS = "stackoverflow-python-bodies", "real-python-pairs"
_BLOCKS = frozenset({"p", "div", "li", "br", "hr", "tr", "blockquote", *(f"h{level}" for level in range(1, 7))})


def read_posts(data: Path, keys: Container[str] | None = None) -> Iterator[tuple[str, str]]:
    """Yield the key and the plain text of each post, or of those with the given keys.

    A key is `archive/id`, for an answer without id `archive/id of the question/answer`.
    """
    for key, body in _bodies(data):
        if keys is None or key in keys:
            yield key, plain_text(body)


def _bodies(data: Path) -> Iterator[tuple[str, str]]:
    with tempfile.TemporaryDirectory() as folder:
        for archive in (BODIES, PAIRS):
            with py7zr.SevenZipFile(data / f"{archive}.7z") as packed:
                packed.extractall(folder)
        for _, row in etree.iterparse(str(Path(folder) / "Posts.xml"), tag="row"):
            if row.get("PostTypeId") in ("1", "2"):
                yield f"{BODIES}/{row.get('Id')}", row.get("Body") or ""
            row.clear()
        question = None
        with (Path(folder) / "real-pairs" / "posts.jsonl").open(encoding="utf-8") as lines:
            for line in lines:
                post = json.loads(line)
                is_answer = post["PostTypeId"] == 2
                yield f"{PAIRS}/{question}/answer" if is_answer else f"{PAIRS}/{post['Id']}", post["Body"]
                question = None if is_answer else post["Id"]


def plain_text(html: str) -> str:
    """Return the text of a body with its code and links marked."""
    reader = _Reader()
    reader.feed(html.replace("\r\n", "\n"))
    reader.close()
    return "".join(reader.pieces).strip()


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self.in_block = False
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "pre":
            self.in_block = True
            self.pieces.append("\n```\n")
        elif tag == "code" and not self.in_block:
            self.pieces.append("`")
        elif tag == "a":
            self.links.append(dict(attrs).get("href") or "")
            self.pieces.append("[")
        elif tag in _BLOCKS:
            self.pieces.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag == "pre":
            self.in_block = False
            self.pieces.append("" if self.pieces[-1].endswith("\n") else "\n")
            self.pieces.append("```\n")
        elif tag == "code" and not self.in_block:
            self.pieces.append("`")
        elif tag == "a" and self.links:
            self.pieces.append(f"]({self.links.pop()})")
        elif tag in _BLOCKS:
            self.pieces.append("\n")

    def handle_data(self, data: str) -> None:
        self.pieces.append(data)
