"""Cloud Storage on loopback: gcp-storage-emulator, taught what it lacks.

It ignores generation preconditions and keeps no record of what it is asked; and the BigQuery emulator writes exports
into a folder of its own, which the bridge shows as objects.
"""

import contextlib
import re
import threading
from collections.abc import Callable, Iterator
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
    refused_parts: int = 0  # the next parts of uploads that are answered with 503 and dropped
    lost_answers: int = 0  # the next objects that are sent whole: they arrive, their answer does not

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
        if is_part and record.refused_parts:
            record.refused_parts -= 1
            request.rfile.read(int(request.headers["Content-Length"]))
            request.send_error(503)
            return
        if method == "POST" and "uploadType=multipart" in request.path and record.lost_answers:
            record.lost_answers -= 1
            with mock.patch.object(server.Response, "close"):
                handle(self, method)
            request.close_connection = True
            return
        if method == "GET" and span and record.broken_reads:
            record.broken_reads -= 1
            request.close_connection = True
            return
        handle(self, method)

    with mock.patch.object(server.Router, "handle", handle_recorded):
        yield


_OBJECT = re.compile(r"(?:(?:/download)?/storage/v1)?/b/([^/]+)/o/(.+)")


@contextmanager
def generation_preconditions() -> Iterator[None]:
    """Refuse (412) to write or delete an object whose generation is not that of ``ifGenerationMatch``, 0 for none; have
    nothing (404) of a ``generation`` that is no longer there."""
    handle = server.Router.handle

    def generation(storage: Any, place: re.Match[str]) -> str:
        return str(storage.objects.get(place[1], {}).get(place[2], {}).get("generation", 0))

    def handle_generation(self: Any, method: str) -> None:
        handler = self._request_handler
        parts = urlsplit(handler.path)
        query, (source, _, target) = parse_qs(parts.query), unquote(parts.path).partition("/rewriteTo")
        place = _OBJECT.fullmatch(source)
        asked = query.get("sourceGeneration" if target else "generation")
        if method in ("GET", "POST") and place and asked and generation(handler.storage, place) != asked[0]:
            handler.send_error(404)
            return
        changed, wanted = _OBJECT.fullmatch(target or source), query.get("ifGenerationMatch")
        is_change = method == "DELETE" or (method == "POST" and target)
        if is_change and changed and wanted and generation(handler.storage, changed) != wanted[0]:
            handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
            handler.send_error(412)
            return
        handle(self, method)

    def if_generation_matches(name_of: Callable[[Any], tuple[str, str]], then: Any) -> Any:
        def check(request: Any, response: Any, storage: Any, *args: Any, **options: Any) -> Any:
            wanted = request.query.get("ifGenerationMatch")
            bucket, name = name_of(request)
            found = storage.objects.get(bucket, {}).get(name)
            if wanted and int(wanted[0]) != int(found["generation"] if found else 0):
                response.status = HTTPStatus.PRECONDITION_FAILED
                response.json({"error": {"code": 412, "message": "conditionNotMet"}})
                return None
            return then(request, response, storage, *args, **options)

        return check

    names = {
        "_create_resumable_upload": lambda request: (request.params["bucket_name"], (request.data or {}).get("name")),
        "_multipart_upload": lambda request: (request.params["bucket_name"], request.data["meta"]["name"]),
    }
    with contextlib.ExitStack() as stack:
        for name, name_of in names.items():
            checked = if_generation_matches(name_of, getattr(objects, name))
            stack.enter_context(mock.patch.object(objects, name, checked))
        stack.enter_context(mock.patch.object(server.Router, "handle", handle_generation))
        yield


@contextmanager
def asked_uploads() -> Iterator[None]:
    """Say what Cloud Storage says of an upload of which nothing has arrived (no range) or all (200)."""
    incomplete, finalize, handle = (
        objects._resumable_incomplete,
        objects._finalize_resumable_object,
        server.Router.handle,
    )
    whole: set[str] = set()

    def without_range(response: Any, storage: Any, upload_id: str, fallback_end: int = 0) -> None:
        incomplete(response, storage, upload_id, fallback_end)
        if not storage.get_resumable_byte_count(upload_id):
            del response._headers["Range"]

    def finalize_noted(response: Any, storage: Any, obj: Any, data: bytes, upload_id: str) -> None:
        finalize(response, storage, obj, data, upload_id)
        whole.add(upload_id)

    def handle_whole(self: Any, method: str) -> None:
        handler = self._request_handler
        upload_id = parse_qs(urlsplit(handler.path).query).get("upload_id", [""])[0]
        if method == "PUT" and upload_id in whole:
            handler.send_response(200)
            handler.end_headers()
            return
        handle(self, method)

    with (
        mock.patch.object(objects, "_resumable_incomplete", without_range),
        mock.patch.object(objects, "_finalize_resumable_object", finalize_noted),
        mock.patch.object(server.Router, "handle", handle_whole),
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
