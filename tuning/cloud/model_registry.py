"""Champion and challenger as aliases in Vertex AI's Model Registry, where Google's tuning puts its models itself."""

import re
from typing import TYPE_CHECKING

from tuning.errors import TuningError
from tuning.gcs.access import backoff, credentials, google_errors, require_project
from tuning.settings import Settings

if TYPE_CHECKING:
    from google.cloud.aiplatform_v1 import ModelServiceClient

ALIASES = ("champion", "challenger")
_NAME = re.compile(r"(projects/[^/]+/locations/([^/]+)/models/[^/@]+)@(.+)")


def set_alias(settings: Settings, name: str, alias: str) -> bool:
    """Give the model version ``projects/…/models/ID@VERSION`` the alias champion or challenger and take the other away;
    '' takes both. Returns whether something changed. Raises TuningError for a name of another form.

    The service takes an alias from another version of the same model by itself, but each tuning makes a model of its
    own: who marks a champion unmarks the one before.
    """
    with google_errors(f"marking {name} as {alias or 'neither champion nor challenger'}"):
        held = set(aliases_of(settings, name)) & set(ALIASES)
        wanted = {alias} if alias else set()
        changes = sorted(wanted - held) + sorted(f"-{gone}" for gone in held - wanted)
        if changes:
            client = _client(settings, _parts(name)[1])
            backoff()(client.merge_version_aliases)(name=name, version_aliases=changes)
        return bool(changes)


def aliases_of(settings: Settings, name: str) -> list[str]:
    """The aliases of a model version."""
    with google_errors(f"reading {name}"):
        found = backoff()(_client(settings, _parts(name)[1]).get_model)(name=name)
        return list(found.version_aliases)


def _parts(name: str) -> tuple[str, str, str]:
    match = _NAME.fullmatch(name)
    if not match:
        raise TuningError(f"{name!r} is no model of the Model Registry")
    return match[1], match[2], match[3]


def _client(settings: Settings, location: str) -> "ModelServiceClient":
    from google.cloud.aiplatform_v1 import ModelServiceClient

    require_project(settings)
    endpoint = settings.vertex_endpoint or f"https://{location}-aiplatform.googleapis.com"
    return ModelServiceClient(
        credentials=credentials(settings.vertex_endpoint, settings),
        transport="rest",
        client_options={"api_endpoint": endpoint},
    )
