"""Pass two: the kept lines in their order, and their attribution beside them."""

import hashlib
from pathlib import Path

from tuning.dataset.dataset import ATTRIBUTION, FileFacts
from tuning.dataset.index import Index
from tuning.dataset.parts import Parts
from tuning.dataset.selection import Selection

_BUFFER = 1 << 20  # bytes


class LineFile:
    """A file written line by line, its facts kept as it grows."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.open("wb", buffering=0)
        self._hash = hashlib.sha256()
        self._waiting: list[bytes] = []
        self._size = 0
        self.rows = self.bytes = 0

    def write(self, line: bytes) -> None:
        """`line` ends with its newline."""
        self._waiting.append(line)
        self._size += len(line)
        self.rows += 1
        if self._size >= _BUFFER:
            self._flush()

    def close(self) -> FileFacts:
        self._flush()
        self._file.close()
        return FileFacts(self.rows, self.bytes, self._hash.hexdigest())

    def _flush(self) -> None:
        content = b"".join(self._waiting)
        self._file.write(content)
        self._hash.update(content)
        self.bytes += len(content)
        self._waiting.clear()
        self._size = 0


def write_splits(folder: Path, parts: Parts, index: Index, selection: Selection) -> dict[str, FileFacts]:
    """Write ``train.jsonl``, ``eval.jsonl`` and ``attribution.jsonl``."""
    facts = {}
    attribution = LineFile(folder / ATTRIBUTION)
    for split, rows in selection.sides.items():
        lines = LineFile(folder / f"{split}.jsonl")
        for number, (row, group) in enumerate(zip(rows.tolist(), selection.groups[rows].tolist(), strict=True)):
            line, tail = index.blob(parts, row)
            lines.write(line)
            attribution.write(b'{"split":"%b","line":%d,"group":%d,%b\n' % (split.encode(), number, group, tail))
        facts[lines.path.name] = lines.close()
    facts[ATTRIBUTION] = attribution.close()
    return facts
