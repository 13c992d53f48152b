"""What Google's discovery documents say of a request and of its answer, method by method.

The wheel google-api-python-client contains the documents. They name each method's path and query parameters, and of
each message the fields, their types, the names of enums, and (in the description) whether a field is required.
"""

import base64
import binascii
import json
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from google.cloud.aiplatform_v1.types import AcceleratorType

VERSIONS = {
    "aiplatform.googleapis.com": ("v1", "v1beta1"),
    "artifactregistry.googleapis.com": ("v1",),
    "cloudbilling.googleapis.com": ("v1",),
    "cloudresourcemanager.googleapis.com": ("v3",),
    "iam.googleapis.com": ("v1",),
    "secretmanager.googleapis.com": ("v1",),
    "serviceusage.googleapis.com": ("v1",),
}
_ANY_BODY = "GoogleApiHttpBody"  # what a container takes and gives
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)")
_DURATION = re.compile(r"-?\d+(\.\d{1,9})?s")
_BITS = {"int32": (-(2**31), 2**31), "uint32": (0, 2**32), "int64": (-(2**63), 2**63), "uint64": (0, 2**64)}


class InvalidError(ValueError):
    """What is wrong with a message, and at which field."""


@dataclass(frozen=True)
class Method:
    """A method of an API, with the messages of its API."""

    facts: dict[str, Any]
    shared: dict[str, Any]  # the query parameters of all methods
    schemas: dict[str, Any]

    def request(self, query: dict[str, str], body: Any) -> Any:
        """The body as Google understands it: names in camel case, whole numbers of 64 bits as text, enums by name, no
        fields that only an answer has. Raises InvalidError for what Google would answer with HTTP 400."""
        own = {name: facts for name, facts in self.facts.get("parameters", {}).items() if facts["location"] == "query"}
        for name in query:
            if name not in {*own, *self.shared}:
                raise InvalidError(f'Unknown name "{name}": Cannot bind query parameter.')
        for name, facts in own.items():
            if facts.get("required") and not query.get(name):
                raise InvalidError(f"{name} is required")
            if name in query and not facts.get("repeated"):
                _scalar(facts, query[name] == "true" if facts["type"] == "boolean" else query[name], name)
        if self.facts.get("request") == {"$ref": _ANY_BODY}:
            return body
        if "request" not in self.facts:
            if body:
                raise InvalidError("Request body is not empty")
            return body
        return self._read(self.facts["request"], body or {}, "", is_request=True)

    def check_answer(self, body: Any) -> None:
        """Raises InvalidError for an answer that Google cannot give."""
        if self.facts["response"] == {"$ref": _ANY_BODY}:
            return
        self._read(self.facts["response"], body, "", is_request=False)

    def check(self, name: str, value: Any) -> None:
        """Raises InvalidError if the value is no message of this name."""
        self._read({"$ref": name}, value, "", is_request=False)

    def _read(self, facts: dict[str, Any], value: Any, at: str, *, is_request: bool) -> Any:
        if "$ref" in facts:
            facts = self.schemas[facts["$ref"]]
        if value is None and is_request:
            return None
        match facts["type"]:
            case "any":
                return value
            case "array":
                if not isinstance(value, list):
                    raise InvalidError(f"Invalid value at '{at}': not a list")
                return [
                    self._read(facts["items"], one, f"{at}[{number}]", is_request=is_request)
                    for number, one in enumerate(value)
                ]
            case "object":
                return self._object(facts, value, at, is_request)
            case _:
                return _scalar(facts, value, at, is_request=is_request)

    def _object(self, facts: dict[str, Any], value: Any, at: str, is_request: bool) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise InvalidError(f"Invalid value at '{at}': not an object")
        fields, others = facts.get("properties", {}), facts.get("additionalProperties")
        read = {}
        for name, one in value.items():
            camel = re.sub(r"_(\w)", lambda match: match[1].upper(), name) if is_request and not others else name
            field = fields.get(camel, others)
            inner = f"{at}.{name}" if at else name
            if field is None:
                raise InvalidError(f"Unknown name \"{name}\" at '{at}': Cannot find field.")
            result = self._read(field, one, inner, is_request=is_request)
            if not (is_request and field.get("readOnly")):
                read[camel] = result
        for name, field in fields.items() if is_request else ():
            is_required = field.get("description", "").startswith("Required.") and not field.get("readOnly")
            if is_required and read.get(name) in (None, "", [], {}):
                raise InvalidError(f"{at}.{name} is required".lstrip("."))
        return read


def _scalar(facts: dict[str, Any], value: Any, at: str, *, is_request: bool = True) -> Any:
    """A number, text or truth value in its canonical form. In a request, a number may also be a text."""
    kind, form = facts["type"], facts.get("format", "")
    wrong = InvalidError(f"Invalid value at '{at}' ({form or kind}), {value!r}")
    if kind == "boolean":
        if not isinstance(value, bool):
            raise wrong
        return value
    if form in _BITS:
        is_text = form.endswith("64")
        if isinstance(value, bool) or not (is_request or isinstance(value, str if is_text else int)):
            raise wrong
        try:
            number = int(value) if isinstance(value, (int, str)) or float(value).is_integer() else None
        except (TypeError, ValueError):
            number = None
        if number is None or not _BITS[form][0] <= number < _BITS[form][1]:
            raise wrong
        return str(number) if is_text else number
    if kind in ("number", "integer"):
        try:
            if isinstance(value, bool) or not (is_request or isinstance(value, (int, float))):
                raise wrong
            return float(value)
        except (TypeError, ValueError):
            raise wrong from None
    if "enum" in facts:
        names = facts["enum"]
        if is_request and isinstance(value, int) and not isinstance(value, bool) and value in _numbers(tuple(names)):
            return _numbers(tuple(names))[value]
        if value not in names:
            raise wrong
        return value
    if not isinstance(value, str) or not _has_form(form, value):
        raise wrong
    return value


@cache
def _numbers(names: tuple[str, ...]) -> dict[int, str]:
    """The names of an enum by number, in order except where Google has withdrawn some. A document has no numbers."""
    if names[0] == "ACCELERATOR_TYPE_UNSPECIFIED":
        return {one.value: one.name for one in AcceleratorType if one.name in names}
    return dict(enumerate(names))


def _has_form(form: str, value: str) -> bool:
    if form in ("google-datetime", "date-time"):
        return bool(_TIME.fullmatch(value))
    if form == "google-duration":
        return bool(_DURATION.fullmatch(value))
    if form == "byte":
        try:
            base64.b64decode(value, validate=True)
        except binascii.Error:
            return False
    return True


def find_method(host: str, verb: str, path: str) -> Method | None:
    """The method of the API at `host` that a request asks for, or None if there is none. `path` begins with a slash."""
    for version in VERSIONS.get(host, ()):
        for pattern, method in _methods(host.split(".")[0], version):
            if method.facts["httpMethod"] == verb and pattern.fullmatch(path):
                return method
    return None


def check_message(api: str, name: str, value: Any) -> None:
    """Raises InvalidError if the value is no such message of the first version of the API."""
    method = _methods(api, "v1")[0][1]
    method.check(name, value)


@cache
def _methods(api: str, version: str) -> list[tuple[re.Pattern[str], Method]]:
    documents = files("googleapiclient.discovery_cache.documents")
    document = json.loads((documents / f"{api}.{version}.json").read_text())
    found = []

    def walk(resources: dict[str, Any]) -> None:
        for resource in resources.values():
            for facts in resource.get("methods", {}).values():
                path = re.sub(r"\{\w+\}", "[^/:]+", facts.get("flatPath", facts["path"]))
                found.append((re.compile(f"/{path}"), Method(facts, document["parameters"], document["schemas"])))
            walk(resource.get("resources", {}))

    walk(document["resources"])
    return found
