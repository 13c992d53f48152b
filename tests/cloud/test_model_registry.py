"""Champion and challenger as aliases in Google's Model Registry."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.cloud.as_typed import variables
from tests.cloud.servers.loopback import Fault, Loopback
from tests.cloud.servers.vertex_server import Vertex
from tests.invoked import invoke_here
from tests.verdicts import verdict
from tuning.cloud.model_registry import aliases_of, set_alias
from tuning.errors import TuningError
from tuning.gcs.storage import find_storage
from tuning.registry import mirror as mirror_module
from tuning.registry import registry
from tuning.registry.mirror import mirror
from tuning.registry.model_folder import write_model
from tuning.registry.records import Candidate
from tuning.settings import Settings
from tuning.tuners.protocol import Model

PLACE = "projects/mine/locations/us-central1/models"
KEY = "projects/mine/locations/us-central1/keyRings/ring/cryptoKeys/key"


@pytest.fixture
def models(vertex: Vertex) -> list[str]:
    """Three tuned models, as Google's tuning leaves them."""
    for number in (1, 2, 3):
        name = f"{PLACE}/{number}"
        vertex.models[name] = {"name": name, "versionId": "1", "versionAliases": ["default"]}
    return [f"{PLACE}/{number}@1" for number in (1, 2, 3)]


def test_an_alias_is_set_once_and_takes_the_other_away(
    cloud: Settings, models: list[str], vertex_api: Loopback
) -> None:
    assert set_alias(cloud, models[0], "challenger") is True
    assert set_alias(cloud, models[0], "challenger") is False
    assert set_alias(cloud, models[0], "champion") is True
    assert aliases_of(cloud, models[0]) == ["default", "champion"]
    assert set_alias(cloud, models[0], "") is True
    assert aliases_of(cloud, models[0]) == ["default"]
    asked = [request.body["versionAliases"] for request in vertex_api.asked("POST", ":mergeVersionAliases$")]
    assert asked == [["challenger"], ["champion", "-challenger"], ["-champion"]]


@pytest.mark.parametrize("how", [429, 503, "drop"])
def test_a_fault_on_the_way_leaves_the_alias_set(
    cloud: Settings, models: list[str], vertex_api: Loopback, how: Any
) -> None:
    vertex_api.faults = [Fault("POST", ":mergeVersionAliases$", how)]
    set_alias(cloud, models[0], "champion")
    assert aliases_of(cloud, models[0]) == ["default", "champion"]


def test_what_is_no_model_is_refused(cloud: Settings, models: list[str]) -> None:
    with pytest.raises(TuningError, match="'models/1' is not a model version of Model Registry"):
        set_alias(cloud, "models/1", "champion")
    with pytest.raises(TuningError, match="models/9 not found, or its version 1"):
        set_alias(cloud, f"{PLACE}/9@1", "champion")


def candidate(key: str, against: str | None = None, **fields: object) -> Candidate:
    values = {
        "created_at": "2026-01-01T00:00:00+00:00",
        "training_key": key,
        "tuner": "gemini",
        "base_model": "gemini-3.5-flash",
        "options": {},
        "dataset_id": "d1",
        "dataset_sha256": "0",
        "template": "Answer.",
        "format": "gemini",
        "body": "markdown",
        "contents_sha256": "0",
        "metrics": {"chrf": 30.0, "rouge_l": 21.5},
        "verdict": verdict("chrf", "chrf improves", champion=against),
        "run_id": "r1",
    }
    return Candidate(**(values | fields))  # type: ignore[arg-type]


@pytest.fixture
def versions(cloud: Settings, models: list[str], tmp_path: Path) -> list[str]:
    """Three registered versions, each of one of these models. The third was compared with the first."""
    for number, name in enumerate(models, start=1):
        folder, work = tmp_path / f"model-{number}", tmp_path / f"work-{number}"
        folder.mkdir()
        facts: dict[str, object] = {"registered_as": name}
        endpoint = f"projects/mine/locations/us-central1/endpoints/{number}"
        write_model(folder, Model(tuner="gemini", base_model="gemini", uri=endpoint, facts=facts), work)
        registry.register(cloud, candidate(f"key-{number}", "v1" if number == 3 else None), folder)
    return ["v1", "v2", "v3"]


def typed(settings: Settings, *arguments: str) -> tuple[int, list[str]]:
    """Status and lines of ``invoke``."""
    result = invoke_here(*arguments, "--target", "gcp", **variables(settings))
    return result.returncode, (result.stdout + result.stderr).splitlines()


def marks(settings: Settings, models: list[str]) -> list[list[str]]:
    return [[alias for alias in aliases_of(settings, name) if alias != "default"] for name in models]


def test_promotion_and_rollback_as_typed_are_the_same_in_googles_registry(
    cloud: Settings, models: list[str], versions: list[str]
) -> None:
    assert typed(cloud, "promote", "v1") == (
        0,
        [
            "v1 is now champion",
            *(f"metrics of v{number} of run r1 are in Model Registry" for number in (1, 2, 3)),
            f"v1 is champion in the Model Registry ({models[0]})",
            f"v3 is challenger in the Model Registry ({models[2]})",
        ],
    )
    assert marks(cloud, models) == [["champion"], [], ["challenger"]]
    assert typed(cloud, "promote", "v3")[0] == 0
    assert marks(cloud, models) == [[], ["challenger"], ["champion"]]
    status, lines = typed(cloud, "rollback", "--reason", "worse on pandas")
    assert (status, lines[0]) == (0, "v3 is no longer champion; the champion is now v1")
    assert marks(cloud, models) == [["champion"], [], ["challenger"]]
    assert [event.action for event in registry.history(cloud)][-1] == "rolled back"


def test_without_a_champion_only_the_newest_is_marked(cloud: Settings, models: list[str], versions: list[str]) -> None:
    registry.promote(cloud, "v1")
    assert len(mirror(cloud)) == 5
    registry.rollback(cloud)
    mirror(cloud)
    assert marks(cloud, models) == [[], [], ["challenger"]]
    assert mirror(cloud) == []


def test_a_promotion_that_google_did_not_hear_of_says_how_to_say_it_again(
    cloud: Settings, models: list[str], versions: list[str], vertex_api: Loopback
) -> None:
    vertex_api.faults = [Fault("POST", ":mergeVersionAliases$", 403)]
    registry.promote(cloud, "v2")
    with pytest.raises(
        TuningError,
        match=r"Vertex AI's Model Registry is not .*`invoke promote v2 --target gcp`",
    ):
        mirror(cloud)
    registry.promote(cloud, "v2")
    mirror(cloud)
    assert marks(cloud, models) == [[], ["champion"], ["challenger"]]


@pytest.fixture
def tuned_here(cloud: Settings, tmp_path: Path) -> Callable[[str], str]:
    """Registers a model of tuner hf, and returns the name of its version."""

    def make(key: str) -> str:
        folder, work = tmp_path / key, tmp_path / "weights"
        (folder / "weights" / "merged").mkdir(parents=True)
        (folder / "weights" / "merged" / "model.safetensors").write_bytes(key.encode())
        write_model(folder, Model(tuner="hf", base_model="org/Base Model", uri=str(work / "merged")), work)
        return registry.register(cloud, candidate(key, tuner="hf", base_model="org/Base Model"), folder)[0].name

    return make


def test_models_that_were_tuned_here_are_versions_of_one_model(
    cloud: Settings, vertex: Vertex, tuned_here: Callable[[str], str], vertex_api: Loopback
) -> None:
    cloud = msgspec.structs.replace(cloud, kms_key=KEY)
    assert [tuned_here(key) for key in ("a", "b")] == ["v1", "v2"]
    registry.promote(cloud, "v1")
    lines = mirror(cloud)
    first, second = vertex.registry.models.values()
    name = first["name"]
    assert second["name"] == name
    assert lines[-2:] == [
        f"v1 is champion in the Model Registry ({name}@1)",
        f"v2 is challenger in the Model Registry ({name}@2)",
    ]
    assert (first["versionAliases"], second["versionAliases"]) == (["default", "v1", "champion"], ["v2", "challenger"])
    assert first["artifactUri"] == "gs://bucket/registry/v1/model/weights/merged"
    assert first["containerSpec"]["args"][:3] == ["python3", "-m", "vllm.entrypoints.api_server"]
    assert "--model=$(AIP_STORAGE_URI)" in first["containerSpec"]["args"]
    assert first["encryptionSpec"] == {"kmsKeyName": KEY}
    assert first["labels"] == {
        "version": "v1",
        "base_model": "org-base-model",
        "dataset_id": "d1",
        "run_id": "r1",
        "verdict": "better",
    }
    assert "chrf 30" in first["versionDescription"]
    assert list(find_storage(cloud).addresses(f"{first['artifactUri']}/")) == [
        f"{first['artifactUri']}/model.safetensors"
    ]
    (evaluation,) = vertex.registry.evaluations[f"{name}@2"]
    assert (evaluation["metrics"], evaluation["metadata"]) == ({"rougeLSum": 21.5}, {"chrf": 30.0, "rouge_l": 21.5})
    asked = len(vertex_api.asked("POST", ""))
    assert mirror(cloud) == []
    assert len(vertex_api.asked("POST", "")) == asked
    registry.promote(cloud, "v2", force=True, reason="a trial")
    mirror(cloud)
    assert vertex.registry.marked("champion") == [f"{name}@2"]
    assert vertex.registry.marked("challenger") == [f"{name}@1"]


def test_there_is_one_champion_among_models_of_both_tuners(
    cloud: Settings, vertex: Vertex, models: list[str], versions: list[str], tuned_here: Callable[[str], str]
) -> None:
    assert tuned_here("a") == "v4"
    for name in ("v4", "v1", "v4", "v2"):
        registry.promote(cloud, name, force=True, reason="a trial")
        mirror(cloud)
        assert len(vertex.registry.marked("champion")) == len(vertex.registry.marked("challenger")) == 1
    assert vertex.registry.marked("champion") == [models[1]]
    judged = msgspec.structs.replace(candidate("a", tuner="hf"), verdict=verdict("loss", "no", "worse"), run_id="r2")
    registry.register(cloud, judged, Path())
    assert mirror(cloud) == ["metrics of v4 of run r2 are in Model Registry"]


def test_of_two_homes_that_mirror_at_once_the_last_champion_stays(
    cloud: Settings, vertex: Vertex, models: list[str], versions: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.promote(cloud, "v1")
    real = mirror_module.set_alias

    def late(settings: Settings, name: str, alias: str) -> bool:
        """Another home promotes and mirrors while this one sets its first alias."""
        monkeypatch.setattr(mirror_module, "set_alias", real)
        other = msgspec.structs.replace(cloud, home=cloud.home.with_name("other"))
        registry.promote(other, "v2", force=True, reason="a trial")
        mirror(other)
        return real(settings, name, alias)

    monkeypatch.setattr(mirror_module, "set_alias", late)
    mirror(cloud)
    assert vertex.registry.marked("champion") == [models[1]]
    assert vertex.registry.marked("challenger") == [models[2]]


def test_metrics_that_google_refuses_are_a_warning_and_the_aliases_are_set(
    cloud: Settings, vertex: Vertex, models: list[str], versions: list[str], vertex_api: Loopback
) -> None:
    vertex_api.faults = [Fault("POST", "/1@1/evaluations:import$", 400)]
    registry.promote(cloud, "v1")
    assert f"warning: Model Registry refused the metrics of {models[0]}: " in mirror(cloud)[0]
    assert vertex.registry.marked("champion") == [models[0]]


def test_an_upload_that_fails_says_how_to_do_it_again(
    cloud: Settings, vertex: Vertex, tuned_here: Callable[[str], str], vertex_api: Loopback
) -> None:
    registry.promote(cloud, tuned_here("a"))
    vertex_api.faults = [Fault("POST", "models:upload$", 503)]
    with pytest.raises(TuningError, match=r"Model Registry is not .*uploading v1.*`invoke promote v1 --target gcp`"):
        mirror(cloud)
    assert vertex.models == {}
    assert "v1 is uploaded" in mirror(cloud)[0]


def test_a_version_that_no_container_serves_is_named(cloud: Settings, tmp_path: Path) -> None:
    write_model(tmp_path, Model(tuner="my.module:Tuner", base_model="mine", uri="x"), tmp_path / "work")
    registry.register(cloud, candidate("a", tuner="my.module:Tuner"), tmp_path)
    assert mirror(cloud) == ["v1 is not in the Model Registry: no container serves my.module:Tuner"]
