"""Pass one's results: encoded lines in part files, and beside each its keys, which say that it is whole.

The part files are the only place that holds texts between the passes. A part whose keys exist is not made again after a
kill; where the snapshot's files are others than before, all parts are.
"""

import hashlib
import io
import zipfile
from typing import Any

import google_crc32c
import msgspec
import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa

from tuning.dataset.arrow import as_indices, divided
from tuning.dataset.funnel import Dropped
from tuning.dataset.snapshot.snapshot import Snapshot
from tuning.dataset.workspace.store import Store

# By name, one value or row of values for each row of the part, save `links` with `link_counts` of each row.
Column = npt.NDArray[Any]
Keys = dict[str, Column]
_LAYOUT = 2  # raised when rows lie otherwise in the parts: those of a killed older run are then not looked at


class Notes(msgspec.Struct, frozen=True):
    """What pass one says about a part as a whole."""

    dropped: list[Dropped] = []


class Parts:
    """One dataset's part files, of one snapshot's very files.

    Where pass two spends them, what it has read is cut off their ends: memory and disk then hold the texts once, and
    pass two takes half the time. For parts that are made in seconds, as a run killed in pass two makes them anew.
    """

    def __init__(self, store: Store, is_spent: bool = False) -> None:
        self.store, self._is_spent = store, is_spent

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

    def write(self, part: int, content: bytes | pa.Buffer, keys: Keys, notes: Notes) -> Keys:
        """Write one part, data first, and return its keys, which `notes` are then among."""
        keys["crc32c"] = np.array([google_crc32c.value(content)], dtype=np.uint32)
        keys["notes"] = np.frombuffer(msgspec.json.encode(notes), dtype=np.uint8)
        self.store.write(_name(part, "data"), content)
        file = io.BytesIO()
        np.savez(file, allow_pickle=False, **keys)
        self.store.write(_name(part, "keys"), file.getbuffer())
        return keys

    def read_many(
        self, parts: Column, offsets: Column, line_sizes: Column, tail_sizes: Column
    ) -> tuple[pa.LargeBinaryArray, pa.LargeBinaryArray]:
        """The line and the tail behind it at each place, in the given order.

        What lies side by side in a part is read at once, with the bytes between where they are few.
        """
        order = np.lexsort((offsets, parts))
        parts, begins = parts[order], offsets[order]
        middles = begins + line_sizes[order]
        ends = middles + tail_sizes[order]
        is_apart = (parts[1:] != parts[:-1]) | (begins[1:] - ends[:-1] > self.store.gap)
        firsts = np.flatnonzero(np.append(np.ones(len(parts[:1]), np.bool_), is_apart))
        counts = np.diff(firsts, append=len(order))
        lengths = ends[firsts + counts - 1] - begins[firsts]
        spans = zip(parts[firsts].tolist(), begins[firsts].tolist(), lengths.tolist(), strict=True)
        content = self.store.read_spans([(_name(part, "data"), begin, length) for part, begin, length in spans])
        moved = np.repeat(np.cumsum(lengths) - lengths - begins[firsts], counts)
        # Three values for each row: its line, its tail, and what was read between it and the next.
        borders = np.append(np.column_stack((begins, middles, ends)) + moved[:, None], content.size)
        blobs = divided(content, borders)
        place = np.argsort(order) * 3
        return blobs.take(as_indices(place)), blobs.take(as_indices(place + 1))

    def were_read(self, parts: Column, offsets: Column) -> None:
        """Nothing at these places, nor behind them in the same part, is needed again."""
        if self._is_spent:
            order = np.lexsort((offsets, parts))
            firsts = order[np.flatnonzero(np.diff(parts[order], prepend=-1))]
            for part, offset in zip(parts[firsts].tolist(), offsets[firsts].tolist(), strict=True):
                self.store.cut(_name(part, "data"), offset)

    def scratch(self, name: str) -> Store:
        """Empty, for files of this run only."""
        store = self.store.within(name)
        store.clear()
        return store


def mark_of(snapshot: Snapshot) -> str:
    """Names the very files of a snapshot: parts of others are not looked at."""
    return hashlib.sha256(orjson.dumps([_LAYOUT, snapshot.marks()])).hexdigest()[:12]


def notes_of(keys: Keys) -> Notes:
    return msgspec.json.decode(keys["notes"].tobytes(), type=Notes)


def _name(part: int, kind: str) -> str:
    return f"{part:06d}.{kind}"
