"""Upload a file or a stream of bytes. If the process is killed, a later process can resume the upload.

The protocol is https://cloud.google.com/storage/docs/performing-resumable-uploads. Anyone who has the session URL of an
upload can write the object. Therefore, the URL is never printed. It is stored in a file that only the owner can read,
and this file is deleted when the upload is complete.
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

PART = 8 * CHUNK  # bytes per request; the protocol requires a multiple of 256 KiB


def upload(settings: Settings, path: Path, blob: "Blob", checksum: str, generation: int) -> None:
    """Upload the file `path`, or resume its upload.

    The server answers 412 if the object does not have `generation` (0: the object must not exist), and 400 if the
    uploaded bytes do not have `checksum`. These errors of Google's clients pass unchanged. Raises TuningError if
    another process uploads the same file.
    """
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
    """Upload an object while its bytes are produced.

    Bytes that the server has not confirmed stay in memory: usually up to two parts of 8 MiB. If a process was killed, a
    later process that writes the same bytes to the same object resumes the upload. The server answers 412 if the object
    does not have `generation` (0: it must not exist).
    """

    def __init__(self, settings: Settings, blob: "Blob", generation: int) -> None:
        self._state = _state(settings, f"gs://{blob.bucket.name}/{blob.name} {generation}")
        self._state.parent.mkdir(parents=True, exist_ok=True)
        self._transfer = _begin(settings, self._state, blob, generation)
        self._kept = bytearray()
        self._offset = 0  # position in the object of the first byte in _kept
        self._crc32c: Any = google_crc32c.Checksum()  # type: ignore[no-untyped-call]

    @property
    def crc32c(self) -> str:
        """Return the checksum of the bytes written so far, in the notation of Cloud Storage."""
        return as_stored(self._crc32c)

    def write(self, content: "bytes | pa.Buffer") -> None:
        """Append bytes. Raises TuningError if the server lost bytes that it had confirmed."""
        self._crc32c.update(content)
        self._kept += content
        self._forget()
        while len(self._kept) > PART:  # Keep at least one byte, because the last request must not be empty.
            self._transfer.send(self._part)
            self._forget()

    def close(self) -> None:
        """Send the remaining bytes, which completes the object. The caller must compare the object's checksum.

        Raises TuningError if the server lost bytes that it had confirmed.
        """
        self._transfer.size = self._offset + len(self._kept)
        while not self._transfer.send(self._rest):
            pass
        self._state.unlink()

    def _forget(self) -> None:
        """Drop the bytes that the server has confirmed."""
        confirmed = min(self._transfer.sent - self._offset, len(self._kept))
        del self._kept[:confirmed]
        self._offset += confirmed

    def _part(self, offset: int) -> bytes:
        content = self._rest(offset)[:PART]
        return content if len(content) == PART else b""

    def _rest(self, offset: int) -> bytes:
        if offset < self._offset:
            self._state.unlink(missing_ok=True)
            raise TuningError("the server lost a part of the upload", "Run the same command again")
        return bytes(self._kept[offset - self._offset :])


def as_stored(checksum: Any) -> str:
    """Return a ``google_crc32c.Checksum`` in the notation of Cloud Storage: base64 of the big-endian CRC32C."""
    return base64.b64encode(checksum.digest()).decode()


class _Transfer:
    """Send an object in one upload session, one request at a time. After an error, ask the server where to resume."""

    def __init__(self, http: Any, address: str, sent: int, size: int | None) -> None:
        self._http, self._address = http, address
        self.sent, self.size = sent, size  # bytes that the server has, and the total (None: not yet known)
        self._is_unsure = False  # True after a failed request: the server may have more bytes than `sent`.

    def send(self, part: Callable[[int], bytes]) -> bool:
        """Send ``part(offset)``, where `offset` is the number of bytes that the server has.

        If the part is empty, only ask the server how much it has. Return whether the object is complete.
        """

        def attempt() -> Any:
            if self._is_unsure:
                self.sent = _received(self._http, self._address, self.size) or 0
            self._is_unsure = True
            content = part(self.sent)
            response = _put(self._http, self._address, content, self.sent, self.size)
            self._is_unsure = False
            return response

        response = backoff()(attempt)()
        if response.status_code == 308:  # more bytes are expected
            self.sent = _end_of_range(response)
            return False
        response.raise_for_status()
        return True


def _received(http: Any, address: str, size: int | None) -> int | None:
    """Return how many bytes the server has, or None if the session has expired (after a week)."""
    response = backoff()(_put)(http, address, b"", 0, size)
    if response.status_code in (200, 201):
        return size
    return _end_of_range(response) if response.status_code == 308 else None


def _begin(settings: Settings, state: Path, blob: "Blob", generation: int, size: int | None = None) -> _Transfer:
    """Resume the session whose URL is in the file `state`, or start a new session and write its URL there."""
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
    response = http.put(address, data=content, headers={"Content-Range": span}, allow_redirects=False, timeout=120)
    if response.status_code in TRY_AGAIN:
        response.raise_for_status()
    return response


def _end_of_range(response: Any) -> int:
    """Return how many bytes the server has: N + 1 for ``Range: bytes=0-N``, 0 without this header."""
    range_header = response.headers.get("Range", "")
    return int(range_header.rpartition("-")[2]) + 1 if range_header else 0


def _state(settings: Settings, key: str) -> Path:
    return settings.home / "uploads" / hashlib.sha256(key.encode()).hexdigest()


def _remember(state: Path, address: str) -> None:
    handle = os.open(state, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(address)
