"""Read a KFP template from an address or a file, and check parameters against the ones that it declares.

`PipelineJob` does not check for missing parameters or wrong types. The service does, but only after the files are
uploaded.
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
from tuning.gcs.storage import find_storage
from tuning.settings import Settings
from tuning.storage import is_in_bucket
from tuning.target import command_in_words

# The type names in pipelines compiled by KFP 2 or by earlier versions.
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
    """Represent a parameter that a template declares."""

    name: str
    type: type
    required: bool
    default: object = None


@dataclass(frozen=True)
class Template:
    """Represent a compiled pipeline. `uri` is the address that it was read from, `digest` the SHA-256 of its bytes."""

    uri: str
    content: bytes
    spec: dict[str, Any]
    digest: str

    @property
    def name(self) -> str:
        """Return the name of the pipeline."""
        return str(self.spec["pipelineInfo"]["name"])

    @property
    def parameters(self) -> dict[str, Parameter]:
        """Return the parameters that the pipeline declares, by name."""
        declared = self.spec["root"].get("inputDefinitions", {}).get("parameters", {})
        return {str(name): _parameter(str(name), facts) for name, facts in declared.items()}


def read_template(settings: Settings, uri: str) -> Template:
    """Read the template at `uri`.

    `uri` is an address in a KFP registry (``https://REGION-kfp.pkg.dev/PROJECT/REPOSITORY/NAME/TAG``), another https
    address of a .yaml or .json file, a ``gs://`` address or a local path. Raises TuningError if the template cannot be
    read or is not a compiled pipeline.
    """
    content = _read(settings, uri)
    template = Template(uri, content, _spec(content, uri), hashlib.sha256(content).hexdigest())
    try:
        _ = template.parameters
    except (AttributeError, KeyError, TypeError):
        raise _no_pipeline(uri) from None
    return template


def fit_parameters(template: Template, given: Mapping[str, object]) -> dict[str, Any]:
    """Return the parameters, with texts converted to the declared types.

    Raises TuningError if parameters are unknown, missing or of the wrong type. Its message lists all of them.
    """
    declared = template.parameters
    values, wrong = {}, []
    for name, value in given.items():
        if name not in declared:
            wrong.append(f"{name} is not one of its parameters{_nearest(name, declared)}")
            continue
        try:
            values[name] = _convert(value, declared[name].type)
        except ValueError:
            wrong.append(f"{name} must be {_NOUNS[declared[name].type]}, not {value!r}")
    wrong += [f"{one.name} is missing" for one in declared.values() if one.required and one.name not in given]
    if wrong:
        known = ", ".join(f"{one.name}{'' if one.required else '?'}" for one in declared.values())
        raise TuningError(
            f"wrong parameters for the template {template.name}: {'; '.join(wrong)}",
            f"Its parameters, optional ones marked with ?: {known}",
        )
    return values


def _parameter(name: str, facts: Mapping[str, Any]) -> Parameter:
    kind = _TYPES[facts.get("parameterType") or facts.get("type") or "STRING"]
    required = "defaultValue" not in facts and not facts.get("isOptional", False)
    return Parameter(name, kind, required, facts.get("defaultValue"))


def _convert(value: object, kind: type) -> object:
    """Return `value` as the type `kind`. Unless `kind` is str, parse a text as JSON.

    Raises ValueError if a text is not JSON or the type does not match.
    """
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
    if is_in_bucket(uri):
        with find_storage(settings).open(uri) as file:
            return file.read()
    if "://" in uri:
        return _download(settings, uri)
    path = Path(uri)
    if not path.is_file():
        raise TuningError(
            f"there is no template {uri}",
            f"Run {command_in_words(settings, 'compile')} to write this project's pipeline",
        )
    return path.read_bytes()


def _download(settings: Settings, uri: str) -> bytes:
    """Download a template. Credentials are sent only to a KFP registry; other sites must allow public access."""
    import requests

    if not uri.startswith("https://"):
        raise TuningError(f"{uri} is not an https address", "Use https: a template decides what runs in your project")
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
        loaded = next(iter(yaml.safe_load_all(content)), None)  # skips a second, platform-specific document
    except Exception:  # PyYAML raises many errors for values that Python cannot represent
        loaded = None
    spec: Any = loaded.get("pipelineSpec", loaded) if isinstance(loaded, dict) else None
    match spec:
        case {"pipelineInfo": {"name": str()}, "root": dict(), "schemaVersion": str()}:
            return dict(spec)
        case _:
            raise _no_pipeline(uri)


def _no_pipeline(uri: str) -> TuningError:
    return TuningError(f"{uri} is not a compiled KFP pipeline", "Run `invoke compile` to write one")
