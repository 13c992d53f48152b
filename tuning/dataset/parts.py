"""Pass one's results: encoded lines in part files, and beside each its keys, which say that it is whole.

The part files are the only place that holds texts between the passes. A part whose keys exist is not made again after a
kill; where the snapshot's files are others than before, all parts are.
"""

import hashlib
import io
import zipfile
from collections.abc import Sequence
from typing import Any

import google_crc32c
import msgspec
import numpy as np
import numpy.typing as npt
import orjson

from tuning.dataset.funnel import Dropped
from tuning.dataset.snapshot import Snapshot
from tuning.dataset.store import Store

# By name, one value or row of values for each row of the part, save `links` with `link_counts` of each row.
Column = npt.NDArray[Any]
Keys = dict[str, Column]


class Notes(msgspec.Struct, frozen=True):
    """What pass one says about a part as a whole."""

    dropped: list[Dropped] = []


class Parts:
    """One dataset's part files, of one snapshot's very files."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def keys(self, part: int) -> Keys | None:
        """The keys of a finished part whose data is what was written; None where it is to be made."""
        content = self.store.read(_name(part, "keys"))
        if content is None:
            return None
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as file:
                keys = dict(file)
        except (OSError, ValueError, zipfile.BadZipFile):
            return None
        return keys if keys["crc32c"][0] == self.store.crc32c(_name(part, "data")) else None

    def write(self, part: int, blobs: Sequence[bytes], keys: Keys, notes: Notes) -> Keys:
        """Write one part, data first, and return its keys, which `notes` are then among."""
        content = b"".join(blobs)
        keys["crc32c"] = np.array([google_crc32c.value(content)], dtype=np.uint32)
        keys["notes"] = np.frombuffer(msgspec.json.encode(notes), dtype=np.uint8)
        self.store.write(_name(part, "data"), content)
        file = io.BytesIO()
        np.savez(file, allow_pickle=False, **keys)
        self.store.write(_name(part, "keys"), file.getbuffer())
        return keys

    def read_many(self, parts: Column, offsets: Column, sizes: Column) -> list[memoryview]:
        """The bytes at each place, in the given order; what lies side by side in a part is read at once."""
        if not len(parts):
            return []
        order = np.lexsort((offsets, parts))
        parts, begins, ends = parts[order], offsets[order], offsets[order] + sizes[order]
        is_apart = (parts[1:] != parts[:-1]) | (begins[1:] - ends[:-1] > self.store.gap)
        firsts = np.flatnonzero(np.append(True, is_apart)).tolist()
        runs = list(zip(firsts, [*firsts[1:], len(order)], strict=True))
        spans = [
            (_name(int(parts[first]), "data"), int(begins[first]), int(ends[last - 1] - begins[first]))
            for first, last in runs
        ]
        found = [memoryview(b"")] * len(order)
        for (first, last), content in zip(runs, self.store.read_spans(spans), strict=True):
            together, begin = memoryview(content), begins[first]
            is_sparse = len(content) > 2 * int((ends[first:last] - begins[first:last]).sum())
            places = ((begins[first:last] - begin).tolist(), (ends[first:last] - begin).tolist())
            for row, at, end in zip(order[first:last].tolist(), *places, strict=True):
                found[row] = memoryview(bytes(together[at:end])) if is_sparse else together[at:end]
        return found

    def scratch(self, name: str) -> Store:
        """Empty, for files of this run only."""
        store = self.store.within(name)
        store.clear()
        return store


def mark_of(snapshot: Snapshot) -> str:
    """Names the very files of a snapshot: parts of others are not looked at."""
    return hashlib.sha256(orjson.dumps(snapshot.marks())).hexdigest()[:12]


def notes_of(keys: Keys) -> Notes:
    return msgspec.json.decode(keys["notes"].tobytes(), type=Notes)


def _name(part: int, kind: str) -> str:
    return f"{part:06d}.{kind}"
