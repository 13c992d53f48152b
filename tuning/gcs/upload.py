"""Upload a file or a stream of bytes. After a broken connection, the upload goes on where the server is.

The protocol is https://cloud.google.com/storage/docs/performing-resumable-uploads. Google's client sends the same part
again and fails if the server has kept only some of it, so this module asks the server how much it has. Anyone who has
the session URL of an upload can write the object, so the URL is never printed or stored.
"""

import base64
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import google_crc32c

from tuning.errors import TuningError
from tuning.gcs.access import TRY_AGAIN, backoff, session
from tuning.settings import Settings
from tuning.storage import CHUNK

if TYPE_CHECKING:
    import pyarrow as pa
    from google.cloud.storage import Blob

PART = 8 * CHUNK  # bytes per request; the protocol requires a multiple of 256 KiB


def upload(settings: Settings, path: Path, blob: "Blob", checksum: str, generation: int) -> None:
    """Upload the file `path`.

    The server answers 412 if the object does not have `generation` (0: the object must not exist), and 400 if the
    uploaded bytes do not have `checksum`. These errors of Google's clients pass unchanged.
    """
    blob.crc32c = checksum
    transfer = _Transfer(settings, blob, generation, path.stat().st_size)

    def part(offset: int) -> bytes:
        file.seek(offset)
        return file.read(PART)

    with path.open("rb") as file:
        while not transfer.send(part):
            pass


class Stream:
    """Upload an object while its bytes are produced.

    Bytes that the server has not confirmed stay in memory: usually up to two parts of 8 MiB. The server answers 412 if
    the object does not have `generation` (0: it must not exist).
    """

    def __init__(self, settings: Settings, blob: "Blob", generation: int) -> None:
        self._transfer = _Transfer(settings, blob, generation)
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
            raise TuningError("the server lost a part of the upload", "Run the same command again")
        return bytes(self._kept[offset - self._offset :])


def as_stored(checksum: Any) -> str:
    """Return a ``google_crc32c.Checksum`` in the notation of Cloud Storage: base64 of the big-endian CRC32C."""
    return base64.b64encode(checksum.digest()).decode()


class _Transfer:
    """Send an object in one upload session, one request at a time. After an error, ask the server where to resume."""

    def __init__(self, settings: Settings, blob: "Blob", generation: int, size: int | None = None) -> None:
        self._http = session(settings.storage_endpoint, settings)
        self._address = blob.create_resumable_upload_session(
            content_type="application/octet-stream", size=size, if_generation_match=generation, retry=backoff()
        )
        self.sent, self.size = 0, size  # bytes that the server has, and the total (None: not yet known)
        self._is_unsure = False  # True after a failed request: the server may have more bytes than `sent`.

    def send(self, part: Callable[[int], bytes]) -> bool:
        """Send ``part(offset)``, where `offset` is the number of bytes that the server has.

        If the part is empty, only ask the server how much it has. Return whether the object is complete.
        """

        def attempt() -> Any:
            if self._is_unsure:
                self.sent = _received(self._http, self._address, self.size)
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


def _received(http: Any, address: str, size: int | None) -> int:
    """Return how many bytes the server has."""
    response = backoff()(_put)(http, address, b"", 0, size)
    response.raise_for_status()
    return _end_of_range(response) if response.status_code == 308 else size or 0


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
