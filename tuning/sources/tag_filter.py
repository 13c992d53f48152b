"""``--tag TEXT``: keep the rows of questions with such a tag and of their answers, before anything is parsed.

A look at a row's first bytes and at its tags decides; only what is kept is parsed as XML. Answers come after their
question save where questions were merged: an answer whose question has not come yet is set aside and looked at again at
the end.
"""

import re
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from pyroaring import BitMap64

from tuning.errors import TuningError
from tuning.sources.parse import READ, Counts, parse_rows, post_type_name
from tuning.sources.rows import BLOCK, plain_rows

OTHER_TAG = "of another tag"
_IN_MEMORY = 8 << 20  # bytes of answers set aside before they go to a file
# Finds each "<"; of a row as every dump writes it also the id, an answer's question or a question's accepted answer. A
# row that is written otherwise is parsed to find out.
_HEAD = re.compile(
    rb'<(?:row\s+Id="(\d{1,18})" PostTypeId="(?:2" ParentId="(\d{1,18})"|1"(?: AcceptedAnswerId="(\d{1,18})")? ))?'
)

Aside = tempfile.SpooledTemporaryFile[bytes]


class TagFilter:
    """Keeps what belongs to tags containing `text`; may spill to `folder`."""

    def __init__(self, text: str, folder: Path) -> None:
        self._text = checked_tag(text)
        self._raw_text = self._text.encode()
        self._folder = folder
        self._questions = BitMap64()  # all that came, kept or not
        self._kept = BitMap64()
        self._accepted = BitMap64()  # by the questions kept
        self._other_posts: Counts = Counter()
        self._left_out = {"posts_questions": 0, "posts_answers": 0}

    def counts(self) -> Counts:
        """What was left out so far."""
        by_tag = {(table, what): n for table, n in self._left_out.items() for what in (READ, OTHER_TAG)}
        return self._other_posts + Counter(by_tag)

    def keep(self, raw_blocks: Iterator[bytes], name: str) -> Iterator[bytes]:
        """Blocks of the rows to keep, in the file's order; those that had been set aside come last."""
        with tempfile.SpooledTemporaryFile(_IN_MEMORY, dir=str(self._folder)) as aside:
            kept: list[bytes] = []
            size = 0
            for block in raw_blocks:
                for row in self._keep_of(block, name, aside):
                    kept.append(row)
                    size += len(row)
                if size >= BLOCK:
                    yield b"".join(kept)
                    kept, size = [], 0
            if kept:
                yield b"".join(kept)
            yield from self._keep_late(aside)

    def _keep_of(self, block: bytes, name: str, aside: Aside) -> Iterator[bytes]:
        """The rows of `block` to keep. Every row of a dump comes through this loop, so it is written for speed."""
        heads = list(_HEAD.finditer(block))
        if not all(head.lastindex for head in heads):
            block = plain_rows(block, name)
            heads = list(_HEAD.finditer(block))
        ends = [head.start() for head in heads[1:]]
        for head, end in zip(heads, [*ends, len(block)], strict=True):
            number, parent, _ = head.groups()
            if parent is not None:
                verdict: bool | None = self._verdict_of_answer(int(number), int(parent))
            elif number is not None:
                verdict = self._verdict_of_question(head, block, end)
            elif block.startswith(b"<row", head.start()):
                verdict = self._verdict_of_parsed(block[head.start() : end])
            else:  # a "<" inside an attribute: its row is not XML, which the parser will count
                continue
            if verdict:
                yield block[head.start() : end]
            elif verdict is None:
                aside.write((end - head.start()).to_bytes(4, "big") + block[head.start() : end])

    def _verdict_of_question(self, head: re.Match[bytes], block: bytes, end: int) -> bool | None:
        """Whether to keep the question that begins with `head` and ends before `end`."""
        start = block.rfind(b' Tags="', head.end(), end) + 7
        tags = block[start : block.find(b'"', start, end)]
        if start < 7 or b"&#" in tags:
            return self._verdict_of_parsed(block[head.start() : end])
        # The text may also stand in the name of an entity: look again at the tags themselves.
        hit = self._raw_text in tags.lower() and self._has_tag(_unescaped(tags))
        return self._note_question(int(head[1]), hit, int(head[3] or 0))

    def _verdict_of_parsed(self, row: bytes) -> bool | None:
        attributes = next(iter(parse_rows(row, "", Counter())), None)
        if attributes is None:
            return True  # not XML: the parser will count it as such
        kind, number, parent = (attributes.get(name, "") for name in ("PostTypeId", "Id", "ParentId"))
        if kind not in ("1", "2"):
            self._other_posts[post_type_name(kind), READ] += 1
            return False
        if not _is_id(number) or (kind == "2" and not _is_id(parent)):
            return True  # malformed: the parser will say what
        if kind == "2":
            return self._verdict_of_answer(int(number), int(parent))
        accepted = attributes.get("AcceptedAnswerId", "")
        hit = self._has_tag(attributes.get("Tags", ""))
        return self._note_question(int(number), hit, int(accepted) if _is_id(accepted) else 0)

    def _note_question(self, number: int, hit: bool, accepted: int) -> bool:
        self._questions.add(number)
        if hit:
            self._kept.add(number)
            if accepted:
                self._accepted.add(accepted)
        else:
            self._left_out["posts_questions"] += 1
        return hit

    def _verdict_of_answer(self, number: int, parent: int) -> bool | None:
        if parent in self._kept or number in self._accepted:
            return True
        if parent not in self._questions:
            return None
        self._left_out["posts_answers"] += 1
        return False

    def _keep_late(self, aside: Aside) -> Iterator[bytes]:
        """The rows set aside whose question came after all."""
        aside.seek(0)
        while length := aside.read(4):
            row = aside.read(int.from_bytes(length, "big"))
            verdict = self._verdict_of_parsed(row)
            if verdict:
                yield row
            elif verdict is None:  # no question of that id anywhere
                self._left_out["posts_answers"] += 1

    def _has_tag(self, tags: str) -> bool:
        return any(self._text in tag for tag in re.split(r"[<>|]+", tags.lower()))


def checked_tag(text: str) -> str:
    """The text in the form it is looked for in. Raises TuningError for one that no tag can contain."""
    lower = text.strip().lower()
    if not lower or re.search(r"[\s<>|&\"']", lower):
        raise TuningError(f"--tag {text!r}: no tag contains that", "Give a part of a tag, such as `--tag python`")
    return lower


def _unescaped(tags: bytes) -> str:
    return tags.decode("utf-8", "replace").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _is_id(text: str) -> bool:
    return re.fullmatch(r"[0-9]{1,18}", text) is not None
