"""Versions on an endpoint of Vertex AI: price first, one endpoint, one machine a version, traffic that adds up."""

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from google.cloud.aiplatform_v1.types import AcceleratorType

from tests.cloud.as_typed import variables
from tests.cloud.servers.loopback import Fault, Loopback
from tests.cloud.servers.vertex_server import Vertex
from tests.invoked import invoke_here
from tests.registry.candidates import register
from tuning.cloud.endpoint import EndpointChangedError, find_endpoint, set_traffic
from tuning.command_line.options import DeployOptions
from tuning.errors import TuningError
from tuning.registry import deployment, registry
from tuning.registry.deployment import deploy, publish, roll_back, undeploy
from tuning.registry.mirror import mirror
from tuning.settings import Settings
from tuning.tuners.gemini.prices import MACHINES
from tuning.tuners.protocol import Model

OWN = "projects/mine/locations/us/endpoints/77"


@pytest.fixture
def versions(cloud: Settings, tmp_path: Path) -> list[str]:
    """v1 to v3 of tuner hf; v1 is the champion."""

    def make(key: str) -> str:
        work = tmp_path / key
        (work / "merged").mkdir(parents=True)
        (work / "merged" / "model.safetensors").write_bytes(key.encode())
        return register(cloud, Model(tuner="hf", base_model="small", uri=str(work / "merged")), work)

    names = [make(key) for key in ("a", "b", "c")]
    registry.promote(cloud, "v1", force=True, reason="a trial")
    return names


@pytest.fixture
def gemini(cloud: Settings, versions: list[str], tmp_path: Path) -> str:
    work = tmp_path / "gemini"
    work.mkdir()
    return register(cloud, Model(tuner="gemini", base_model="gemini-3.5-flash", uri=OWN), work)


def test_a_kept_adapter_is_neither_uploaded_nor_deployed_and_the_line_says_why(
    cloud: Settings, versions: list[str], vertex: Vertex, vertex_api: Loopback, tmp_path: Path
) -> None:
    work = tmp_path / "kept"
    (work / "adapter").mkdir(parents=True)
    (work / "adapter" / "adapter_model.safetensors").write_bytes(b"small")
    name = register(cloud, Model(tuner="hf", base_model="a/b", uri=str(work / "adapter")), work)
    why = "only its adapter was kept, and Google's container needs whole weights: tune it again with --keep merged"
    assert f"{name} is not in the Model Registry: {why}" in mirror(cloud)
    assert len(vertex.registry.models) == len(versions)
    with pytest.raises(TuningError, match=f"{name} cannot be deployed: {why}"):
        deploy(cloud, DeployOptions(model=name), print)
    assert not vertex_api.asked("POST", "/endpoints$")
    deploy(cloud, DeployOptions(model="v1"), print)
    registry.promote(cloud, name, force=True, reason="a trial")
    assert publish(cloud)[-1] == f"{name} cannot be deployed ({why}), and v1 still gets the traffic"


Say = Callable[..., list[str]]


@pytest.fixture
def run(cloud: Settings) -> Say:
    """Deploys with these options, and returns the lines."""

    def say(**options: object) -> list[str]:
        lines: list[str] = []
        deploy(cloud, DeployOptions(**options), lines.append)  # type: ignore[arg-type]
        return lines

    return say


def made(vertex_api: Loopback) -> int:
    """The deployments that Google was asked for."""
    return len(vertex_api.asked("POST", ":deployModel$"))


def test_the_champion_is_deployed_once_with_its_price_first(
    run: Say, versions: list[str], vertex: Vertex, vertex_api: Loopback
) -> None:
    lines = run()
    (endpoint,) = vertex.endpoints.endpoints
    assert lines[0] == "v1 on g2-standard-8 with NVIDIA_L4: about 0.98 dollars an hour, 23.56 a day"
    assert (
        lines[1]
        .strip()
        .startswith(
            "the price of g2-standard-8 is computed for us-central1, from Compute Engine's prices of "
            f"{MACHINES['g2-standard-8'].quoted} and Vertex AI's 15%: check https://cloud."
        )
    )
    assert lines[2].strip() == (
        "machines cost this whether anybody asks or not, until `invoke deploy --undeploy --target gcp`"
    )
    assert lines[-1] == f"v1 gets 100% of {endpoint}"
    (asked,) = vertex_api.asked("POST", ":deployModel$")
    assert asked.body["deployedModel"] == {
        "id": "1",
        "displayName": "v1",
        "model": f"{next(iter(vertex.models))}@1",
        "dedicatedResources": {
            "machineSpec": {
                "machineType": "g2-standard-8",
                "acceleratorType": AcceleratorType.NVIDIA_L4.value,
                "acceleratorCount": 1,
            },
            "minReplicaCount": 1,
            "maxReplicaCount": 1,
        },
    }
    assert run()[-1] == f"v1 gets 100% of {endpoint} already: nothing changed"
    assert (made(vertex_api), vertex.endpoints.traffic()) == (1, {"v1": 100})


def test_a_canary_grows_and_is_rolled_back(run: Say, cloud: Settings, versions: list[str], vertex: Vertex) -> None:
    run()
    lines = run(model="v2", traffic=10)
    assert "in all: about 1.96 dollars an hour, 47.12 a day" in lines
    assert vertex.endpoints.traffic() == {"v1": 90, "v2": 10}
    run(model="v2", traffic=40)
    assert vertex.endpoints.traffic() == {"v1": 60, "v2": 40}
    assert run(model="v2")[-1] == (
        "v1 still runs without traffic: `invoke deploy --undeploy --model v1 --target gcp` stops it"
    )
    roll_back(cloud, lambda line: None)
    assert vertex.endpoints.traffic() == {"v1": 100, "v2": 0}
    run(model="v2")
    run(model="v1", traffic=20)  # the version that gets the rest is the current one
    assert vertex.endpoints.traffic() == {"v1": 20, "v2": 80}
    run(model="v2", traffic=30)  # and it may be the one that is named
    assert vertex.endpoints.traffic() == {"v1": 70, "v2": 30}


@pytest.mark.parametrize("fault", [None, Fault("PATCH", "/endpoints/", "drop")])
def test_a_rollback_typed_again_changes_nothing(
    run: Say, cloud: Settings, versions: list[str], vertex: Vertex, vertex_api: Loopback, fault: Fault | None
) -> None:
    run()
    run(model="v2")
    vertex_api.faults = [fault] if fault else []
    with pytest.raises(TuningError) if fault else contextlib.nullcontext():
        roll_back(cloud, lambda line: None)
    assert vertex.endpoints.traffic() == {"v1": 100, "v2": 0}
    said: list[str] = []
    for _ in range(2):
        roll_back(cloud, said.append)
    already = "rolled back to v1 already: nothing changed. `invoke deploy v2 --target gcp` gives all requests to v2"
    assert (said, vertex.endpoints.traffic()) == ([already] * 2, {"v1": 100, "v2": 0})
    run(model="v2")
    roll_back(cloud, lambda line: None)
    assert vertex.endpoints.traffic() == {"v1": 100, "v2": 0}
    undeploy(cloud, "v2", lambda line: None)
    roll_back(cloud, said.append)
    assert said[-1] == "rolled back to v1 already: nothing changed"


def test_a_rollback_after_a_promotion_is_a_new_one(
    run: Say, cloud: Settings, versions: list[str], vertex: Vertex
) -> None:
    run()
    run(model="v2")
    roll_back(cloud, lambda line: None)
    registry.promote(cloud, "v2", force=True, reason="a trial")
    assert publish(msgspec.structs.replace(cloud, target="local")) == []
    assert vertex.endpoints.traffic() == {"v1": 100, "v2": 0}
    publish(cloud)
    assert vertex.endpoints.traffic() == {"v1": 0, "v2": 100}
    roll_back(cloud, lambda line: None)
    assert vertex.endpoints.traffic() == {"v1": 100, "v2": 0}


def test_a_rollback_needs_a_version_to_return_to(run: Say, cloud: Settings, versions: list[str]) -> None:
    with pytest.raises(TuningError, match="the traffic was never moved"):
        roll_back(cloud, print)
    run()
    with pytest.raises(TuningError, match="the traffic was never moved"):
        roll_back(cloud, print)
    run(model="v2")
    undeploy(cloud, "v1", lambda line: None)
    with pytest.raises(TuningError, match=r"v1, which answered before, is not .*`invoke deploy --model v1 --target"):
        roll_back(cloud, print)


def test_machines_are_stopped_and_the_endpoint_stays(
    run: Say, cloud: Settings, versions: list[str], vertex: Vertex, vertex_api: Loopback
) -> None:
    run()
    run(model="v2", traffic=10)
    run(model="v3", traffic=20)
    assert vertex.endpoints.traffic() == {"v1": 80, "v2": 0, "v3": 20}
    with pytest.raises(TuningError, match=r"v1 gets 80% of the traffic\. `invoke deploy --model v3 --target gcp`"):
        undeploy(cloud, "champion", print)
    lines: list[str] = []
    undeploy(cloud, "v2", lines.append)
    assert lines == ["v2 is not deployed any more, and its machine costs nothing now"]
    undeploy(cloud, "", lines.append)
    assert [line.split()[0] for line in lines] == ["v2", "v3", "v1"]
    (endpoint,) = vertex.endpoints.endpoints.values()
    assert (endpoint["deployedModels"], endpoint["trafficSplit"]) == ([], {})
    for name, said in (("", "no version is deployed"), ("v1", "v1 is not deployed")):
        with pytest.raises(TuningError, match=said):
            undeploy(cloud, name, print)
    run()
    assert len(vertex.endpoints.endpoints) == len(vertex_api.asked("POST", "/endpoints$")) == 1


@pytest.mark.parametrize("path", ["/endpoints$", ":deployModel$", "/endpoints/"])
@pytest.mark.parametrize("how", ["break", "drop", 503])
def test_the_command_again_after_a_fault_makes_no_second_endpoint_or_machine(
    run: Say, versions: list[str], vertex: Vertex, vertex_api: Loopback, path: str, how: Any
) -> None:
    vertex_api.faults = [Fault("PATCH" if path == "/endpoints/" else "POST", path, how)]
    vertex.endpoints.looks = 3
    with pytest.raises(TuningError):
        run()
    run()
    assert len(vertex.endpoints.endpoints) == 1
    assert vertex.endpoints.traffic() == {"v1": 100}
    assert made(vertex_api) == 1


def test_a_deployment_that_a_killed_command_began_is_waited_for(
    run: Say,
    cloud: Settings,
    versions: list[str],
    vertex: Vertex,
    vertex_api: Loopback,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("tuning.cloud.endpoint.result_of", killed)
        with pytest.raises(KeyboardInterrupt):
            run()  # while the endpoint is made
    with monkeypatch.context() as patch:
        patch.setattr(deployment, "create_endpoint", killed)
        real = deployment.deploy_model

        def begun(*arguments: Any) -> None:
            patch.setattr("tuning.cloud.endpoint.result_of", killed)
            real(*arguments)

        patch.setattr(deployment, "deploy_model", begun)
        with pytest.raises(KeyboardInterrupt):
            run()  # while the machine starts
    run()
    assert vertex.endpoints.traffic() == {"v1": 100}
    assert made(vertex_api) == 1


def test_a_deployment_that_fails_says_why_and_can_be_tried_again(run: Say, versions: list[str], vertex: Vertex) -> None:
    vertex.endpoints.fails = "no NVIDIA_L4 is left in us-central1"
    with pytest.raises(TuningError, match="failed: no NVIDIA_L4 is left in us-central1"):
        run()
    vertex.endpoints.fails = ""
    run()
    assert vertex.endpoints.traffic() == {"v1": 100}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"budget": 20.0}, r"about 0\.98 dollars an hour, 23\.56 a day, more than the budget of 20\.00 dollars a day"),
        ({"machine": "g2-standard-32", "budget": 20.0}, "no price is known for a machine"),
        ({"machine": "g2-standard-32", "hourly_price": 2.0, "budget": 20.0}, r"2\.00 dollars an hour, 48\.00 a day"),
        ({"machine": "n1-standard-8"}, "n1-standard-8 has no GPU of its own"),
        ({"traffic": 10}, "no other version is deployed that keeps the other 90%"),
        ({"model": "v9"}, "v9"),
    ],
)
def test_what_cannot_be_deployed_is_refused_before_anything_is_sent(
    run: Say, versions: list[str], created: Callable[[], list[str]], options: dict[str, Any], said: str
) -> None:
    before = created()
    with pytest.raises(TuningError, match=said):
        run(**options)
    assert created() == before


def test_the_budget_of_the_settings_holds_and_the_whole_endpoint_counts(
    run: Say, cloud: Settings, versions: list[str]
) -> None:
    with pytest.raises(TuningError, match=r"more than the budget of 5\.00 dollars a day"):
        deploy(msgspec.structs.replace(cloud, budget=5.0), DeployOptions(), lambda line: None)
    run(budget=24.0)
    with pytest.raises(TuningError, match=r"47\.12 a day, more than the budget of 24\.00"):
        run(model="v2", budget=24.0)
    with pytest.raises(TuningError, match=r"v1 runs on g2-standard-8 .*--undeploy --model v1 --target gcp`"):
        run(machine="g2-standard-4")


def test_every_machine_of_the_price_table_is_one_that_google_takes(
    run: Say, cloud: Settings, versions: list[str]
) -> None:
    for machine in MACHINES:
        run(machine=machine)
        undeploy(cloud, "", lambda line: None)


def test_the_endpoint_has_the_key_of_the_settings(cloud: Settings, versions: list[str], vertex: Vertex) -> None:
    key = "projects/mine/locations/us-central1/keyRings/ring/cryptoKeys/key"
    deploy(msgspec.structs.replace(cloud, kms_key=key), DeployOptions(), lambda line: None)
    (endpoint,) = vertex.endpoints.endpoints.values()
    assert endpoint["encryptionSpec"] == {"kmsKeyName": key}


def test_gemini_answers_at_its_own_endpoint(
    run: Say, gemini: str, created: Callable[[], list[str]], vertex: Vertex
) -> None:
    before = created()
    assert run(model=gemini)[0] == f"{gemini} is deployed by Google: {OWN}"
    for option, value in (("traffic", 10), ("machine", "g2-standard-8")):
        with pytest.raises(TuningError, match=f"{gemini} has an endpoint of its own.*--{option}"):
            run(model=gemini, **{option: value})
    assert created() == before


def test_a_model_without_a_container_is_refused(run: Say, cloud: Settings, tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    name = register(cloud, Model(tuner="my.module:Tuner", base_model="mine", uri="x"), tmp_path / "own")
    with pytest.raises(TuningError, match=r"no container serves models of my\.module:Tuner"):
        run(model=name)


def test_a_promotion_and_a_rollback_move_the_traffic_of_what_is_deployed(
    run: Say, cloud: Settings, versions: list[str], vertex: Vertex, gemini: str
) -> None:
    publish(cloud)
    assert not vertex.endpoints.endpoints  # nothing is deployed, so nothing is said or made
    run()
    run(model="v2", traffic=10)
    registry.promote(cloud, "v2", force=True, reason="a trial")
    (endpoint,) = vertex.endpoints.endpoints
    assert publish(cloud)[-1] == f"v2 gets all requests to {endpoint}"
    assert vertex.endpoints.traffic() == {"v1": 0, "v2": 100}
    assert publish(cloud) == []
    registry.rollback(cloud)
    publish(cloud)
    assert vertex.endpoints.traffic() == {"v1": 100, "v2": 0}
    for name in ("v3", gemini):
        registry.promote(cloud, name, force=True, reason="a trial")
        assert publish(cloud)[-1] == (
            f"{name} is not deployed, and v1 still gets the traffic: `invoke deploy --target gcp` deploys {name}"
        )
    assert vertex.endpoints.traffic() == {"v1": 100, "v2": 0}


def test_a_promotion_whose_requests_google_does_not_move_says_how_to_move_them(
    run: Say, cloud: Settings, versions: list[str], vertex: Vertex, vertex_api: Loopback
) -> None:
    run()
    run(model="v2", traffic=10)
    registry.promote(cloud, "v2", force=True, reason="a trial")
    vertex_api.faults = [Fault("PATCH", "/endpoints/", 403)]
    with pytest.raises(TuningError, match=r"the registry is up to date, but .*`invoke deploy --target gcp` moves them"):
        publish(cloud)
    run()
    assert vertex.endpoints.traffic() == {"v1": 0, "v2": 100}


def test_without_a_champion_the_deployed_version_is_named(run: Say, cloud: Settings, versions: list[str]) -> None:
    run()
    registry.rollback(cloud)
    assert publish(cloud)[-1] == "v1 is still deployed: `invoke deploy --undeploy --target gcp` stops it"


def test_a_change_of_the_endpoint_or_the_champion_meanwhile_is_seen(
    run: Say, cloud: Settings, versions: list[str], vertex: Vertex, monkeypatch: pytest.MonkeyPatch
) -> None:
    run()
    run(model="v2", traffic=10)
    old = find_endpoint(cloud)
    assert old is not None
    set_traffic(cloud, old, {"v1": 50, "v2": 50}, "v1")
    with pytest.raises(EndpointChangedError, match="another process changes the endpoint"):
        set_traffic(cloud, old, {"v2": 100}, "v1")
    real = deployment.set_traffic
    registry.promote(cloud, "v1", force=True, reason="again")

    def late(*arguments: Any) -> None:
        """Another home promotes v2 and publishes it while this one moves the traffic to v1."""
        monkeypatch.setattr(deployment, "set_traffic", real)
        registry.promote(cloud, "v2", force=True, reason="a trial")
        publish(cloud)
        real(*arguments)

    monkeypatch.setattr(deployment, "set_traffic", late)
    publish(cloud)
    assert vertex.endpoints.traffic() == {"v1": 0, "v2": 100}

    def later(settings: Settings) -> Any:
        """Another home promotes v1 and publishes it before this one, which knows v2, looks at the endpoint."""
        monkeypatch.setattr(deployment, "find_endpoint", find_endpoint)
        registry.promote(cloud, "v1", force=True, reason="a trial")
        publish(cloud)
        return find_endpoint(settings)

    monkeypatch.setattr(deployment, "find_endpoint", later)
    publish(cloud)
    assert vertex.endpoints.traffic() == {"v1": 100, "v2": 0}


def test_deploy_as_typed(cloud: Settings, versions: list[str], vertex: Vertex) -> None:
    def typed(*arguments: str) -> tuple[int, list[str]]:
        result = invoke_here("deploy", *arguments, **variables(cloud))
        return result.returncode, (result.stdout + result.stderr).splitlines()

    status, lines = typed("--target", "gcp", "--budget", "30")
    assert (status, lines[0].split(":")[0]) == (0, "v1 on g2-standard-8 with NVIDIA_L4")
    assert vertex.endpoints.traffic() == {"v1": 100}
    assert typed("--target", "local") == (
        1,
        [
            "error: deploy needs a Google Cloud project, and the target is local. "
            "`invoke serve` serves a model on this machine, and --target gcp deploys it"
        ],
    )
    for arguments, said in (
        (["--rollback", "--undeploy"], "--rollback and --undeploy are two commands"),
        (["--rollback", "v1"], "--rollback has no use for --model"),
        (["--rollback"], "the traffic was never moved"),
        (["--undeploy", "--traffic", "5"], "--undeploy has no use for --traffic"),
        (["--traffic", "0"], "--traffic takes a whole number from 1 to 100"),
        (["--machine", "Big"], "--machine takes a machine type such as g2-standard-8"),
    ):
        status, lines = typed("--target", "gcp", *arguments)
        assert (status, said in lines[0]) == (1, True)
    assert typed("v1", "--undeploy", "--target", "gcp")[0] == 0
