"""A stand-in for the Hugging Face hub on loopback: what a push uses of its API. It refuses what the hub refuses."""

import base64
import hashlib
import json
import re
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import yaml

WRITER, READER, USER = "hf_writerwriterwriterwriter", "hf_readerreaderreaderreader", "me"
_NAME = re.compile(r"(?!.*(--|\.\.))(?!.*\.git$)[A-Za-z0-9_][A-Za-z0-9_.-]{0,94}[A-Za-z0-9_]")
# Some of the identifiers in https://huggingface.co/docs/hub/repositories-licenses.
_LICENCES = {"apache-2.0", "cc-by-sa-4.0", "cc0-1.0", "mit", "other", "unknown"}
_LARGE = (".safetensors", ".gguf", ".npz")


class Hub(ThreadingHTTPServer):
    """Repositories by kind and name, uploaded objects by their SHA-256, and all requests."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repositories: dict[tuple[str, str], dict[str, Any]] = {}
        self.objects: dict[str, bytes] = {}
        self.commits = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def files(self, kind: str, name: str) -> dict[str, bytes]:
        files: dict[str, bytes] = self.repositories[kind, name]["files"]
        return files


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else an answer waits for the acknowledgement of its headers: 40 ms
    server: Hub

    def log_message(self, *_: object) -> None:
        pass

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        content = b""
        while size := int(self.rfile.readline(), 16):
            content += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return content

    def _answer(self, status: int, value: object, **headers: str) -> None:
        content = json.dumps(value).encode()
        self.send_response(status)
        for name, text in ({"Content-Type": "application/json"} | headers).items():
            self.send_header(name.replace("_", "-"), text)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _refuse(self, status: int, why: str, code: str = "") -> None:
        headers = {"X_Error_Message": why} | ({"X_Error_Code": code} if code else {})
        self._answer(status, {"error": why}, **headers)

    def _may(self, *, write: bool) -> bool:
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        if token not in (WRITER, READER):
            self._refuse(
                401, "Invalid credentials in Authorization header" if token else "Invalid username or password."
            )
            return False
        if write and token == READER:
            self._refuse(403, "Forbidden: you must use a write token to upload to a repository.")
            return False
        return True

    def do_GET(self) -> None:
        found = re.fullmatch(r"/api/(model|dataset)s/([^/]+/[^/?]+)(\?.*)?", self.path)
        if not self._may(write=False):
            return
        repository = self.server.repositories.get((found[1], found[2])) if found else None
        if not found or not repository:
            self._refuse(404, "Repository not found", "RepoNotFound")
            return
        siblings = [{"rfilename": name} for name in sorted(repository["files"])]
        self._answer(200, {"id": found[2], "private": repository["private"], "siblings": siblings, "sha": "0" * 40})

    def do_PUT(self) -> None:
        content, named = self._body(), self.path.removeprefix("/lfs/")
        if hashlib.sha256(content).hexdigest() != named:
            self._refuse(400, "the content has another hash")
            return
        self.server.objects[named] = content
        self._answer(200, {})

    def do_POST(self) -> None:
        body = self._body()
        if not self._may(write=self.path != "/api/validate-yaml"):
            return
        if self.path == "/api/repos/create":
            self._create(json.loads(body))
        elif self.path == "/api/validate-yaml":
            self._validate(json.loads(body)["content"])
        elif found := re.fullmatch(r"/(datasets/)?([^/]+/[^/]+)\.git/info/lfs/objects/batch", self.path):
            objects = [
                {
                    "oid": one["oid"],
                    "size": one["size"],
                    "actions": {"upload": {"href": f"{self.server.url}/lfs/{one['oid']}"}},
                }
                for one in json.loads(body)["objects"]
            ]
            self._answer(200, {"transfer": "basic", "objects": objects})
        elif found := re.fullmatch(r"/api/(model|dataset)s/([^/]+/[^/]+)/(preupload|commit)/main", self.path):
            repository = self.server.repositories.get((found[1], found[2]))
            if repository is None:
                self._refuse(404, "Repository not found", "RepoNotFound")
            elif found[3] == "preupload":
                modes = [
                    {
                        "path": file["path"],
                        "uploadMode": "lfs" if file["path"].endswith(_LARGE) else "regular",
                        "shouldIgnore": False,
                    }
                    for file in json.loads(body)["files"]
                ]
                self._answer(200, {"files": modes})
            else:
                self._commit(repository, found[2], [json.loads(line) for line in body.splitlines()])
        else:
            self._refuse(404, f"the stand-in does not know {self.path}")

    def _create(self, asked: dict[str, Any]) -> None:
        kind, owner, name = asked.get("type") or "model", asked.get("organization") or USER, asked["name"]
        if not _NAME.fullmatch(name):
            self._refuse(400, "Invalid repository name")
        elif owner != USER:
            self._refuse(403, f"You don't have the rights to create a {kind} under the namespace {owner!r}")
        elif (kind, f"{owner}/{name}") in self.server.repositories:
            self._refuse(409, "You already created this repo")
        else:
            private = asked.get("visibility") == "private"
            self.server.repositories[kind, f"{owner}/{name}"] = {"private": private, "files": {".gitattributes": b""}}
            self._answer(200, {"url": f"{self.server.url}/{owner}/{name}"})

    def _validate(self, content: str) -> None:
        found = re.match(r"---\n(.*?)\n---\n", content, re.DOTALL)
        fields = yaml.safe_load(found[1]) if found else {}
        errors = []
        if fields.get("license") not in _LICENCES:
            errors.append({"message": f'"license" must be one of {", ".join(sorted(_LICENCES))}'})
        self._answer(400 if errors else 200, {"errors": errors, "warnings": []})

    def _commit(self, repository: dict[str, Any], name: str, lines: list[dict[str, Any]]) -> None:
        files = {}
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                if value["oid"] not in self.server.objects:
                    self._refuse(400, f"the object of {value['path']} was not uploaded")
                    return
                files[value["path"]] = self.server.objects[value["oid"]]
        repository["files"] |= files
        self.server.commits += 1
        self._answer(200, {"commitUrl": f"{self.server.url}/{name}/commit/{'1' * 40}", "commitOid": "1" * 40})
