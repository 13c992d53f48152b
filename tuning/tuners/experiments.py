"""Record runs in Vertex AI Experiments, in the form that Google's ``aiplatform.ExperimentRun`` writes and reads.

An experiment and its runs are contexts in the project's metadata store. The service's client writes them, because
``aiplatform.ExperimentRun`` cannot add a run a second time, and leaves a run without an experiment if it is killed.
No TensorBoard is needed.
"""

import contextlib
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tuning.gcs.access import backoff, google_errors, is_passing, vertex_client
from tuning.settings import Settings

if TYPE_CHECKING:
    from google.api_core.retry import Retry
    from google.cloud.aiplatform_v1 import MetadataServiceClient

EXPERIMENT = "python-qa"
# The schemas, their version and the names of the metadata are those of google.cloud.aiplatform.metadata.constants.
_VERSION = "0.0.1"
_PARAMETERS, _METRICS, _STATE = "_params", "_metrics", "_state"


def record_run(settings: Settings, name: str, parameters: Mapping[str, object], metrics: Mapping[str, float]) -> None:
    """Record a finished run under `name` in the experiment `python-qa` of the setting `region`.

    `name` has lower-case letters, digits and dashes. A run with this name gets the values in addition to its own, so
    that the same run is never there twice. Raises TuningError if Google refuses a call.
    """
    from google.api_core.exceptions import Conflict  # the REST transport's error for HTTP 409
    from google.cloud.aiplatform_v1 import MetadataServiceClient
    from google.cloud.aiplatform_v1.types import Context

    values: dict[str, dict[str, Any]] = {
        _PARAMETERS: {key: one if isinstance(one, int | float | str) else str(one) for key, one in parameters.items()},
        _METRICS: {key: one for key, one in metrics.items() if math.isfinite(one)},
    }
    with google_errors(f"recording the run {name} in Vertex AI Experiments"):
        client = MetadataServiceClient(**vertex_client(settings, settings.region))
        store = _store(client, settings)
        experiment = _create(client, store, EXPERIMENT, "system.Experiment", {"experiment_deleted": False})
        run = f"{EXPERIMENT}-{name}"
        try:
            address = _create(client, store, run, "system.ExperimentRun", values | {_STATE: "COMPLETE"}, name)
        except Conflict:
            address = f"{store}/contexts/{run}"
            found = _as_dict(backoff()(client.get_context)(name=address))
            merged = {key: {**found.get(key, {}), **one} for key, one in values.items()}
            changed = Context(name=address, metadata={**found, **merged, _STATE: "COMPLETE"})
            backoff()(client.update_context)(context=changed, update_mask={"paths": ["metadata"]})
        backoff()(client.add_context_children)(context=experiment, child_contexts=[address])


def _create(
    client: "MetadataServiceClient", store: str, identity: str, schema: str, metadata: dict[str, Any], title: str = ""
) -> str:
    """Create a context and return its name. An experiment that is there already is left as it is.

    Raises Conflict if there is another context with this ID.
    """
    from google.api_core.exceptions import Conflict
    from google.cloud.aiplatform_v1.types import Context

    message = Context(display_name=title or identity, schema_title=schema, schema_version=_VERSION, metadata=metadata)
    try:
        backoff()(client.create_context)(parent=store, context=message, context_id=identity)
    except Conflict:
        if title:
            raise
    return f"{store}/contexts/{identity}"


def _store(client: "MetadataServiceClient", settings: Settings) -> str:
    """Return the name of the region's metadata store. Create it if there is none, as the first pipeline job does too.

    The answer to the request is an operation. Its end is seen by the store, which is not found until then.
    """
    from google.api_core.exceptions import Conflict, NotFound
    from google.cloud.aiplatform_v1.types import EncryptionSpec, MetadataStore

    parent = f"projects/{settings.project}/locations/{settings.region}"
    name = f"{parent}/metadataStores/default"
    try:
        backoff()(client.get_metadata_store)(name=name)
    except NotFound:
        message = MetadataStore(
            encryption_spec=EncryptionSpec(kms_key_name=settings.kms_key) if settings.kms_key else None
        )
        with contextlib.suppress(Conflict):  # another process has just created it
            client.create_metadata_store(parent=parent, metadata_store=message, metadata_store_id="default")
        _until_found()(client.get_metadata_store)(name=name)
    return name


def _until_found() -> "Retry":
    from google.api_core.exceptions import NotFound

    return backoff().with_predicate(lambda error: isinstance(error, NotFound) or is_passing(error))


def _as_dict(context: Any) -> dict[str, Any]:
    """Return the metadata of a context."""
    metadata: dict[str, Any] = type(context).to_dict(context).get("metadata") or {}
    return metadata
