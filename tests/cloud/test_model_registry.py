"""Champion and challenger as aliases in Google's Model Registry."""

from typing import Any

import pytest
from loopback import Fault, Loopback
from vertex_server import Vertex

from tuning.cloud.model_registry import aliases_of, set_alias
from tuning.errors import TuningError
from tuning.registry import mirror as mirroring
from tuning.settings import Settings

PLACE = "projects/mine/locations/us-central1/models"


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
    with pytest.raises(TuningError, match="'models/1' is no model of the Model Registry"):
        set_alias(cloud, "models/1", "champion")
    with pytest.raises(TuningError, match="models/9 not found"):
        set_alias(cloud, f"{PLACE}/9@1", "champion")


def test_the_mirror_follows_promotion_and_rollback(
    cloud: Settings, models: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three models of their own, so that no alias moves by itself."""
    versions = [type("Version", (), {"name": f"v{number}", "tuner": "gemini"}) for number in (1, 2, 3)]
    champion: list[Any] = [versions[0]]
    monkeypatch.setattr(mirroring.registry, "versions", lambda settings: versions)
    monkeypatch.setattr(mirroring.registry, "champion", lambda settings: champion[0])
    monkeypatch.setattr(mirroring, "_registered_as", lambda settings, version: models[int(version.name[1]) - 1])

    def marks() -> list[list[str]]:
        return [[alias for alias in aliases_of(cloud, name) if alias != "default"] for name in models]

    assert len(mirroring.mirror(cloud)) == 2
    assert marks() == [["champion"], [], ["challenger"]]
    champion[0] = versions[2]
    assert len(mirroring.mirror(cloud)) == 3
    assert marks() == [[], ["challenger"], ["champion"]]
    champion[0] = None
    mirroring.mirror(cloud)
    assert marks() == [[], [], ["challenger"]]
    assert mirroring.mirror(cloud) == []
