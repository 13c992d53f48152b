"""The metadata store of Vertex AI on loopback: contexts and their children, by Google's documented rules.

https://cloud.google.com/vertex-ai/docs/ml-metadata, and the descriptions of the discovery document.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from google.cloud.aiplatform_v1.types import Context, MetadataStore

from tests.cloud.servers.loopback import RefusedError, Request
from tests.cloud.servers.rules import KEY, NOW, PARENT, check_labels, parse, place, public

# The system schemas of contexts that this project uses: https://cloud.google.com/vertex-ai/docs/ml-metadata/system-schemas
SCHEMAS = {("system.Experiment", "0.0.1"), ("system.ExperimentRun", "0.0.1")}
_STORE = rf"{PARENT}/metadataStores/([^/:]+)"
_CONTEXT = rf"{_STORE}/contexts/([^/:]+)"
_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,127}")
_MOST_PARENTS = 10


@dataclass
class Metadata:
    """What the service remembers. A new store is found after `looks` looks."""

    stores: dict[str, dict[str, Any]] = field(default_factory=dict)
    contexts: dict[str, dict[str, Any]] = field(default_factory=dict)
    looks: int = 1

    def routes(self) -> list[tuple[str, str, Callable[[Request], Any]]]:
        return [
            ("POST", rf"{PARENT}/metadataStores", self.create_store),
            ("GET", _STORE, self.get_store),
            ("POST", rf"{_STORE}/contexts", self.create),
            ("GET", rf"{_STORE}/contexts", self.list),
            ("GET", _CONTEXT, self.get),
            ("PATCH", _CONTEXT, self.update),
            ("POST", rf"{_CONTEXT}:addContextChildren", self.add_children),
            ("GET", rf"{_STORE}/artifacts/([^/:]+)", self.no_artifact),
            ("GET", rf"{_STORE}/executions", lambda request: {}),
        ]

    def create_store(self, request: Request) -> dict[str, Any]:
        name = "projects/{}/locations/{}/metadataStores/{}".format(*place(request), request.query["metadataStoreId"])
        parse(MetadataStore, request.body)
        key = request.body.get("encryptionSpec", {}).get("kmsKeyName")
        if key is not None and not KEY.fullmatch(key):
            raise RefusedError(400, "kmsKeyName is not a key")
        if name in self.stores:
            raise RefusedError(409, f"{name} already exists")
        times = {"createTime": NOW, "updateTime": NOW}
        self.stores[name] = {**request.body, **times, "name": name, "_looks": self.looks}
        return {"name": f"{name}/operations/1"}

    def get_store(self, request: Request) -> dict[str, Any]:
        store = self.stores.get("projects/{}/locations/{}/metadataStores/{}".format(*place(request), request.groups[2]))
        if store is None or store["_looks"]:
            if store:
                store["_looks"] -= 1
            raise RefusedError(404, "The specified resource `metadataStore` is not found.")
        return public(store)

    def create(self, request: Request) -> dict[str, Any]:
        parent, identity = self.get_store(request)["name"], request.query.get("contextId", "")
        if not _ID.fullmatch(identity):
            raise RefusedError(400, f"contextId {identity!r} does not match [a-z0-9][a-z0-9-]{{0,127}}")
        name = f"{parent}/contexts/{identity}"
        if name in self.contexts:
            raise RefusedError(409, f"Context with name {name} already exists")
        _check(request.body)
        if (request.body.get("schemaTitle"), request.body.get("schemaVersion")) not in SCHEMAS:
            raise RefusedError(400, f"the schema {request.body.get('schemaTitle')} is not registered")
        times = {"createTime": NOW, "updateTime": NOW, "etag": "1"}
        self.contexts[name] = {**request.body, **times, "name": name, "parentContexts": []}
        return self.contexts[name]

    def get(self, request: Request) -> dict[str, Any]:
        return self._context("projects/{}/locations/{}/metadataStores/{}/contexts/{}".format(*request.groups))

    def update(self, request: Request) -> dict[str, Any]:
        context, body = self.get(request), request.body
        _check(body)
        if body.get("etag") and body["etag"] != context["etag"]:
            raise RefusedError(409, f"Provided etag {body['etag']} does not match {context['etag']}")
        given = {"metadata", "displayName", "description", "labels"} & {*body}
        paths = request.query["updateMask"].split(",") if "updateMask" in request.query else given
        context.update({name: body[name] for name in paths}, etag=str(int(context["etag"]) + 1))
        return context

    def add_children(self, request: Request) -> dict[str, Any]:
        parent = self.get(request)["name"]
        for child in map(self._context, request.body.get("childContexts", [])):
            if parent not in child["parentContexts"]:
                child["parentContexts"].append(parent)
            if len(child["parentContexts"]) > _MOST_PARENTS:
                raise RefusedError(400, "a Context has at most 10 parents")
        return {}

    def list(self, request: Request) -> dict[str, Any]:
        """Only what the filters of Google's client say: titles of schemas, and one parent."""
        asked = request.query.get("filter", "")
        titles, parents = re.findall(r'schema_title="([^"]+)"', asked), re.findall(r'parent_contexts:"([^"]+)"', asked)
        found = [
            one
            for one in self.contexts.values()
            if (not titles or one["schemaTitle"] in titles) and {*parents} <= {*one["parentContexts"]}
        ]
        return {"contexts": found}

    def no_artifact(self, request: Request) -> dict[str, Any]:
        """The one of a TensorBoard's run, which Google's client looks for."""
        raise RefusedError(404, "The specified resource `artifact` is not found.")

    def _context(self, name: str) -> dict[str, Any]:
        if name not in self.contexts:
            raise RefusedError(404, f"{name} not found")
        return self.contexts[name]


def _check(body: dict[str, Any]) -> None:
    parse(Context, body)
    check_labels(body.get("labels", {}))
    if len(body.get("displayName", "")) > 128:
        raise RefusedError(400, "displayName takes at most 128 characters")
