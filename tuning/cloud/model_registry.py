"""Keep models in Vertex AI Model Registry: artifact, serving container, metrics, and aliases.

Google's tuning registers its models there itself, each as a model of its own. Models that were tuned elsewhere are
versions of one model per bucket, with the name of our version (``v3``) as an alias.
"""

import hashlib
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from tuning.cloud.operations import result_of
from tuning.errors import TuningError
from tuning.gcs.access import backoff, google_errors, vertex_client
from tuning.settings import Settings

if TYPE_CHECKING:
    from google.cloud.aiplatform_v1 import ModelServiceClient

ALIASES = ("champion", "challenger")
# Google's container of vLLM, with the command and routes that Model Garden gives to it. Vertex AI copies the artifact,
# and AIP_STORAGE_URI says where it is: https://cloud.google.com/vertex-ai/docs/predictions/custom-container-requirements
SERVING_IMAGE = "us-docker.pkg.dev/vertex-ai/vertex-vision-model-garden-dockers/pytorch-vllm-serve:20250801_0916_RC01"
SERVING_PORT = 8080
_SERVING_ARGUMENTS = (
    *("python3", "-m", "vllm.entrypoints.api_server", "--host=0.0.0.0", f"--port={SERVING_PORT}"),
    *("--model=$(AIP_STORAGE_URI)", "--tensor-parallel-size=1", "--gpu-memory-utilization=0.95", "--disable-log-stats"),
)
# Model Registry takes metrics of the schemas that Google publishes. This one has bleu and rougeLSum.
_METRICS_SCHEMA = "gs://google-cloud-aiplatform/schema/modelevaluation/general_text_generation_metrics_1.0.0.yaml"
_LONGEST_UPLOAD = 1800  # seconds; Vertex AI copies the artifact and the image
_NAME = re.compile(r"(projects/[^/]+/locations/([^/]+)/models/[^/@]+)@(.+)")


class Upload(msgspec.Struct, frozen=True, kw_only=True):
    """Hold what Model Registry gets of a version."""

    alias: str  # v1, v2, …
    description: str
    labels: dict[str, str]
    artifact: str  # address of the folder with weights, configuration and tokenizer


def find_model(settings: Settings, alias: str) -> str | None:
    """Return the name of the uploaded model version with this alias, ``projects/…/models/ID@VERSION``, or None.

    Raises TuningError if a call fails.
    """
    from google.api_core.exceptions import NotFound

    name = f"{_parent(settings)}/models/{bucket_id(settings)}@{alias}"
    with google_errors(f"looking for {name}"):
        try:
            model = backoff()(_client(settings, settings.region).get_model)(name=name)
        except NotFound:
            return None
        return f"{model.name.partition('@')[0]}@{model.version_id}"


def upload_model(settings: Settings, upload: Upload) -> str:
    """Upload a version with Google's vLLM container, and return its name, ``projects/…/models/ID@VERSION``.

    It becomes a version of the bucket's model, which the first upload creates. Call this only if `find_model` finds
    nothing, because each call creates a version. Raises TuningError if a call fails.
    """
    from google.api_core.exceptions import Conflict  # the REST transport's error for HTTP 409
    from google.cloud.aiplatform_v1.types import EncryptionSpec, Model, ModelContainerSpec, Port, UploadModelRequest

    client, parent, identity = _client(settings, settings.region), _parent(settings), bucket_id(settings)
    model = Model(
        display_name=f"python-qa in {settings.bucket}"[:128],
        version_description=upload.description,
        version_aliases=[upload.alias],
        labels=upload.labels,
        artifact_uri=upload.artifact,
        container_spec=ModelContainerSpec(
            image_uri=SERVING_IMAGE,
            args=list(_SERVING_ARGUMENTS),
            ports=[Port(container_port=SERVING_PORT)],
            predict_route="/generate",
            health_route="/ping",
        ),
        encryption_spec=EncryptionSpec(kms_key_name=settings.kms_key) if settings.kms_key else None,
    )
    with google_errors(f"uploading {upload.alias} to Model Registry"):
        try:
            started = client.upload_model(UploadModelRequest(parent=parent, model=model, model_id=identity))
        except Conflict:  # there is the bucket's model
            name = f"{parent}/models/{identity}"
            started = client.upload_model(UploadModelRequest(parent=parent, model=model, parent_model=name))
        uploaded = result_of(settings, started.operation.name, _LONGEST_UPLOAD)
        return f"{uploaded['model']}@{uploaded['modelVersionId']}"


def import_metrics(settings: Settings, name: str, title: str, metrics: Mapping[str, float]) -> str:
    """Give a model version an evaluation named `title`, unless it has one. Return what was done, or ''.

    All metrics are in the evaluation's metadata. Of those, Google's schema has only ROUGE-L. Google does not say for
    which models it takes evaluations, so a refusal (HTTP 400) is returned as a warning. Raises TuningError if the
    version does not exist or a call fails for another reason.
    """
    from google.api_core.exceptions import BadRequest
    from google.cloud.aiplatform_v1.types import ModelEvaluation

    with google_errors(f"importing the metrics of {name}"):
        client = _client(settings, _parts(name)[1])
        if title in [found.display_name for found in backoff()(client.list_model_evaluations)(parent=name)]:
            return ""
        evaluation = ModelEvaluation(
            display_name=title,
            metrics_schema_uri=_METRICS_SCHEMA,
            metrics={"rougeLSum": metrics["rouge_l"]} if "rouge_l" in metrics else {},
            metadata=dict(metrics),
        )
        try:
            client.import_model_evaluation(parent=name, model_evaluation=evaluation)
        except BadRequest as error:
            return f"warning: Model Registry refused the metrics of {name}: {error.message}"
        return f"metrics of {title} are in Model Registry"


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


def _parent(settings: Settings) -> str:
    return f"projects/{settings.project}/locations/{settings.region}"


def bucket_id(settings: Settings) -> str:
    """Return the ID of the bucket's model and endpoint. A bucket's name can have characters that an ID cannot."""
    return f"python-qa-{hashlib.sha256(settings.bucket.encode()).hexdigest()[:12]}"


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
