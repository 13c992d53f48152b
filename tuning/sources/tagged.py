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
from tuning.sources.rows import BLOCK

OTHER_TAG = "of another tag"
_IN_MEMORY = 8 << 20  # bytes of answers set aside before they go to a file
# As every dump writes it. A row that is written otherwise is parsed to find out.
_ANSWER = re.compile(rb'row\s+Id="(\d{1,18})" PostTypeId="2" ParentId="(\d{1,18})"')
_QUESTION = re.compile(rb'row\s+Id="(\d{1,18})" PostTypeId="1"(?: AcceptedAnswerId="(\d{1,18})")? ')

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

    def keep(self, blocks: Iterator[bytes]) -> Iterator[bytes]:
        """Blocks of the rows to keep, in the file's order; those that had been set aside come last."""
        with tempfile.SpooledTemporaryFile(_IN_MEMORY, dir=str(self._folder)) as aside:
            kept: list[bytes] = []
            size = 0
            for block in blocks:
                for row in self._keep_of(block, aside):
                    kept.append(row)
                    size += len(row)
                if size >= BLOCK:
                    yield _joined(kept)
                    kept, size = [], 0
            if kept:
                yield _joined(kept)
            yield from self._keep_late(aside)

    def _keep_of(self, block: bytes, aside: Aside) -> Iterator[bytes]:
        """The rows of `block` to keep, each without its ``<``. Most rows take the first few lines of this loop."""
        kept, accepted, questions, left_out = self._kept, self._accepted, self._questions, 0
        for row in block.split(b"<"):
            head = _ANSWER.match(row)
            if head is not None:
                number, parent = map(int, head.groups())
                if parent in kept or number in accepted:
                    yield row
                elif parent in questions:
                    left_out += 1
                else:
                    aside.write(len(row).to_bytes(4, "big") + row)
            elif row.startswith(b"row"):
                verdict = self._verdict(row)
                if verdict:
                    yield row
                elif verdict is None:
                    aside.write(len(row).to_bytes(4, "big") + row)
        self._left_out["posts_answers"] += left_out

    def _verdict(self, row: bytes) -> bool | None:
        """Whether to keep a row; None for an answer whose question has not come."""
        head = _QUESTION.match(row)
        start = row.rfind(b' Tags="')
        tags = row[start + 7 : row.find(b'"', start + 7)]
        if head is None or start < 0 or b"&#" in tags:
            return self._verdict_of_parsed(row)
        # The text may also stand in the name of an entity: look again at the tags themselves.
        hit = self._raw_text in tags.lower() and self._has_tag(_unescaped(tags))
        return self._verdict_of_question(int(head[1]), hit, int(head[2] or 0))

    def _verdict_of_parsed(self, row: bytes) -> bool | None:
        attributes = next(iter(parse_rows(b"<" + row, "", Counter())), None)
        if attributes is None:
            return True  # not XML: the parser will count it as such
        kind, number, parent = (attributes.get(name, "") for name in ("PostTypeId", "Id", "ParentId"))
        if kind not in ("1", "2"):
            self._other_posts[post_type_name(kind), READ] += 1
            return False
        if not number.isdecimal() or (kind == "2" and not parent.isdecimal()):
            return True  # malformed: the parser will say what
        if kind == "2":
            return self._verdict_of_answer(int(number), int(parent))
        accepted = attributes.get("AcceptedAnswerId", "")
        hit = self._has_tag(attributes.get("Tags", ""))
        return self._verdict_of_question(int(number), hit, int(accepted) if accepted.isdecimal() else 0)

    def _verdict_of_question(self, number: int, hit: bool, accepted: int) -> bool:
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
                yield _joined([row])
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


def _joined(rows: list[bytes]) -> bytes:
    return b"<" + b"<".join(rows)
