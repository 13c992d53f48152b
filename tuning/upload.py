"""One resumable upload that a later process can take up where an earlier one was killed.

The protocol: https://cloud.google.com/storage/docs/performing-resumable-uploads. Its session address lets anyone write
the object, so it is kept in a file that only its owner reads, never printed, and removed at the end.
"""

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tuning.access import TRY_AGAIN, backoff, session
from tuning.settings import Settings
from tuning.storage import CHUNK, locked

if TYPE_CHECKING:
    from google.cloud.storage import Blob

PART = 8 * CHUNK  # bytes per request; the protocol wants a multiple of 256 KiB


def upload(settings: Settings, path: Path, blob: "Blob", checksum: str, generation: int) -> None:
    """Send `path`; the server refuses it (412) unless the object still has `generation`, 0 for none, and (400) unless
    what arrived has `checksum`."""
    key = f"gs://{blob.bucket.name}/{blob.name} {generation} {checksum} {path.stat().st_size}"
    state = settings.home / "uploads" / hashlib.sha256(key.encode()).hexdigest()
    with locked(state.with_suffix(".lock"), f"the upload of {path.name}"):
        http = session(settings.storage_endpoint, settings)
        address = _remembered(state)
        sent = _received(http, address, path.stat().st_size) if address else None
        if address is None or sent is None:
            address, sent = _begin(path, blob, checksum, generation), 0
            _remember(state, address)
        _send(http, address, path, sent)
        state.unlink()


def _begin(path: Path, blob: "Blob", checksum: str, generation: int) -> str:
    blob.crc32c = checksum
    address = blob.create_resumable_upload_session(
        content_type="application/octet-stream",
        size=path.stat().st_size,
        if_generation_match=generation,
        retry=backoff(),
    )
    return str(address)


def _send(http: Any, address: str, path: Path, sent: int) -> None:
    size = path.stat().st_size
    unsure = False  # after a broken connection only the server knows how much arrived

    def next_part() -> Any:
        nonlocal sent, unsure
        if unsure:
            sent = _received(http, address, size) or 0
        unsure = True
        file.seek(sent)
        part = file.read(PART)
        answer = _put(http, address, part, f"bytes {sent}-{sent + len(part) - 1}/{size}" if part else f"bytes */{size}")
        unsure = False
        return answer

    with path.open("rb") as file:
        while (answer := backoff()(next_part)()).status_code == 308:
            sent = _end_of_range(answer)
        answer.raise_for_status()


def _put(http: Any, address: str, part: bytes, span: str) -> Any:
    answer = http.put(address, data=part, headers={"Content-Range": span}, allow_redirects=False, timeout=120)
    if answer.status_code in TRY_AGAIN:
        answer.raise_for_status()
    return answer


def _received(http: Any, address: str, size: int) -> int | None:
    """How many bytes the server has; None where the session is gone (it lives a week)."""
    answer = backoff()(_put)(http, address, b"", f"bytes */{size}")
    if answer.status_code in (200, 201):
        return size
    return _end_of_range(answer) if answer.status_code == 308 else None


def _end_of_range(answer: Any) -> int:
    """``Range: bytes=0-N`` means N + 1 bytes are there; no such header means none."""
    range_header = answer.headers.get("Range", "")
    return int(range_header.rpartition("-")[2]) + 1 if range_header else 0


def _remembered(state: Path) -> str | None:
    return state.read_text() if state.is_file() else None


def _remember(state: Path, address: str) -> None:
    handle = os.open(state, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(address)
