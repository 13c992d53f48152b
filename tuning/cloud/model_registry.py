"""Mark champion and challenger as aliases in Vertex AI Model Registry, where Google's tuning registers its models."""

import re
from typing import TYPE_CHECKING

from tuning.errors import TuningError
from tuning.gcs.access import backoff, google_errors, vertex_client
from tuning.settings import Settings

if TYPE_CHECKING:
    from google.cloud.aiplatform_v1 import ModelServiceClient

ALIASES = ("champion", "challenger")
_NAME = re.compile(r"(projects/[^/]+/locations/([^/]+)/models/[^/@]+)@(.+)")


def set_alias(settings: Settings, name: str, alias: str) -> bool:
    """Give a model version the alias champion or challenger and remove the other alias. '' removes both.

    `name` is ``projects/…/models/ID@VERSION``. Returns whether something changed. The service moves an alias between
    versions of one model, but each tuning creates a separate model. So the caller must remove the alias of the previous
    champion. Raises TuningError if `name` has another form or if Google refuses a call.
    """
    with google_errors(f"marking {name} as {alias or 'neither champion nor challenger'}"):
        current = set(aliases_of(settings, name)) & set(ALIASES)
        wanted = {alias} if alias else set()
        changes = sorted(wanted - current) + sorted(f"-{removed}" for removed in current - wanted)
        if changes:
            client = _client(settings, _parts(name)[1])
            backoff()(client.merge_version_aliases)(name=name, version_aliases=changes)
        return bool(changes)


def aliases_of(settings: Settings, name: str) -> list[str]:
    """Return all aliases of a model version. Raises TuningError if the version does not exist or a call fails."""
    with google_errors(f"reading {name}"):
        model = backoff()(_client(settings, _parts(name)[1]).get_model)(name=name)
        return list(model.version_aliases)


def _parts(name: str) -> tuple[str, str, str]:
    match = _NAME.fullmatch(name)
    if not match:
        raise TuningError(
            f"{name!r} is not a model version of Model Registry",
            "Use the form projects/PROJECT/locations/REGION/models/ID@VERSION",
        )
    return match[1], match[2], match[3]


def _client(settings: Settings, region: str) -> "ModelServiceClient":
    from google.cloud.aiplatform_v1 import ModelServiceClient

    return ModelServiceClient(**vertex_client(settings, region))
