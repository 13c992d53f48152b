"""Filter rows for ``--tag TEXT``: keep the questions with a tag that contains this text, and their answers.

The filter reads the start of each row and its tags. A row that it does not keep is parsed as XML only if its form is
unusual or if it was deferred. An answer comes after its question, except if questions were merged. An answer that comes
before its question is deferred to the end.
"""

import re
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from pyroaring import BitMap64

from tuning.errors import TuningError
from tuning.sources.parse import READ, post_type_name
from tuning.sources.reading.xml_rows import Counts, parse_rows
from tuning.sources.rows import BLOCK, plain_rows

OTHER_TAG = "of another tag"
_IN_MEMORY = 8 << 20  # bytes; above this size, the deferred answers are in a temporary file
# Finds each "<". If the row has the usual order of attributes, it also finds the row's ID, and the ID of an answer's
# question or of a question's accepted answer. Any other row is parsed.
_HEAD = re.compile(
    rb'<(?:row\s+Id="(\d{1,18})" PostTypeId="(?:2" ParentId="(\d{1,18})"|1"(?: AcceptedAnswerId="(\d{1,18})")? ))?'
)

DeferredRows = tempfile.SpooledTemporaryFile[bytes]


class TagFilter:
    """Keep the questions that have a tag containing `text`, and their answers.

    If there are many deferred answers, they are in a temporary file in `folder`. Raises TuningError if no tag can
    contain `text`.
    """

    def __init__(self, text: str, folder: Path) -> None:
        self._text = checked_tag(text)
        self._raw_text = self._text.encode()
        self._folder = folder
        self._questions = BitMap64()  # all so far, kept or not
        self._kept = BitMap64()
        self._accepted = BitMap64()  # answers accepted by kept questions
        self._other_posts: Counts = Counter()
        self._left_out = {"posts_questions": 0, "posts_answers": 0}

    def counts(self) -> Counts:
        """Return the numbers of rows that were left out so far."""
        by_tag = {(table, what): n for table, n in self._left_out.items() for what in (READ, OTHER_TAG)}
        return self._other_posts + Counter(by_tag)

    def keep(self, raw_blocks: Iterator[bytes], name: str) -> Iterator[bytes]:
        """Yield blocks of the rows to keep, in the file's order. Deferred rows come last.

        `name` is the file name for error messages. Raises TuningError if a row contains a declaration or comment.
        """
        with tempfile.SpooledTemporaryFile(_IN_MEMORY, dir=str(self._folder)) as deferred:
            kept: list[bytes] = []
            size = 0
            for block in raw_blocks:
                for row in self._keep_of(block, name, deferred):
                    kept.append(row)
                    size += len(row)
                if size >= BLOCK:
                    yield b"".join(kept)
                    kept, size = [], 0
            if kept:
                yield b"".join(kept)
            yield from self._keep_late(deferred)

    def _keep_of(self, block: bytes, name: str, deferred: DeferredRows) -> Iterator[bytes]:
        """Yield the rows of `block` to keep. Every row of a dump goes through this loop, so it must be fast."""
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
            else:  # a "<" inside an attribute; the parser counts its row as not well-formed
                continue
            if verdict:
                yield block[head.start() : end]
            elif verdict is None:
                deferred.write((end - head.start()).to_bytes(4, "big") + block[head.start() : end])

    def _verdict_of_question(self, head: re.Match[bytes], block: bytes, end: int) -> bool | None:
        """Return whether to keep the question that starts with `head` and ends before `end`."""
        start = block.rfind(b' Tags="', head.end(), end) + 7
        tags = block[start : block.find(b'"', start, end)]
        if start < 7 or b"&#" in tags:
            return self._verdict_of_parsed(block[head.start() : end])
        # The match can also be in the name of an entity such as &lt;. Check the unescaped tags.
        hit = self._raw_text in tags.lower() and self._has_tag(_unescaped(tags))
        return self._note_question(int(head[1]), hit, int(head[3] or 0))

    def _verdict_of_parsed(self, row: bytes) -> bool | None:
        attributes = next(iter(parse_rows(row, "", Counter())), None)
        if attributes is None:
            return True  # keep what is not well-formed XML, because the parser counts it
        kind, number, parent = (attributes.get(name, "") for name in ("PostTypeId", "Id", "ParentId"))
        if kind not in ("1", "2"):
            self._other_posts[post_type_name(kind), READ] += 1
            return False
        if not _is_id(number) or (kind == "2" and not _is_id(parent)):
            return True  # keep a malformed row, because the parser counts the reason
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
        """Return whether to keep the answer, or None to defer it, because its question has not been read yet."""
        if parent in self._kept or number in self._accepted:
            return True
        if parent not in self._questions:
            return None
        self._left_out["posts_answers"] += 1
        return False

    def _keep_late(self, deferred: DeferredRows) -> Iterator[bytes]:
        """Yield the deferred rows whose question came later and was kept."""
        deferred.seek(0)
        while length := deferred.read(4):
            row = deferred.read(int.from_bytes(length, "big"))
            verdict = self._verdict_of_parsed(row)
            if verdict:
                yield row
            elif verdict is None:  # the file has no question with this ID
                self._left_out["posts_answers"] += 1

    def _has_tag(self, tags: str) -> bool:
        return any(self._text in tag for tag in re.split(r"[<>|]+", tags.lower()))


def checked_tag(text: str) -> str:
    """Return the text stripped and in lower case. Raises TuningError if no tag can contain it."""
    lower = text.strip().lower()
    if not lower or re.search(r"[\s<>|&\"']", lower):
        raise TuningError(f"--tag {text!r} cannot be part of a tag", "Give a part of a tag, such as `--tag python`")
    return lower


def _unescaped(tags: bytes) -> str:
    return tags.decode("utf-8", "replace").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _is_id(text: str) -> bool:
    return re.fullmatch(r"[0-9]{1,18}", text) is not None
