"""Cloud Storage on loopback: gcp-storage-emulator, taught what it lacks.

It ignores generation preconditions and keeps no record of what it is asked; and the BigQuery emulator writes exports
into a folder of its own, which the bridge shows as objects.
"""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import parse_qs, unquote, urlsplit

from gcp_storage_emulator import server
from gcp_storage_emulator.handlers import objects


@dataclass
class Record:
    """What Cloud Storage was asked for: method, path and the header Range or Content-Range of each request."""

    seen: list[tuple[str, str, str]] = field(default_factory=list)
    gate: "Gate | None" = None
    broken_reads: int = 0  # the next ranged reads whose connection breaks before the answer

    @property
    def writes(self) -> list[tuple[str, str, str]]:
        return [one for one in self.seen if one[0] != "GET"]

    @property
    def parts(self) -> list[str]:
        """The spans of the parts of resumable uploads."""
        return [span for method, _, span in self.seen if method == "PUT" and not span.startswith("bytes */")]

    def read(self, size: int) -> int:
        """The bytes that ranged reads of a file of `size` bytes were answered with."""
        spans = [span.removeprefix("bytes=").split("-") for method, _, span in self.seen if method == "GET" and span]
        return sum(min(int(last or size), size - 1) - int(first) + 1 for first, last in spans)


class Gate:
    """Lets some parts of an upload in, then holds the next one until `open` is set, and drops it unread."""

    def __init__(self, parts: int) -> None:
        self.left = parts
        self.reached, self.open = threading.Event(), threading.Event()

    def holds(self) -> bool:
        self.left -= 1
        if self.left >= 0:
            return False
        self.reached.set()
        self.open.wait(timeout=60)
        return True


@contextmanager
def recorded(record: Record) -> Iterator[None]:
    handle = server.Router.handle

    def handle_recorded(self: Any, method: str) -> None:
        request = self._request_handler
        span = request.headers.get("Content-Range") or request.headers.get("Range") or ""
        record.seen.append((method, unquote(urlsplit(request.path).path), span))
        is_part = method == "PUT" and not span.startswith("bytes */")
        if is_part and record.gate and record.gate.holds():
            request.close_connection = True
            return
        if method == "GET" and span and record.broken_reads:
            record.broken_reads -= 1
            request.close_connection = True
            return
        handle(self, method)

    with mock.patch.object(server.Router, "handle", handle_recorded):
        yield


_OBJECT = re.compile(r"(?:/download)?/storage/v1/b/([^/]+)/o/(.+)")


@contextmanager
def generation_preconditions() -> Iterator[None]:
    """Refuse (412) an upload whose ``ifGenerationMatch`` is not the object's generation, 0 for none; have nothing (404)
    of a ``generation`` that is no longer there."""
    begin = objects._create_resumable_upload
    handle = server.Router.handle

    def handle_generation(self: Any, method: str) -> None:
        parts = urlsplit(self._request_handler.path)
        wanted, asked = parse_qs(parts.query).get("generation"), _OBJECT.fullmatch(unquote(parts.path))
        if method == "GET" and wanted and asked:
            found = self._request_handler.storage.objects.get(asked[1], {}).get(asked[2], {})
            if str(found.get("generation")) != wanted[0]:
                self._request_handler.send_error(404)
                return
        handle(self, method)

    def begin_if_generation_matches(request: Any, response: Any, storage: Any) -> Any:
        wanted = request.query.get("ifGenerationMatch")
        name = (request.data or {}).get("name")
        found = storage.objects.get(request.params["bucket_name"], {}).get(name)
        if wanted and int(wanted[0]) != int(found["generation"] if found else 0):
            response.status = HTTPStatus.PRECONDITION_FAILED
            response.json({"error": {"code": 412, "message": "conditionNotMet"}})
            return None
        return begin(request, response, storage)

    with (
        mock.patch.object(objects, "_create_resumable_upload", begin_if_generation_matches),
        mock.patch.object(server.Router, "handle", handle_generation),
    ):
        yield


@contextmanager
def shared_folder(storage: Any, url: str, folder: Path) -> Iterator[None]:
    """Show the files of ``folder/BUCKET`` as objects whenever a bucket is listed; make the folder that is listed, since
    the BigQuery emulator writes only into folders that are there."""
    listed = storage.get_file_list

    def list_with_folder(bucket: str, prefix: str | None = None, *args: Any, **options: Any) -> Any:
        place = folder / bucket / (prefix or "").rpartition("/")[0]
        place.mkdir(parents=True, exist_ok=True)
        for path in sorted(place.rglob("*")):
            name = path.relative_to(folder / bucket).as_posix()
            if path.is_file() and name not in storage.objects.get(bucket, {}):
                content = path.read_bytes()
                path.unlink()
                made = objects._make_object_resource(url, bucket, name, "application/octet-stream", len(content))
                storage.create_file(bucket, name, content, objects._checksums(content, made))
        return listed(bucket, prefix, *args, **options)

    with mock.patch.object(storage, "get_file_list", list_with_folder):
        yield
