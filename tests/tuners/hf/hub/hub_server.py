"""The Hugging Face hub on loopback, for downloads: repositories as folders, each at one commit."""

import hashlib
import json
import re
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


@dataclass
class Repository:
    folder: Path
    commit: str
    gated: bool = False


@dataclass
class HubServer:
    """`repositories` by name; `fetched` has each file that was read, as ``NAME@COMMIT/FILE``."""

    repositories: dict[str, Repository]
    fetched: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                hub.answer(self, with_body=True)

            def do_HEAD(self) -> None:
                hub.answer(self, with_body=False)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def answer(self, handler: BaseHTTPRequestHandler, *, with_body: bool) -> None:
        path = handler.path.partition("?")[0]
        asked = re.fullmatch(r"/api/models/([^/]+/[^/]+?)(?:/(revision|tree)/([^/]+))?", path)
        file = re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path)
        found = (asked or file) and self.repositories.get((asked or file)[1])  # type: ignore[index]
        if not found:
            return send(handler, 401, {"error": "no"}, {"X-Error-Code": "RepoNotFound"}, with_body)
        revision = (asked[3] if asked else file[2]) or "main"  # type: ignore[index]
        if revision not in ("main", found.commit):
            return send(handler, 404, {"error": "no"}, {"X-Error-Code": "RevisionNotFound"}, with_body)
        if asked and asked[2] != "tree":
            return send(handler, 200, {"id": asked[1], "sha": found.commit, "siblings": []}, {}, with_body)
        if asked:
            return send(handler, 200, tree(found.folder), {}, with_body)
        assert file is not None
        if found.gated:
            return send(handler, 403, {"error": "no"}, {"X-Error-Code": "GatedRepo"}, with_body)
        content = (found.folder / file[3]).read_bytes()
        if with_body:
            self.fetched.append(f"{file[1]}@{revision}/{file[3]}")
        headers = {"ETag": f'"{oid(content)}"', "X-Repo-Commit": found.commit}
        return send(handler, 200, content, headers, with_body)


def oid(content: bytes) -> str:
    return hashlib.sha1(content, usedforsecurity=False).hexdigest()


def tree(folder: Path) -> list[dict[str, Any]]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return [
        {
            "type": "file",
            "path": path.relative_to(folder).as_posix(),
            "size": path.stat().st_size,
            "oid": oid(path.read_bytes()),
        }
        for path in files
    ]


def send(handler: BaseHTTPRequestHandler, status: int, value: Any, headers: dict[str, str], with_body: bool) -> None:
    content = value if isinstance(value, bytes) else json.dumps(value).encode()
    handler.send_response(status)
    for name, text in headers.items():
        handler.send_header(name, text)
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    if with_body:
        handler.wfile.write(content)
