"""Resumable uploads, of a file or of bytes as they come, that a later process can take up where one was killed.

The protocol: https://cloud.google.com/storage/docs/performing-resumable-uploads. Its session address lets anyone write
the object, so it is kept in a file that only its owner reads, never printed, and removed at the end.
"""

import base64
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import google_crc32c

from tuning.errors import TuningError
from tuning.gcs.access import TRY_AGAIN, backoff, session
from tuning.settings import Settings
from tuning.storage import CHUNK, locked

if TYPE_CHECKING:
    import pyarrow as pa
    from google.cloud.storage import Blob

PART = 8 * CHUNK  # bytes per request; the protocol wants a multiple of 256 KiB


def upload(settings: Settings, path: Path, blob: "Blob", checksum: str, generation: int) -> None:
    """Send `path`; the server refuses it (412) unless the object still has `generation`, 0 for none, and (400) unless
    what arrived has `checksum`."""
    size = path.stat().st_size
    blob.crc32c = checksum
    state = _state(settings, f"gs://{blob.bucket.name}/{blob.name} {generation} {checksum} {size}")
    with locked(state.with_suffix(".lock"), f"the upload of {path.name}"):
        transfer = _begin(settings, state, blob, generation, size)

        def part(offset: int) -> bytes:
            file.seek(offset)
            return file.read(PART)

        with path.open("rb") as file:
            while not transfer.send(part):
                pass
        state.unlink()


class Stream:
    """An object that grows as bytes come. What the server has not acknowledged yet stays in memory: about two parts.

    The same bytes written to the same object by a process after a killed one are sent from where the server is. The
    server refuses them (412) unless the object still has `generation`, 0 for none.
    """

    def __init__(self, settings: Settings, blob: "Blob", generation: int) -> None:
        self._state = _state(settings, f"gs://{blob.bucket.name}/{blob.name} {generation}")
        self._state.parent.mkdir(parents=True, exist_ok=True)
        self._transfer = _begin(settings, self._state, blob, generation)
        self._kept = bytearray()
        self._offset = 0  # of the first byte kept
        self._crc32c: Any = google_crc32c.Checksum()  # type: ignore[no-untyped-call]

    @property
    def crc32c(self) -> str:
        return as_stored(self._crc32c)

    def write(self, content: "bytes | pa.Buffer") -> None:
        self._crc32c.update(content)
        self._kept += content
        self._forget()
        while len(self._kept) > PART:  # one byte more at least: the last request must not be empty
            self._transfer.send(self._part)
            self._forget()

    def close(self) -> None:
        """Send the rest. The object is there from now on, and its checksum is for the caller to compare."""
        self._transfer.size = self._offset + len(self._kept)
        while not self._transfer.send(self._rest):
            pass
        self._state.unlink()

    def _forget(self) -> None:
        """Drop what the server has."""
        known = min(self._transfer.sent - self._offset, len(self._kept))
        del self._kept[:known]
        self._offset += known

    def _part(self, offset: int) -> bytes:
        content = self._rest(offset)[:PART]
        return content if len(content) == PART else b""

    def _rest(self, offset: int) -> bytes:
        if offset < self._offset:
            self._state.unlink(missing_ok=True)
            raise TuningError("the server has lost what was uploaded", "Run the same command again")
        return bytes(self._kept[offset - self._offset :])


def as_stored(checksum: Any) -> str:
    """A ``google_crc32c.Checksum`` as Cloud Storage writes it: base64 of the big-endian CRC32C."""
    return base64.b64encode(checksum.digest()).decode()


class _Transfer:
    """One session of an upload: a request at a time, and after an error from where the server says it is."""

    def __init__(self, http: Any, address: str, sent: int, size: int | None) -> None:
        self._http, self._address = http, address
        self.sent, self.size = sent, size  # bytes that the server has, and of the whole: None where not yet known
        self._is_unsure = False  # after a broken connection only the server knows how much arrived

    def send(self, part: Callable[[int], bytes]) -> bool:
        """Send what ``part(offset)`` gives from the server's end on (nothing: only ask how much it has); whether the
        object is whole with it."""

        def attempt() -> Any:
            if self._is_unsure:
                self.sent = _received(self._http, self._address, self.size) or 0
            self._is_unsure = True
            content = part(self.sent)
            answer = _put(self._http, self._address, content, self.sent, self.size)
            self._is_unsure = False
            return answer

        answer = backoff()(attempt)()
        if answer.status_code == 308:
            self.sent = _end_of_range(answer)
            return False
        answer.raise_for_status()
        return True


def _received(http: Any, address: str, size: int | None) -> int | None:
    """How many bytes the server has; None where the session is gone (it lives a week)."""
    answer = backoff()(_put)(http, address, b"", 0, size)
    if answer.status_code in (200, 201):
        return size
    return _end_of_range(answer) if answer.status_code == 308 else None


def _begin(settings: Settings, state: Path, blob: "Blob", generation: int, size: int | None = None) -> _Transfer:
    """The session that `state` remembers, or a new one, which it then does."""
    http = session(settings.storage_endpoint, settings)
    address = state.read_text() if state.is_file() else None
    sent = _received(http, address, size) if address else None
    if address is None or sent is None:
        address, sent = _new_address(blob, generation, size), 0
        _remember(state, address)
    return _Transfer(http, address, sent, size)


def _new_address(blob: "Blob", generation: int, size: int | None) -> str:
    address = blob.create_resumable_upload_session(
        content_type="application/octet-stream", size=size, if_generation_match=generation, retry=backoff()
    )
    return str(address)


def _put(http: Any, address: str, content: bytes, offset: int, size: int | None) -> Any:
    total = "*" if size is None else size
    span = f"bytes {offset}-{offset + len(content) - 1}/{total}" if content else f"bytes */{total}"
    answer = http.put(address, data=content, headers={"Content-Range": span}, allow_redirects=False, timeout=120)
    if answer.status_code in TRY_AGAIN:
        answer.raise_for_status()
    return answer


def _end_of_range(answer: Any) -> int:
    """``Range: bytes=0-N`` means N + 1 bytes are there; no such header means none."""
    range_header = answer.headers.get("Range", "")
    return int(range_header.rpartition("-")[2]) + 1 if range_header else 0


def _state(settings: Settings, key: str) -> Path:
    return settings.home / "uploads" / hashlib.sha256(key.encode()).hexdigest()


def _remember(state: Path, address: str) -> None:
    handle = os.open(state, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(address)
