"""A KFP template, whatever its address, and the check of parameters against what it declares.

`PipelineJob` checks neither missing parameters nor types; the service does, after the files are uploaded.
"""

import difflib
import hashlib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tuning.errors import TuningError
from tuning.gcs.access import backoff, google_errors, google_url, session
from tuning.gcs.objects import open_object
from tuning.settings import Settings

# The compiler's names, and those of pipelines compiled before KFP 2.
_TYPES = {
    "STRING": str,
    "NUMBER_INTEGER": int,
    "INT": int,
    "NUMBER_DOUBLE": float,
    "DOUBLE": float,
    "BOOLEAN": bool,
    "LIST": list,
    "STRUCT": dict,
}
_NOUNS = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    list: "a JSON list",
    dict: "a JSON object",
}
_REGISTRY = re.compile(r"[\w-]+-kfp\.pkg\.dev")


@dataclass(frozen=True)
class Parameter:
    name: str
    type: type
    required: bool
    default: object = None


@dataclass(frozen=True)
class Template:
    """A compiled pipeline. `uri` is where it came from, `digest` the sha256 of its bytes."""

    uri: str
    content: bytes
    spec: dict[str, Any]
    digest: str

    @property
    def name(self) -> str:
        return str(self.spec["pipelineInfo"]["name"])

    @property
    def parameters(self) -> dict[str, Parameter]:
        declared = self.spec["root"].get("inputDefinitions", {}).get("parameters", {})
        return {name: _parameter(name, facts) for name, facts in declared.items()}


def read_template(settings: Settings, uri: str) -> Template:
    """The template at a KFP registry's address (``https://REGION-kfp.pkg.dev/PROJECT/REPOSITORY/NAME/TAG``), another
    https address of a .yaml or .json, ``gs://`` or a local file."""
    content = _read(settings, uri)
    return Template(uri, content, _spec(content, uri), hashlib.sha256(content).hexdigest())


def fit_parameters(template: Template, given: Mapping[str, object]) -> dict[str, Any]:
    """The parameters with text converted to the declared types. Raises one TuningError that names all that is wrong."""
    declared = template.parameters
    values, wrong = {}, []
    for name, value in given.items():
        if name not in declared:
            wrong.append(f"{name} is not among its parameters{_nearest(name, declared)}")
            continue
        try:
            values[name] = _convert(value, declared[name].type)
        except ValueError:
            wrong.append(f"{name} takes {_NOUNS[declared[name].type]}, not {value!r}")
    wrong += [f"{one.name} is missing" for one in declared.values() if one.required and one.name not in given]
    if wrong:
        shown = ", ".join(f"{one.name}{'' if one.required else '?'}" for one in declared.values())
        raise TuningError(f"the template {template.name} refuses: {'; '.join(wrong)}", f"It takes: {shown}")
    return values


def _parameter(name: str, facts: Mapping[str, Any]) -> Parameter:
    kind = _TYPES[facts.get("parameterType") or facts.get("type") or "STRING"]
    required = "defaultValue" not in facts and not facts.get("isOptional", False)
    return Parameter(name, kind, required, facts.get("defaultValue"))


def _convert(value: object, kind: type) -> object:
    """ValueError where `value` is not of that type and is no text that says such a value."""
    if kind is str:
        if not isinstance(value, str):
            raise ValueError(value)
        return value
    if isinstance(value, str):
        import orjson

        value = orjson.loads(value)  # its error is a ValueError
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise ValueError(value)
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(value)
    return value


def _nearest(name: str, declared: Mapping[str, Parameter]) -> str:
    near = difflib.get_close_matches(name, declared, n=1)
    return f" (did you mean {near[0]}?)" if near else ""


def _read(settings: Settings, uri: str) -> bytes:
    if uri.startswith("gs://"):
        with open_object(settings, uri) as file:
            return file.read()
    if "://" in uri:
        return _download(settings, uri)
    path = Path(uri)
    if not path.is_file():
        raise TuningError(f"there is no template {uri}", "`invoke compile` writes the pipeline of this project")
    return path.read_bytes()


def _download(settings: Settings, uri: str) -> bytes:
    """Credentials go to a KFP registry only; another site serves its template to everybody or not at all."""
    import requests

    if not uri.startswith("https://"):
        raise TuningError(f"{uri} is not an https address", "A template decides what runs in your project")
    registry = _REGISTRY.fullmatch(urlsplit(uri).hostname or "")
    with google_errors(f"fetching the template {uri}"):
        http = session(settings.google_endpoint, settings) if registry else requests.Session()

        def fetch() -> requests.Response:
            answer = http.get(google_url(settings, uri) if registry else uri, timeout=60)
            answer.raise_for_status()
            return answer

        return backoff()(fetch)().content


def _spec(content: bytes, uri: str) -> dict[str, Any]:
    import yaml

    try:
        loaded = next(iter(yaml.safe_load_all(content)), None)  # a second document holds a platform's own settings
    except yaml.YAMLError:
        loaded = None
    spec: Any = loaded.get("pipelineSpec", loaded) if isinstance(loaded, dict) else None
    match spec:
        case {"pipelineInfo": {"name": str()}, "root": dict(), "schemaVersion": str()}:
            return dict(spec)
        case _:
            raise TuningError(f"{uri} is no compiled KFP pipeline", "`invoke compile` writes one")
