"""Pass one's results on disk: encoded lines in part files, and beside each its keys, which say that it is whole.

The part files are the only place that holds texts between the passes. A part whose keys exist is not made again after a
kill; where the snapshot's files are others than before, all parts are.
"""

import io
import os
import shutil
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import google_crc32c
import msgspec
import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa

from tuning.dataset.funnel import Dropped
from tuning.dataset.snapshot import Snapshot

# By name, one value or row of values for each row of the part, save `links` with `link_counts` of each row.
Column = npt.NDArray[Any]
Keys = dict[str, Column]
_GAP = 1 << 14  # bytes between two rows: to read them too takes less time than to read twice


class Notes(msgspec.Struct, frozen=True):
    """What pass one says about a part as a whole."""

    dropped: list[Dropped] = []


class Parts:
    """The folder of one dataset's part files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def begin(self, snapshot: Snapshot) -> None:
        """Keep what an earlier run finished from the very same files, and nothing else."""
        mark = orjson.dumps(snapshot.marks())
        path = self.folder / "source.json"
        if not path.exists() or path.read_bytes() != mark:
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder.mkdir(parents=True)
            path.write_bytes(mark)

    def keys(self, part: int) -> Keys | None:
        """The keys of a finished part whose data is what was written; None where it is to be made."""
        try:
            with np.load(self._path(part, "keys"), allow_pickle=False) as file:
                keys = dict(file)
            content = self._path(part, "data").read_bytes()
        except (OSError, ValueError, zipfile.BadZipFile):
            return None
        return keys if keys["crc32c"][0] == google_crc32c.value(content) else None

    def write(self, part: int, blobs: Sequence[bytes], keys: Keys, notes: Notes) -> Keys:
        """Write one part, data first, and return its keys, which `notes` are then among."""
        content = b"".join(blobs)
        keys["crc32c"] = np.array([google_crc32c.value(content)], dtype=np.uint32)
        keys["notes"] = np.frombuffer(msgspec.json.encode(notes), dtype=np.uint8)
        _replace(self._path(part, "data"), content)
        file = io.BytesIO()
        np.savez(file, allow_pickle=False, **keys)
        _replace(self._path(part, "keys"), file.getbuffer())
        return keys

    def lend(self, slot: int, batch: pa.RecordBatch) -> Path:
        """Put rows where a worker finds them: a file of a few that are written again and again, which costs a fifth of
        sending them through a pipe."""
        path = self.folder / f"slot-{slot}"
        path.touch()
        with path.open("r+b", buffering=0) as file, pa.ipc.new_stream(file, batch.schema) as writer:
            writer.write_batch(batch)
        return path

    def read(self, part: int, offset: int, size: int) -> bytes:
        with self._path(part, "data").open("rb", buffering=0) as file:
            return os.pread(file.fileno(), size, offset)

    def read_many(self, parts: Column, offsets: Column, sizes: Column) -> list[memoryview]:
        """`read` for each, in the given order; what lies side by side in a part is read at once."""
        order = np.lexsort((offsets, parts))
        parts, begins, ends = parts[order], offsets[order], offsets[order] + sizes[order]
        is_apart = (parts[1:] != parts[:-1]) | (begins[1:] - ends[:-1] > _GAP)
        firsts = np.flatnonzero(np.append(True, is_apart)).tolist()
        found = [memoryview(b"")] * len(order)
        for first, last in zip(firsts, [*firsts[1:], len(order)], strict=True):
            begin = int(begins[first])
            together = memoryview(self.read(int(parts[first]), begin, int(ends[last - 1]) - begin))
            places = ((begins[first:last] - begin).tolist(), (ends[first:last] - begin).tolist())
            for row, at, end in zip(order[first:last].tolist(), *places, strict=True):
                found[row] = together[at:end]
        return found

    def scratch(self, name: str) -> Path:
        """A folder that is not there yet, for files of this run only."""
        folder = self.folder / name
        shutil.rmtree(folder, ignore_errors=True)
        return folder

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, part: int, kind: str) -> Path:
        return self.folder / f"{part:06d}.{kind}"


def notes_of(keys: Keys) -> Notes:
    return msgspec.json.decode(keys["notes"].tobytes(), type=Notes)


def _replace(path: Path, content: bytes | memoryview) -> None:
    """Whole or not at all while the machine runs; a crash of the machine is found by the checksum."""
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    temporary.write_bytes(content)
    temporary.rename(path)
