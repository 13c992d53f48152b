"""Endpoints of Vertex AI on loopback: deployed models with machines and traffic, by Google's documented rules.

https://cloud.google.com/vertex-ai/docs/general/deployment, and the descriptions of the discovery document.
"""

import itertools
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from google.cloud.aiplatform_v1.types import DeployedModel, Endpoint

from tests.cloud.servers.loopback import Answered, RefusedError, Request
from tests.cloud.servers.model_server import ModelRegistry
from tests.cloud.servers.rules import KEY, NOW, PARENT, check_labels, parse, place, public

# The machines that this project names, with the GPU that is part of each.
_MACHINES = {
    **{f"g2-standard-{cores}": "NVIDIA_L4" for cores in (4, 8, 12, 16, 32)},
    "a2-highgpu-1g": "NVIDIA_TESLA_A100",
    "a2-ultragpu-1g": "NVIDIA_A100_80GB",
    "a3-highgpu-1g": "NVIDIA_H100_80GB",
    "n1-standard-8": "",
}
_KIND = "type.googleapis.com/google.cloud.aiplatform.v1"
_CONTEXT = 20_000  # characters of a conversation that the container reads
_ENDPOINT = rf"{PARENT}/endpoints/([^/:]+)"


@dataclass
class Endpoints:
    """What the service remembers. An operation ends with the look at it after `looks` others."""

    registry: ModelRegistry
    endpoints: dict[str, dict[str, Any]] = field(default_factory=dict)
    operations: dict[str, dict[str, Any]] = field(default_factory=dict)
    looks: int = 1
    fails: str = ""  # why the next deployment ends without a deployed model
    serves: str = ""  # the deployed model that answers next; else the one with the most traffic
    names_itself: bool = True  # whether an answer says which deployed model gave it
    answers: Callable[[str], str] = lambda prompt: f"Answer to: {prompt}"
    numbers: Any = field(default_factory=lambda: itertools.count(7001))

    def routes(self) -> list[tuple[str, str, Callable[[Request], Any]]]:
        return [
            ("POST", rf"{PARENT}/endpoints", self.create),
            ("GET", _ENDPOINT, self.get),
            ("PATCH", _ENDPOINT, self.update),
            ("POST", rf"{_ENDPOINT}:deployModel", self.deploy),
            ("POST", rf"{_ENDPOINT}:undeployModel", self.undeploy),
            ("POST", rf"{_ENDPOINT}/chat/completions", self.chat),
            ("GET", rf"{_ENDPOINT}/operations", self.list_operations),
            ("GET", rf"{_ENDPOINT}/operations/([^/:]+)", self.get_operation),
        ]

    def traffic(self) -> dict[str, int]:
        """The share of each deployed model of the only endpoint, by display name."""
        (endpoint,) = self.endpoints.values()
        return {one["displayName"]: endpoint["trafficSplit"].get(one["id"], 0) for one in endpoint["deployedModels"]}

    def create(self, request: Request) -> dict[str, Any]:
        parent = "projects/{}/locations/{}".format(*place(request))
        identity = request.query.get("endpointId") or str(next(self.numbers))
        if not re.fullmatch(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?|[1-9][0-9]{0,8}", identity):
            raise RefusedError(400, f"endpointId {identity!r} is not allowed")
        parse(Endpoint, request.body)
        if len(request.body["displayName"]) > 128:
            raise RefusedError(400, "displayName takes 1 to 128 characters")
        if request.body.get("trafficSplit"):
            raise RefusedError(400, "trafficSplit names a model that is not deployed")
        key = request.body.get("encryptionSpec", {}).get("kmsKeyName")
        if key is not None and not KEY.fullmatch(key):
            raise RefusedError(400, "kmsKeyName is not a key")
        check_labels(request.body.get("labels", {}))
        name = f"{parent}/endpoints/{identity}"
        if name in self.endpoints:
            raise RefusedError(409, f"{name} already exists")
        made = {"name": name, "deployedModels": [], "trafficSplit": {}, "createTime": NOW, "updateTime": NOW}
        self.endpoints[name] = {**request.body, **made, "etag": self._etag()}
        return self._start(name, "CreateEndpoint", {"@type": f"{_KIND}.Endpoint", "name": name})

    def get(self, request: Request) -> dict[str, Any]:
        return self._endpoint(request)

    def update(self, request: Request) -> dict[str, Any]:
        endpoint, paths = self._endpoint(request), request.query["updateMask"].split(",")
        body = request.body
        if unknown := {*paths} - {"trafficSplit", "labels", "displayName", "description"}:
            raise RefusedError(400, f"updateMask: {min(unknown)} cannot be updated")
        if body.get("etag") and body["etag"] != endpoint["etag"]:
            raise RefusedError(409, f"etag {body['etag']} is not the current one")
        if "trafficSplit" in paths:
            _check_split(body.get("trafficSplit", {}), {one["id"] for one in endpoint["deployedModels"]})
        if "labels" in paths:
            check_labels(body.get("labels", {}))
        empty = {"trafficSplit": {}, "labels": {}}
        endpoint.update({name: body.get(name, empty.get(name, "")) for name in paths}, etag=self._etag())
        return endpoint

    def deploy(self, request: Request) -> dict[str, Any]:
        endpoint, model = self._endpoint(request), request.body["deployedModel"]
        parse(DeployedModel, model)
        identity = model.get("id") or str(next(self.numbers))
        if not re.fullmatch(r"[0-9]{1,10}", identity) or identity == "0":
            raise RefusedError(400, f"deployedModel.id {identity!r} is not 1 to 10 digits")
        there = {one["id"] for one in endpoint["deployedModels"]}
        coming = {one["_deploys"]["id"] for one in self._running(endpoint["name"]) if "_deploys" in one}
        if identity in there | coming:
            raise RefusedError(409, f"a model with the ID {identity} is already deployed")
        self._check_model(model.get("model", ""))
        _check_resources(model)
        if split := request.body.get("trafficSplit"):
            _check_split(split, {*there, "0"})
        deployed = {**model, "id": identity, "createTime": NOW}
        response = {"@type": f"{_KIND}.DeployModelResponse", "deployedModel": deployed}
        split = {identity if key == "0" else key: share for key, share in (split or {}).items()}
        return self._start(
            endpoint["name"], "DeployModel", response, _deploys=deployed, _split=split, _fails=self.fails
        )

    def undeploy(self, request: Request) -> dict[str, Any]:
        endpoint, identity = self._endpoint(request), request.body["deployedModelId"]
        left = [one for one in endpoint["deployedModels"] if one["id"] != identity]
        if len(left) == len(endpoint["deployedModels"]):
            raise RefusedError(404, f"there is no deployed model with the ID {identity}")
        split = request.body.get("trafficSplit") or endpoint["trafficSplit"]
        if left and split.get(identity):
            raise RefusedError(400, f"the deployed model {identity} has {split[identity]}% of the traffic")
        _check_split(request.body.get("trafficSplit", {}), {one["id"] for one in left})
        endpoint.update(deployedModels=left, trafficSplit=split if left else {}, etag=self._etag())
        return self._start(endpoint["name"], "UndeployModel", {"@type": f"{_KIND}.UndeployModelResponse"})

    def chat(self, request: Request) -> Answered:
        """What vLLM's container answers by OpenAI's chat API, on the version whose turn it is."""
        endpoint, body = self._endpoint(request), request.body
        shares = endpoint["trafficSplit"]
        if not shares:
            raise RefusedError(400, f"{endpoint['name']} does not have a deployed model with traffic")
        serves = self.serves or max(shares, key=lambda identity: shares[identity])
        roles = [message["role"] for message in body["messages"]]
        if roles not in (["user"], ["system", "user"]):
            raise RefusedError(400, f"the conversation has the roles {roles}")
        if not 1 <= body["max_tokens"] <= 4096 or not 0 <= body["temperature"] <= 2:
            raise RefusedError(400, "max_tokens or temperature is out of range")
        if sum(len(message["content"]) for message in body["messages"]) > _CONTEXT:
            raise RefusedError(400, "This model's maximum context length is 4096 tokens. Please reduce the length.")
        message = {"role": "assistant", "content": self.answers(body["messages"][-1]["content"])}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        answer = {"id": "chat-1", "object": "chat.completion", "model": "model", "choices": [choice], "usage": usage}
        return Answered(answer, {"X-Vertex-AI-Deployed-Model-Id": serves} if self.names_itself else {})

    def list_operations(self, request: Request) -> dict[str, Any]:
        name = self._endpoint(request)["name"]
        return {"operations": [public(one) for key, one in self.operations.items() if key.startswith(f"{name}/")]}

    def get_operation(self, request: Request) -> dict[str, Any]:
        """The operation as it is now. What it makes is there when it has ended."""
        name = "projects/{}/locations/{}/endpoints/{}/operations/{}".format(*request.groups)
        if name not in self.operations:
            raise RefusedError(404, f"{name} not found")
        operation = self.operations[name]
        if operation.get("done"):
            return public(operation)
        if operation["_looks"]:
            operation["_looks"] -= 1
            return public(operation)
        operation["done"] = True
        if operation.get("_fails"):
            operation["error"] = {"code": 8, "message": operation["_fails"]}
            return public(operation)
        operation["response"] = operation["_response"]
        if "_deploys" in operation:
            endpoint = self.endpoints[name.rpartition("/operations/")[0]]
            endpoint["deployedModels"] = [*endpoint["deployedModels"], operation["_deploys"]]
            endpoint.update(trafficSplit=operation["_split"] or endpoint["trafficSplit"], etag=self._etag())
        return public(operation)

    def _endpoint(self, request: Request) -> dict[str, Any]:
        place(request)
        name = "projects/{}/locations/{}/endpoints/{}".format(*request.groups[:3])
        if name not in self.endpoints:
            raise RefusedError(404, f"{name} not found")
        return self.endpoints[name]

    def _running(self, name: str) -> list[dict[str, Any]]:
        return [one for key, one in self.operations.items() if key.startswith(f"{name}/") and not one.get("done")]

    def _start(self, name: str, kind: str, response: dict[str, Any], **more: Any) -> dict[str, Any]:
        operation = f"{name}/operations/{next(self.numbers)}"
        times = {"genericMetadata": {"createTime": NOW, "updateTime": NOW}}
        metadata = {"@type": f"{_KIND}.{kind}OperationMetadata", **times}
        hidden = {"_response": response, "_looks": self.looks, **more}
        self.operations[operation] = {"name": operation, "metadata": metadata, **hidden}
        return public(self.operations[operation])

    def _etag(self) -> str:
        return f"etag-{next(self.numbers)}"

    def _check_model(self, name: str) -> None:
        plain, _, wanted = name.partition("@")
        versions = self.registry.versions(plain)
        found = [one for one in versions if (wanted or "default") in (one["versionId"], *one["versionAliases"])]
        if not found:
            raise RefusedError(404, f"the model {name} not found")
        if "containerSpec" not in found[0]:
            raise RefusedError(400, f"the model {name} does not support dedicated resources")


def _check_split(split: dict[str, int], identities: set[str]) -> None:
    if unknown := {*split} - identities:
        raise RefusedError(400, f"trafficSplit names {min(unknown)}, which is not deployed")
    if split and (sum(split.values()) != 100 or min(split.values()) < 0):
        raise RefusedError(400, "the values of trafficSplit must add up to 100")


def _check_resources(model: dict[str, Any]) -> None:
    given = [name for name in ("dedicatedResources", "automaticResources", "sharedResources") if name in model]
    if given != ["dedicatedResources"]:
        raise RefusedError(400, "a model with a container takes dedicatedResources")
    resources = model["dedicatedResources"]
    least, machine = resources["minReplicaCount"], resources["machineSpec"]
    if least < 1 or resources.get("maxReplicaCount", least) < least:
        raise RefusedError(400, "minReplicaCount is at least 1, and maxReplicaCount is not below it")
    name, accelerator = machine.get("machineType"), machine.get("acceleratorType", "")
    if name not in _MACHINES:
        raise RefusedError(400, f"machine type {name} is not supported")
    if _MACHINES[name] and accelerator != _MACHINES[name]:
        raise RefusedError(400, f"acceleratorType: {name} has {_MACHINES[name]}")
    if accelerator and machine.get("acceleratorCount") != 1:
        raise RefusedError(400, f"acceleratorCount: {name} has 1")
