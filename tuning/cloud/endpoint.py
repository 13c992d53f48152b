"""Deploy models of Model Registry on one Vertex AI endpoint per bucket, and share its traffic among them.

What is deployed is recorded only at the endpoint itself. A deployed model has the name of our version as its display
name (``v3``) and its number as its ID, so Google refuses to deploy a version twice. The label `before` names the
version that a rollback returns to, and `rolled_back_to` the version that got the traffic, if a rollback was the last to
move it.
"""

import contextlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import msgspec

from tuning.cloud.model_registry import bucket_id
from tuning.cloud.operations import OperationFailedError, result_of, running
from tuning.errors import TuningError
from tuning.gcs.access import backoff, google_errors, vertex_client
from tuning.settings import Settings

if TYPE_CHECKING:
    from google.cloud.aiplatform_v1 import EndpointServiceClient

_LONGEST_CREATION, _LONGEST_DEPLOYMENT = 600, 5400  # seconds; Google starts a machine, and copies image and model to it
_BEFORE, _ROLLED_BACK_TO = "before", "rolled_back_to"


class Deployed(msgspec.Struct, frozen=True, kw_only=True):
    """Represent a version that is deployed. `traffic` is its share in percent."""

    version: str
    id: str
    machine: str
    accelerator: str
    traffic: int


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """Represent the endpoint as it was at one moment. `etag` names that moment."""

    name: str
    etag: str
    deployed: list[Deployed]  # the largest share of the traffic first
    labels: dict[str, str]

    @property
    def before(self) -> str:
        """Return the name of the version that a rollback returns to, or ''."""
        return self.labels.get(_BEFORE, "")

    @property
    def rolled_back_to(self) -> str:
        """Return the name of the version that has all traffic since a rollback, or '' if it was moved later."""
        name = self.labels.get(_ROLLED_BACK_TO, "")
        return name if any((one.version, one.traffic) == (name, 100) for one in self.deployed) else ""

    def find(self, version: str) -> Deployed | None:
        """Return the deployed version with this name, or None."""
        return next((one for one in self.deployed if one.version == version), None)


class EndpointChangedError(TuningError):
    """Say that another process has changed the endpoint meanwhile."""


def find_endpoint(settings: Settings) -> Endpoint | None:
    """Return the bucket's endpoint in the setting `region`, or None if there is none.

    Raises TuningError if a call fails.
    """
    from google.api_core.exceptions import NotFound

    name = _name(settings)
    with google_errors(f"reading the endpoint {name}"):
        try:
            found = backoff()(_client(settings).get_endpoint)(name=name)
        except NotFound:
            return None
    split = dict(found.traffic_split)
    deployed = [
        Deployed(
            version=one.display_name,
            id=one.id,
            machine=one.dedicated_resources.machine_spec.machine_type,
            accelerator=one.dedicated_resources.machine_spec.accelerator_type.name,
            traffic=split.get(one.id, 0),
        )
        for one in found.deployed_models
    ]
    return Endpoint(
        name=name,
        etag=found.etag,
        deployed=sorted(deployed, key=lambda one: (-one.traffic, int(one.id))),
        labels=dict(found.labels),
    )


def settled_endpoint(settings: Settings) -> Endpoint | None:
    """Return the bucket's endpoint after all that runs there has ended, or None if there is no endpoint.

    A command that was killed leaves an operation that goes on. Raises TuningError if a call fails.
    """
    if found := find_endpoint(settings):
        with google_errors(f"waiting for the endpoint {found.name}"):
            for operation in running(settings, found.name):
                with contextlib.suppress(OperationFailedError):  # it left nothing; the command that began it said why
                    result_of(settings, operation, _LONGEST_DEPLOYMENT)
    return find_endpoint(settings)


def create_endpoint(settings: Settings) -> None:
    """Create the bucket's endpoint. Call this only if there is none.

    Raises EndpointChangedError if another process is creating it, and TuningError if Google refuses.
    """
    from google.cloud.aiplatform_v1.types import CreateEndpointRequest, EncryptionSpec
    from google.cloud.aiplatform_v1.types import Endpoint as Message

    message = Message(
        display_name=_title(settings),
        encryption_spec=EncryptionSpec(kms_key_name=settings.kms_key) if settings.kms_key else None,
    )
    parent, _, identity = _name(settings).partition("/endpoints/")
    request = CreateEndpointRequest(parent=parent, endpoint=message, endpoint_id=identity)
    with google_errors(f"creating the endpoint {_name(settings)}"):
        with _noticing_changes():
            started = _client(settings).create_endpoint(request)
        result_of(settings, started.operation.name, _LONGEST_CREATION)


def deploy_model(settings: Settings, version: str, model: str, machine: str, accelerator: str) -> None:
    """Start one machine that serves a model version, and wait until it does. It gets no traffic yet.

    `model` is its name in Model Registry, ``projects/…/models/ID@VERSION``, and `accelerator` one of Google's names.
    Raises EndpointChangedError if another process deploys the same version at the same time, and TuningError if Google
    refuses.
    """
    from google.cloud.aiplatform_v1.types import DedicatedResources, DeployedModel, DeployModelRequest, MachineSpec

    spec = MachineSpec(machine_type=machine, accelerator_type=accelerator, accelerator_count=1)
    resources = DedicatedResources(machine_spec=spec, min_replica_count=1, max_replica_count=1)
    deployed = DeployedModel(id=version[1:], display_name=version, model=model, dedicated_resources=resources)
    request = DeployModelRequest(endpoint=_name(settings), deployed_model=deployed)
    with google_errors(f"deploying {version}"):
        with _noticing_changes():
            started = _client(settings).deploy_model(request)
        result_of(settings, started.operation.name, _LONGEST_DEPLOYMENT)


def undeploy_model(settings: Settings, deployed: Deployed) -> None:
    """Stop the machine of a deployed version, and wait until it has stopped. Google refuses one that has traffic.

    The only version of the endpoint may have traffic. Raises TuningError if a call fails.
    """
    with google_errors(f"stopping the machine of {deployed.version}"):
        client = _client(settings)
        started = client.undeploy_model(endpoint=_name(settings), deployed_model_id=deployed.id)
        result_of(settings, started.operation.name, _LONGEST_DEPLOYMENT)


def set_traffic(
    settings: Settings, endpoint: Endpoint, shares: Mapping[str, int], before: str, rolled_back_to: str = ""
) -> None:
    """Give each version its share of the traffic in percent, and record to which version a rollback returns.

    `shares` has versions that are deployed, and adds up to 100. `rolled_back_to` is the version that a rollback gives
    all traffic to. Raises EndpointChangedError if the endpoint is not as in `endpoint`, and TuningError if a call
    fails.
    """
    from google.cloud.aiplatform_v1.types import Endpoint as Message
    from google.cloud.aiplatform_v1.types import UpdateEndpointRequest

    split = {one.id: shares[one.version] for one in endpoint.deployed if shares.get(one.version)}
    kept = {name: value for name, value in endpoint.labels.items() if name != _ROLLED_BACK_TO}
    ours = {_BEFORE: before, _ROLLED_BACK_TO: rolled_back_to}
    message = Message(
        name=endpoint.name,
        display_name=_title(settings),  # not in the mask, but a required field
        etag=endpoint.etag,
        traffic_split=split,
        labels=kept | {name: version for name, version in ours.items() if version},
    )
    request = UpdateEndpointRequest(endpoint=message, update_mask={"paths": ["traffic_split", "labels"]})
    with google_errors(f"moving the traffic of {endpoint.name}"), _noticing_changes():
        _client(settings).update_endpoint(request)


@contextlib.contextmanager
def _noticing_changes() -> Iterator[None]:
    """Raise EndpointChangedError if Google answers that another process changes the endpoint."""
    from google.api_core.exceptions import Conflict  # the REST transport's error for HTTP 409

    try:
        yield
    except Conflict as error:
        raise EndpointChangedError(
            f"another process changes the endpoint ({getattr(error, 'message', error)})", "Run the same command again"
        ) from error


def _name(settings: Settings) -> str:
    return f"projects/{settings.project}/locations/{settings.region}/endpoints/{bucket_id(settings)}"


def _title(settings: Settings) -> str:
    return f"python-qa in {settings.bucket}"[:128]


def _client(settings: Settings) -> "EndpointServiceClient":
    from google.cloud.aiplatform_v1 import EndpointServiceClient

    return EndpointServiceClient(**vertex_client(settings, settings.region))
