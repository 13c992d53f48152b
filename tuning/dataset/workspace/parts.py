"""Store the results of pass one in part files.

Each part has two files. `NUMBER.data` contains the encoded lines. `NUMBER.keys` contains arrays with the ids, hashes
and sizes of its rows. It is written last and contains the checksum of the data, so it shows that the part is complete.
Between the passes, only the part files contain the texts. A run after a killed run reuses the complete parts. If the
files of the snapshot have changed, it prepares all parts again.
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

# The arrays of a part, by name. Each contains one value or one array of values for each row. Exceptions: `links`
# contains `link_counts[i]` values for row i, and `crc32c` and `notes` describe the whole part.
Column = npt.NDArray[Any]
Keys = dict[str, Column]
_LAYOUT = 3  # increase it when the layout of the parts changes, so that parts of an older version are not reused


class Notes(msgspec.Struct, frozen=True):
    """Hold information of pass one about a whole part."""

    dropped: list[Dropped] = []
    benchmark_items: list[int] = []  # the item of the benchmark for each row that is dropped for it


class Parts:
    """Read and write the part files of one dataset from one snapshot.

    With `is_spent`, pass two truncates the parts while it reads them. The texts are then stored only once at any time,
    and pass two takes half the time. If such a run is killed in pass two, the next run must prepare the parts again. So
    use `is_spent` only for parts that are prepared in seconds.

    The methods raise TuningError if a request to Cloud Storage fails.
    """

    def __init__(self, store: Store, is_spent: bool = False) -> None:
        self.store, self._is_spent = store, is_spent

    def keys(self, part: int) -> Keys | None:
        """Return the keys of a part that is complete and unchanged, or None if the part must be prepared."""
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
        """Write one part, the data first. Return its keys with `notes` and the checksum added."""
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
        """Return the line at each place and the end of its attribution record (the tail), in the given order.

        The tail follows the line in the part. Neighboring rows of a part are read together, including the bytes between
        them if these are few.
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
        # Three values for each row: its line, its tail, and the bytes between it and the next row.
        borders = np.append(np.column_stack((begins, middles, ends)) + moved[:, None], content.size)
        blobs = divided(content, borders)
        place = np.argsort(order) * 3
        return blobs.take(as_indices(place)), blobs.take(as_indices(place + 1))

    def were_read(self, parts: Column, offsets: Column) -> None:
        """Declare that these places, and all later bytes of the same parts, are not needed again.

        With `is_spent`, the parts are truncated there.
        """
        if self._is_spent:
            order = np.lexsort((offsets, parts))
            firsts = order[np.flatnonzero(np.diff(parts[order], prepend=-1))]
            for part, offset in zip(parts[firsts].tolist(), offsets[firsts].tolist(), strict=True):
                self.store.cut(_name(part, "data"), offset)

    def scratch(self, name: str) -> Store:
        """Return an empty store for files of this run."""
        store = self.store.within(name)
        store.clear()
        return store


def mark_of(snapshot: Snapshot) -> str:
    """Return a hash that identifies the files of a snapshot. Parts are reused only if it is the same."""
    return hashlib.sha256(orjson.dumps([_LAYOUT, snapshot.marks()])).hexdigest()[:12]


def notes_of(keys: Keys) -> Notes:
    """Return the notes about a part. They are stored as JSON among the arrays of its keys."""
    return msgspec.json.decode(keys["notes"].tobytes(), type=Notes)


def _name(part: int, kind: str) -> str:
    return f"{part:06d}.{kind}"
