"""Google's smaller APIs on loopback: the KFP template registry, and what `cloud.check` and `cloud.init` ask."""

import base64
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from google.iam.v1.iam_policy_pb2 import TestIamPermissionsRequest
from google.protobuf import json_format

from tests.cloud.servers.discovery import Method, find_method
from tests.cloud.servers.loopback import Loopback, RefusedError, Request
from tuning.cloud.required import APIS, FORMATS, GRANTS

MANAGER = r"/cloudresourcemanager\.googleapis\.com/v3/projects"
SECRETS = r"/secretmanager\.googleapis\.com/v1/projects/mine/secrets"
REGISTRY = r"/artifactregistry\.googleapis\.com/v1/projects/mine/locations/([\w-]+)/repositories"


@dataclass
class Google:
    """The project `mine`, in which all is right until a test changes it. Paths begin with the host they would have."""

    templates: dict[str, bytes] = field(default_factory=dict)
    number: str = "1234"
    billing: bool = True
    apis: set[str] = field(default_factory=lambda: set(APIS))
    permissions: set[str] = field(default_factory=lambda: {one for grant in GRANTS for one in grant.permissions})
    operations: dict[str, str] = field(default_factory=dict)  # running: by name, the repository that they make
    fails: str = ""  # why a running operation ends without a repository
    repositories: set[str] = field(default_factory=lambda: {f"us-central1/{name}" for name in FORMATS})
    images: set[str] = field(default_factory=set)  # such as us-central1/python-qa/tuning@sha256:…
    secrets: dict[str, str] = field(default_factory=dict)

    def routes(self) -> list[tuple[str, str, Callable[[Request], Any]]]:
        return [
            ("GET", r"/([\w-]+-kfp\.pkg\.dev/.+)", self.template),
            ("GET", rf"{MANAGER}/mine", lambda request: {"name": f"projects/{self.number}", "state": "ACTIVE"}),
            ("POST", rf"{MANAGER}/mine:testIamPermissions", self.held),
            ("POST", r"/iam\.googleapis\.com/v1/projects/-/serviceAccounts/[^/:]+:testIamPermissions", self.held),
            (
                "GET",
                r"/cloudbilling\.googleapis\.com/v1/projects/mine/billingInfo",
                lambda request: {"billingEnabled": self.billing},
            ),
            ("GET", r"/serviceusage\.googleapis\.com/v1/projects/mine/services:batchGet", self.services),
            ("GET", rf"{REGISTRY}/([\w-]+)", self.repository),
            ("GET", rf"{REGISTRY}/([\w-]+)/dockerImages/(.+)", self.image),
            ("GET", rf"{SECRETS}/([\w-]+)/versions/latest:access", self.secret),
            ("POST", rf"{REGISTRY}/[\w-]+:testIamPermissions", self.held),
            ("POST", REGISTRY, self.create_repository),
            ("GET", r"/artifactregistry\.googleapis\.com/v1/(projects/mine/locations/[\w-]+/operations/.+)", self.look),
        ]

    def template(self, request: Request) -> bytes:
        address = f"https://{request.groups[0]}"
        if address not in self.templates:
            raise RefusedError(404, f"{address} not found")
        return self.templates[address]

    def held(self, request: Request) -> dict[str, Any]:
        try:
            asked = json_format.ParseDict(request.body, TestIamPermissionsRequest())
        except json_format.ParseError as error:
            raise RefusedError(400, str(error)) from None
        if any("*" in permission or not re.fullmatch(r"\w+(\.\w+){2}", permission) for permission in asked.permissions):
            raise RefusedError(400, "a permission has the form service.resource.verb")
        return {"permissions": [one for one in asked.permissions if one in self.permissions]}

    def services(self, request: Request) -> dict[str, Any]:
        states = [(api, "ENABLED" if api in self.apis else "DISABLED") for api in APIS]
        return {
            "services": [{"name": f"projects/{self.number}/services/{api}", "state": state} for api, state in states]
        }

    def repository(self, request: Request) -> dict[str, Any]:
        if "/".join(request.groups) not in self.repositories:
            raise RefusedError(404, f"repository {request.groups[1]} not found")
        return {"name": f"projects/mine/locations/{request.groups[0]}/repositories/{request.groups[1]}"}

    def image(self, request: Request) -> dict[str, Any]:
        place, repository, name = request.groups
        if "/".join(request.groups) not in self.images:
            raise RefusedError(404, f"image {name} not found")
        return {"name": f"projects/mine/locations/{place}/repositories/{repository}/dockerImages/{name}"}

    def secret(self, request: Request) -> dict[str, Any]:
        (name,) = request.groups
        if name not in self.secrets:
            raise RefusedError(404, f"Secret [projects/{self.number}/secrets/{name}] not found or has no versions.")
        data = base64.b64encode(self.secrets[name].encode()).decode()
        return {"name": f"projects/{self.number}/secrets/{name}/versions/1", "payload": {"data": data}}

    def create_repository(self, request: Request) -> dict[str, Any]:
        if request.body.get("format") not in FORMATS.values():
            raise RefusedError(400, "format is required")
        identity = request.query.get("repositoryId", "")
        if not re.fullmatch(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?", identity):
            raise RefusedError(400, f"repositoryId {identity!r} is not a name of lower-case letters, digits and dashes")
        name = f"{request.groups[0]}/{identity}"
        if name in self.repositories:
            raise RefusedError(409, f"{name} already exists")
        operation = f"projects/mine/locations/{request.groups[0]}/operations/{identity}"
        self.operations[operation] = name
        return {"name": operation, "metadata": {}}

    def look(self, request: Request) -> dict[str, Any]:
        """The operation as it is now: the first look finds that it has ended."""
        (name,) = request.groups
        if name not in self.operations:
            raise RefusedError(404, f"{name} not found")
        if self.fails:
            return {"name": name, "done": True, "error": {"code": 8, "message": self.fails}}
        self.repositories.add(self.operations[name])
        resource = "/repositories/".join(self.operations[name].split("/"))
        return {"name": name, "done": True, "response": {"name": f"projects/mine/locations/{resource}"}}


def serve(google: Google) -> Loopback:
    def find(request: Request) -> Method | None:
        _, host, path = request.path.split("/", 2)
        return find_method(host, request.method, f"/{path}")

    return Loopback(google.routes(), find=find)
