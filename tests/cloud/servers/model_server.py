"""Model Registry on loopback: models with versions, aliases and evaluations, by Google's documented rules."""

import itertools
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from google.cloud.aiplatform_v1.types import Model

from tests.cloud.servers.discovery import InvalidError, check_message
from tests.cloud.servers.loopback import RefusedError, Request
from tests.cloud.servers.rules import KEY, NOW, PARENT, check_labels, parse, place, public

_ALIAS = re.compile(r"[a-z][a-zA-Z0-9-]{0,126}[a-z0-9]")
_IMAGE = re.compile(r"([a-z0-9-]+-docker\.pkg\.dev|([a-z]+\.)?gcr\.io)/[^\s]+")
# The schemas of metrics that Google publishes, with the message that its discovery document has for each.
_METRICS = {
    "gs://google-cloud-aiplatform/schema/modelevaluation/general_text_generation_metrics_1.0.0.yaml": (
        "GoogleCloudAiplatformV1SchemaModelevaluationMetricsGeneralTextGenerationEvaluationMetrics"
    ),
}
_VERSION = rf"{PARENT}/models/([^/:@]+)(?:@([^/:@]+))?"


@dataclass
class ModelRegistry:
    """What Model Registry remembers. The first version of a model is under its name, the others under NAME@NUMBER."""

    models: dict[str, dict[str, Any]] = field(default_factory=dict)
    evaluations: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    operations: dict[str, dict[str, Any]] = field(default_factory=dict)
    numbers: Any = field(default_factory=lambda: itertools.count(5001))

    def routes(self) -> list[tuple[str, str, Callable[[Request], Any]]]:
        return [
            ("POST", rf"{PARENT}/models:upload", self.upload),
            ("GET", rf"{PARENT}/models/([^/:@]+)/operations/([^/:]+)", self.get_operation),
            ("GET", _VERSION, self.get),
            ("POST", rf"{_VERSION}:mergeVersionAliases", self.merge_aliases),
            ("GET", rf"{_VERSION}/evaluations", self.list_evaluations),
            ("POST", rf"{_VERSION}/evaluations:import", self.import_evaluation),
        ]

    def versions(self, name: str) -> list[dict[str, Any]]:
        """The versions of the model `name`."""
        return [model for key, model in self.models.items() if key.split("@")[0] == name]

    def marked(self, alias: str) -> list[str]:
        """The versions, as NAME@NUMBER, that have the alias."""
        return [
            f"{model['name']}@{model['versionId']}"
            for model in self.models.values()
            if alias in model["versionAliases"]
        ]

    def upload(self, request: Request) -> dict[str, Any]:
        parent = "projects/{}/locations/{}/models".format(*place(request))
        body, asked = request.body, request.body.get("parentModel", "")
        parse(Model, body["model"])
        number = str(next(self.numbers))
        name = asked or f"{parent}/{body.get('modelId') or number}"
        if asked and body.get("modelId"):
            raise RefusedError(400, "modelId and parentModel cannot both be given")
        if not re.fullmatch(r"[a-z_][a-z0-9_-]{0,62}", body.get("modelId") or "x"):
            raise RefusedError(400, f"modelId {body['modelId']!r} is not allowed")
        before = self.versions(name)
        if asked and not before:
            raise RefusedError(404, f"{asked} not found")
        if before and not asked:
            raise RefusedError(409, f"{name} already exists")
        _check_model(body["model"])
        aliases = body["model"].get("versionAliases", [])
        _check_aliases(aliases)
        if taken := [alias for alias in aliases for model in before if alias in model["versionAliases"]]:
            raise RefusedError(400, f"alias {taken[0]} is used by another version")
        version = str(len(before) + 1)
        self.models[name if version == "1" else f"{name}@{version}"] = {
            **body["model"],
            "name": name,
            "versionId": version,
            "versionAliases": [*([] if before else ["default"]), *aliases],
            "createTime": NOW,
            "updateTime": NOW,
        }
        operation = f"{name}/operations/{number}"
        kind = "type.googleapis.com/google.cloud.aiplatform.v1.UploadModel"
        metadata = {"@type": f"{kind}OperationMetadata", "genericMetadata": {"createTime": NOW, "updateTime": NOW}}
        response = {"@type": f"{kind}Response", "model": name, "modelVersionId": version}
        self.operations[operation] = {"name": operation, "metadata": metadata, "_response": response}
        return public({**self.operations[operation], "done": False})

    def get_operation(self, request: Request) -> dict[str, Any]:
        name = "projects/{}/locations/{}/models/{}/operations/{}".format(*request.groups)
        if name not in self.operations:
            raise RefusedError(404, f"{name} not found")
        return public({**self.operations[name], "done": True, "response": self.operations[name]["_response"]})

    def get(self, request: Request) -> dict[str, Any]:
        """The version with that number or alias."""
        place(request)
        name, wanted = "projects/{}/locations/{}/models/{}".format(*request.groups[:3]), request.groups[3]
        for model in self.versions(name):
            if (wanted or "default") in (model["versionId"], *model["versionAliases"]):
                return model
        raise RefusedError(404, f"{name} not found, or its version {wanted or 'default'}")

    def merge_aliases(self, request: Request) -> dict[str, Any]:
        if not (request.groups[3] or "").isdigit():
            raise RefusedError(400, "name must include a version ID")
        model, asked = self.get(request), request.body.get("versionAliases", [])
        _check_aliases([alias.removeprefix("-") for alias in asked])
        if "-default" in asked:
            raise RefusedError(400, "a model has exactly one default version alias")
        added = [alias for alias in asked if alias[0] != "-"]
        for other in self.versions(model["name"]):
            gone = {alias[1:] for alias in asked if alias[0] == "-"} if other is model else {*added}
            other["versionAliases"] = [alias for alias in other["versionAliases"] if alias not in gone]
        model["versionAliases"] += [alias for alias in added if alias not in model["versionAliases"]]
        parse(Model, model)
        return model

    def list_evaluations(self, request: Request) -> dict[str, Any]:
        model = self.get(request)
        return {"modelEvaluations": self.evaluations.get(f"{model['name']}@{model['versionId']}", [])}

    def import_evaluation(self, request: Request) -> dict[str, Any]:
        model, evaluation = self.get(request), request.body["modelEvaluation"]
        schema = _METRICS.get(evaluation.get("metricsSchemaUri", ""))
        if schema is None:
            raise RefusedError(400, f"metricsSchemaUri {evaluation.get('metricsSchemaUri')!r} is no schema of metrics")
        try:
            check_message("aiplatform", schema, evaluation.get("metrics"))
        except InvalidError as error:
            raise RefusedError(400, f"metrics do not match metricsSchemaUri: {error}") from None
        made = {**evaluation, "name": f"{model['name']}/evaluations/{next(self.numbers)}", "createTime": NOW}
        self.evaluations.setdefault(f"{model['name']}@{model['versionId']}", []).append(made)
        return made


def _check_model(model: dict[str, Any]) -> None:
    """What Google documents of a model beyond its fields' types."""
    if len(model["displayName"]) > 128:
        raise RefusedError(400, "displayName takes 1 to 128 characters")
    check_labels(model.get("labels", {}))
    if not re.fullmatch(r"gs://[a-z0-9][a-z0-9._-]+/.+", model.get("artifactUri", "gs://bucket/x")):
        raise RefusedError(400, f"artifactUri {model['artifactUri']!r} is not a folder in Cloud Storage")
    container = model.get("containerSpec")
    if container is None:
        raise RefusedError(400, "containerSpec is required for a model that was not trained by Vertex AI")
    if not _IMAGE.fullmatch(container["imageUri"]):
        raise RefusedError(400, f"imageUri {container['imageUri']!r} is not in Artifact Registry or Container Registry")
    for route in ("predictRoute", "healthRoute"):
        if not container.get(route, "/").startswith("/"):
            raise RefusedError(400, f"{route} {container[route]!r} is not a path")
    for port in container.get("ports", []):
        if not 1 <= port.get("containerPort", 0) <= 65535:
            raise RefusedError(400, f"containerPort {port.get('containerPort')} is not a port")
    key = model.get("encryptionSpec", {}).get("kmsKeyName")
    if key is not None and not KEY.fullmatch(key):
        raise RefusedError(400, "kmsKeyName is not a key")


def _check_aliases(aliases: list[str]) -> None:
    for alias in aliases:
        if not _ALIAS.fullmatch(alias):
            raise RefusedError(400, f"alias {alias!r} is not allowed")
