"""What the stand-ins of Vertex AI have in common: places, times, messages and labels."""

import re
from typing import Any

from google.protobuf import json_format

from tests.cloud.servers.loopback import RefusedError, Request

REGIONS = {"us-central1", "europe-west4", "us", "eu"}
NOW = "2026-11-05T03:00:00.123456Z"
PARENT = r"/(?:v1|v1beta1)/projects/([^/]+)/locations/([^/]+)"
LABEL = re.compile(r"[a-z0-9_-]{0,63}")
KEY = re.compile(r"projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+")


def place(request: Request) -> tuple[str, str]:
    project, location = request.groups[:2]
    if location not in REGIONS:
        raise RefusedError(400, f"location {location} is not served here")
    return project, location


def parse(kind: Any, body: Any) -> Any:
    """`body` as Google's message; an unknown field or a value of the wrong type is refused."""
    try:
        message = json_format.ParseDict(body or {}, kind()._pb, ignore_unknown_fields=False)
    except json_format.ParseError as error:
        raise RefusedError(400, f"Invalid JSON payload received. {error}") from None
    return kind.wrap(message)


def check_labels(labels: dict[str, str]) -> None:
    for key, value in labels.items():
        if not re.fullmatch(r"[a-z][a-z0-9_-]{0,62}", key) or not LABEL.fullmatch(value):
            raise RefusedError(400, f"label {key}={value} has characters that labels refuse")


def public(resource: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in resource.items() if not name.startswith("_")}
